"""nvidia-smi: the driver and the one GPU, as a table or for --query-gpu."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device


def main(argv: list[str]) -> int:
    gpu = device.profile()["gpu"]
    if device.state().get("driver_lost"):
        print(
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
            "NVIDIA driver is installed and running.\n"
        )
        return 9
    values = {
        "name": gpu["name"],
        "gpu_name": gpu["name"],
        "driver_version": gpu["driver"],
        "memory.total": f"{gpu['memory_mib']} MiB",
        "index": "0",
        "count": "1",
    }
    asked = next((arg.split("=", 1)[1].split(",") for arg in argv if arg.startswith("--query-gpu=")), None)
    if asked is not None:
        form = next((arg.split("=", 1)[1] for arg in argv if arg.startswith("--format=")), "csv")
        unknown = [name for name in asked if name not in values]
        if unknown:
            print(f'Field "{unknown[0]}" is not a valid field to query.\n')
            return 2
        if "noheader" not in form:
            print(", ".join(asked))
        print(", ".join(values[name].removesuffix(" MiB") if "nounits" in form else values[name] for name in asked))
        return 0
    if "-L" in argv or "--list-gpus" in argv:
        print(f"GPU 0: {gpu['name']} (UUID: GPU-00000000-0000-4000-8000-000000000000)")
        return 0
    print(f"| NVIDIA-SMI {gpu['driver']}    Driver Version: {gpu['driver']}    CUDA Version: {gpu['cuda']} |")
    print(f"|   0  {gpu['name']}    {gpu['memory_mib']}MiB |")
    return 0


if __name__ == "__main__":
    device.run(main)
