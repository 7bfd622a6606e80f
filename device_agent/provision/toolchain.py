"""The environment that compilers need on a Jetson: CUDA is on no path that a non-interactive session has."""

import os
import re

from ..files import device_path, list_folder, read_text

CUDA = "/usr/local/cuda"
PER_COMPILER_KIB = 1200 * 1024


def cuda_folder(wanted=None):
    """CUDA's folder on this device: `wanted`, /usr/local/cuda, or the newest /usr/local/cuda-N; None without one."""
    for folder in [wanted] if wanted else [CUDA]:
        if os.path.isdir(device_path(folder)):
            return folder
    versions = [name for name in list_folder("/usr/local") if name.startswith("cuda-")]
    return "/usr/local/" + max(versions, key=_numbers) if versions and not wanted else None


def _numbers(name):
    return [int(part) for part in name[5:].split(".") if part.isdigit()]


def build_environment(cuda, cortex_a57=False):
    """Variables for a compiler, pip or Python that is to find CUDA.

    args:
        cuda (str or None): its folder on the device
        cortex_a57 (bool): tell OpenBLAS what it mistakes on such CPUs
    """
    env = {}
    if cuda:
        root = device_path(cuda)
        machine = "{}-linux".format(os.uname().machine)
        target = os.path.join(root, "targets", machine)
        include = os.path.join(target if os.path.isdir(target) else root, "include")
        libraries = os.path.join(target, "lib") if os.path.isdir(target) else os.path.join(root, "lib64")
        env["CUDA_ROOT"] = root
        env["CUDA_INC_DIR"] = include
        for name, folder in (
            ("PATH", os.path.join(root, "bin")),
            ("CPATH", include),
            ("LIBRARY_PATH", libraries),
            ("LD_LIBRARY_PATH", os.path.join(root, "lib64")),
        ):
            env[name] = ":".join([folder] + [part for part in os.environ.get(name, "").split(":") if part])
    if cortex_a57:
        env["OPENBLAS_CORETYPE"] = "ARMV8"
    return env


def parallel_jobs(wanted=None):
    """How many compilers may run at once: `wanted`, else one per CPU and per 1.2 GiB of available memory."""
    if wanted:
        return wanted
    available = re.search(r"^MemAvailable:\s+(\d+) kB", read_text("/proc/meminfo") or "", re.MULTILINE)
    return max(1, min(os.cpu_count() or 1, int(available.group(1)) // PER_COMPILER_KIB if available else 1))
