"""What is built from source on the device, and only where it is missing or too old."""

import os
import re
import shutil

from ..arguments import Flag, Integer, Sequence, Text, accepts
from ..errors import ActionError
from ..files import device_path, list_folder
from ..process import capture, find_tool
from ..provision import record, sources
from ..provision.building import Build, numbers, tool_version
from ..provision.patches import PATCHES
from ..provision.pip import Pip
from ..provision.toolchain import build_environment, cuda_folder, parallel_jobs
from ..results import Result

PREFIX = "/usr/local"
TENSORRT = "/usr/src/tensorrt"
TRTEXEC = ("trtexec", "/usr/src/tensorrt/bin/trtexec", "/usr/bin/trtexec", "/usr/local/bin/trtexec")
_VERSION = Text(pattern=r"\d+(\.\d+)*", allowed="a version such as 3.13")
_JOBS = Integer(default=None, minimum=1, maximum=64)
_TOOLS = {
    "cmake": ("cmake", r"cmake version (\d+(?:\.\d+)*)"),
    "protobuf": ("protoc", r"libprotoc (\d+(?:\.\d+)*)"),
}


@accepts(minimum=_VERSION, source=sources.SOURCE, jobs=_JOBS)
def cmake(args, context):
    """Build CMake into /usr/local where the system's is older than `minimum`.

    data:
        version (str or None): in force afterwards; previous (str or None)
    """

    def build(folder, step):
        words = ["./bootstrap", "--parallel={}".format(step.jobs), "--prefix=" + PREFIX, "--"]
        step.step(words + ["-DCMAKE_USE_OPENSSL=OFF", "-DCMAKE_BUILD_TYPE=Release"], folder)
        step.make(folder)
        step.step(["make", "install"], folder)

    return _newer("cmake", args, context, build)


@accepts(minimum=_VERSION, source=sources.SOURCE, jobs=_JOBS)
def protobuf(args, context):
    """Build protobuf's compiler and libraries into /usr/local where the system's are older than `minimum`.

    data:
        version (str or None): in force afterwards; previous (str or None)
    """

    def build(folder, step):
        words = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_INSTALL_PREFIX=" + PREFIX, "-Dprotobuf_BUILD_TESTS=OFF"]
        words += ["-DBUILD_SHARED_LIBS=ON", "-DCMAKE_POSITION_INDEPENDENT_CODE=ON"]
        listing = "../cmake" if os.path.isfile(os.path.join(folder, "cmake", "CMakeLists.txt")) else ".."
        _cmake(folder, step, words, listing)
        step.step(["ldconfig"], folder)

    return _newer("protobuf", args, context, build)


def _newer(name, args, context, build):
    """Build a tool from source where the one that is found is older than wanted; both actions above."""
    version = tool_version(*_TOOLS[name])
    if version and numbers(version) >= numbers(args.minimum):
        return Result(data={"version": version, "previous": version})
    diff = ("{} {}\n".format(name, version or "missing"), "{} {} or newer, in {}\n".format(name, args.minimum, PREFIX))
    if context.check:
        return Result(True, {"version": args.minimum, "previous": version}, diff)
    _need_root(context, name)
    folder = sources.work_folder(context, name)
    commit = sources.fetch(_source(args), folder, context)
    step = Build(context, name, build_environment(None), parallel_jobs(args.jobs))
    build(folder, step)
    now = tool_version(*_TOOLS[name])
    if numbers(now) < numbers(args.minimum):
        why = "{} --version says {}, {} is wanted".format(_TOOLS[name][0], now, args.minimum)
        raise ActionError("{} was built and is still too old".format(name), why, "build a newer branch")
    record.write(name, {"version": now, "commit": commit})
    shutil.rmtree(folder, ignore_errors=True)
    return Result(True, {"version": now, "previous": version}, diff)


def _cmake(folder, step, words, listing=".."):
    """Configure in DIR/build and make: CMake 3.10 knows no -S and -B, so its oldest form is used."""
    build = os.path.join(folder, "build")
    os.makedirs(build)
    step.step(["cmake"] + words + [listing], build)
    step.make(build)
    step.step(["make", "install"], build)
    return build


@accepts(
    source=sources.SOURCE,
    tensorrt=_VERSION,
    patches=Sequence(Text(choices=tuple(sorted(PATCHES))), default=()),
    onnx2trt=Flag(default=False),
    gpu_archs=Text(default=None, pattern=r"\d+", allowed="a compute capability without its point"),
    cmake=Text(default=None),
    protobuf=Text(default=None),
    jobs=_JOBS,
    state=Text(default="present", choices=("present", "absent")),
)
def onnx_tensorrt(args, context):
    """Build and install onnx-tensorrt, the ONNX parser and its Python backend, for the TensorRT that is installed.

    args:
        source: where from; its branch says which
        tensorrt (str): the version that it is built for; built anew where that has changed
        patches ([str]): known mends, each applied only where its text is present
        onnx2trt (bool): whether the branch builds that program
        cmake, protobuf (str): what the branch needs at least
    data:
        branch, commit (str), patched ([str]): which patches had something to do
        backend (bool): the Python module can be imported; onnx2trt (str or None): its path
    raises:
        ActionError: not root, tools too old, what the build failed over, or a module that cannot be imported
    """
    known = record.read("onnx-tensorrt")
    pip = Pip(context, build_environment(cuda_folder()))
    if args.state == "absent":
        return _remove_onnx_tensorrt(known, pip, context)
    source = _source(args)
    wanted = {"branch": source["branch"], "tensorrt": args.tensorrt}
    if {name: known.get(name) for name in wanted} == wanted and _backend(pip) is None:
        return Result(data=dict(_of(known), backend=True, onnx2trt=find_tool("onnx2trt")))
    before = "onnx-tensorrt {} for TensorRT {}\n".format(known["branch"], known.get("tensorrt")) if known else "none\n"
    diff = (before, "onnx-tensorrt {} for TensorRT {}\n".format(source["branch"] or "from an archive", args.tensorrt))
    if context.check:
        predicted = {"branch": source["branch"], "commit": None, "patched": []}
        return Result(True, dict(predicted, backend=True, onnx2trt=None), diff)
    _need_root(context, "onnx-tensorrt")
    cuda = _need_cuda("onnx-tensorrt")
    for name, minimum in (("cmake", args.cmake), ("protobuf", args.protobuf)):
        found = tool_version(*_TOOLS[name])
        if minimum and numbers(found) < numbers(minimum):
            why = "it needs {} {}, {} is installed".format(name, minimum, found or "none")
            raise ActionError("onnx-tensorrt cannot be built", why, "run the module {} first".format(name))
    folder = sources.work_folder(context, "onnx-tensorrt")
    commit = sources.fetch(source, folder, context)
    patched = [name for name in args.patches if PATCHES[name](folder)]
    step = Build(context, "onnx-tensorrt", build_environment(cuda), parallel_jobs(args.jobs))
    include = os.path.join(cuda, "targets", "{}-linux".format(os.uname().machine), "include")
    words = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_INSTALL_PREFIX=" + PREFIX, "-DTENSORRT_ROOT=" + TENSORRT]
    words += ["-DCMAKE_CXX_FLAGS=-I{}".format(include), "-DONNX_NAMESPACE=onnx2trt_onnx"]
    words += ["-DGPU_ARCHS={}".format(args.gpu_archs)] if args.gpu_archs else []
    _cmake(folder, step, words)
    step.step(["ldconfig"], folder)
    step.step(pip.argv[:1] + ["setup.py", "install"], folder)
    problem = _backend(pip)
    if problem is not None:
        remedy = "install python3-libnvinfer and the pinned onnx and pycuda first (python_packages, pycuda)"
        raise ActionError("onnx-tensorrt was built and cannot be imported", problem, remedy)
    program = find_tool("onnx2trt")
    if args.onnx2trt and program is None:
        why = "this branch builds it by default"
        raise ActionError("onnx-tensorrt was built without onnx2trt", why, "see stdout of the task")
    record.write("onnx-tensorrt", dict(wanted, commit=commit, patched=patched))
    shutil.rmtree(folder, ignore_errors=True)
    data = {"branch": source["branch"], "commit": commit, "patched": patched}
    return Result(True, dict(data, backend=True, onnx2trt=program), diff)


def _of(known):
    return {"branch": known.get("branch"), "commit": known.get("commit"), "patched": known.get("patched", [])}


def _backend(pip):
    """None where the Python backend can be imported, else the last line of why not."""
    output = pip.check("import onnx_tensorrt")
    lines = [line.strip() for line in output.stdout.splitlines() if line.strip()]
    return None if output.rc == 0 else lines[-1] if lines else "Python ended with {}".format(output.rc)


def _remove_onnx_tensorrt(known, pip, context):
    """Take away what was installed: the Python package and the record; the parser library is TensorRT's own name."""
    data = dict(_of({}), backend=False, onnx2trt=None)
    if not known:
        return Result(data=data)
    diff = ("onnx-tensorrt {}\n".format(known.get("branch")), "none\n")
    if context.check:
        return Result(True, data, diff)
    _need_root(context, "onnx-tensorrt")
    pip.run(["uninstall", "-y", "onnx-tensorrt"], allow_failure=True)
    for folder, pattern in ((PREFIX + "/lib", r"libnvonnxparser(_static)?\.(so|a)"), (PREFIX + "/bin", r"onnx2trt$")):
        for name in list_folder(folder):
            if re.match(pattern, name):
                os.unlink(os.path.join(device_path(folder), name))
    record.forget("onnx-tensorrt")
    return Result(True, data, diff)


@accepts(
    source=sources.SOURCE, tensorrt=_VERSION, gpu_archs=Text(default=None, pattern=r"\d+"), cuda=_VERSION, jobs=_JOBS
)
def tensorrt_oss(args, context):
    """Build TensorRT's open-source plugins and parsers with its native aarch64 toolchain into /usr/local/tensorrt-oss.

    The release's own libraries stay as they are; who wants the new ones puts the folder's lib on LD_LIBRARY_PATH.

    data:
        branch, commit (str), path (str): where it was installed
    """
    prefix = PREFIX + "/tensorrt-oss"
    known = record.read("tensorrt-oss")
    source = _source(args)
    wanted = {"branch": source["branch"], "tensorrt": args.tensorrt}
    if {name: known.get(name) for name in wanted} == wanted and list_folder(prefix + "/lib"):
        return Result(data={"branch": known["branch"], "commit": known.get("commit"), "path": prefix})
    diff = ("{}\n".format(known.get("branch", "none")), "{} in {}\n".format(source["branch"] or "an archive", prefix))
    if context.check:
        return Result(True, {"branch": source["branch"], "commit": None, "path": prefix}, diff)
    _need_root(context, "TensorRT's open part")
    cuda = _need_cuda("TensorRT's open part")
    folder = sources.work_folder(context, "tensorrt-oss")
    commit = sources.fetch(source, folder, context)
    machine = os.uname().machine
    toolchain = os.path.join(folder, "cmake", "toolchains", "cmake_{}-native.toolchain".format(machine))
    words = ["-DCMAKE_INSTALL_PREFIX=" + prefix, "-DTRT_LIB_DIR=/usr/lib/{}-linux-gnu".format(machine)]
    words += ["-DTRT_OUT_DIR=" + os.path.join(folder, "build", "out"), "-DCUDA_VERSION=" + args.cuda]
    words += ["-DGPU_ARCHS={}".format(args.gpu_archs)] if args.gpu_archs else []
    if machine == "aarch64":
        if not os.path.isfile(toolchain):
            why = "{} is not in these sources".format(os.path.basename(toolchain))
            raise ActionError(
                "TensorRT's open part cannot be built here", why, "choose a branch that has it (7.2 or later)"
            )
        words.append("-DCMAKE_TOOLCHAIN_FILE=" + toolchain)
    step = Build(context, "TensorRT's open part", build_environment(cuda), parallel_jobs(args.jobs))
    _cmake(folder, step, words)
    if not list_folder(prefix + "/lib"):
        raise ActionError("TensorRT's open part was built and nothing installed", "{}/lib is empty".format(prefix))
    record.write("tensorrt-oss", dict(wanted, commit=commit))
    shutil.rmtree(folder, ignore_errors=True)
    return Result(True, {"branch": source["branch"], "commit": commit, "path": prefix}, diff)


@accepts(shipped=Flag(default=False), jobs=_JOBS)
def trtexec(args, context):
    """See that trtexec is there: where JetPack ships it, or built from TensorRT's samples (JetPack 4.2 and 4.3).

    args:
        shipped (bool): whether the release's packages bring it; then check mode expects them to
    data:
        path (str): of the program; built (bool)
    raises:
        ActionError: neither the program nor its sources, not root, what the build failed over
    """
    found = find_tool(*TRTEXEC)
    if found:
        return Result(data={"path": found, "built": False})
    folder = TENSORRT + "/samples/trtexec"
    target = TENSORRT + "/bin/trtexec"
    diff = ("no trtexec\n", "{}, built from {}\n".format(target, folder))
    if context.check:
        if args.shipped:
            return Result(data={"path": target, "built": False})
        return Result(True, {"path": target, "built": True}, diff)
    if not os.path.isfile(os.path.join(device_path(folder), "Makefile")):
        why = "neither the program nor {} is there".format(folder)
        raise ActionError("this device has no trtexec", why, "jetpack_components: {components: [trtexec]}")
    _need_root(context, "trtexec")
    cuda = _need_cuda("trtexec")
    step = Build(context, "trtexec", build_environment(cuda), parallel_jobs(args.jobs))
    libraries = "/usr/lib/{}-linux-gnu".format(os.uname().machine)
    words = ["CUDA_INSTALL_DIR=" + cuda, "CUDNN_INSTALL_DIR=" + cuda, "TRT_LIB_DIR=" + libraries]
    step.make(device_path(folder), words)
    found = find_tool(*TRTEXEC)
    if found is None:
        raise ActionError(
            "trtexec was built and is not there", "{} is missing".format(target), "see stdout of the task"
        )
    output = capture([found, "--help"], timeout_s=60, merge=True, env=step.env)
    if output.rc is None or "trtexec" not in output.stdout:
        raise ActionError("trtexec was built and does not run", output.stdout.strip()[-200:] or output.stderr)
    return Result(True, {"path": found, "built": True}, diff)


def _source(args):
    return args.source or {"url": None, "branch": None, "archive": None}


def _need_root(context, what):
    if context.uid != 0:
        raise ActionError("only root may install {}".format(what), "", "run the task with become: true", kind="refused")


def _need_cuda(what):
    cuda = cuda_folder()
    if cuda is None:
        why = "/usr/local/cuda is not there: this device has no CUDA toolkit"
        raise ActionError("{} cannot be built".format(what), why, "jetpack_components: {components: [cuda]}")
    return device_path(cuda)
