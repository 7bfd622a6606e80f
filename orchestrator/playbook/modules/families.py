"""Which file of this folder each module stands in, and which of Ansible's modules come later."""

from __future__ import annotations

from collections.abc import Mapping

FAMILIES: Mapping[str, str] = {
    # basics
    "assert": "basics",
    "debug": "basics",
    "fail": "basics",
    "set_fact": "basics",
    "ping": "basics",
    "include_vars": "include_vars",
    "pause": "basics",
    # packages
    "apt": "packages",
    "apt_repository": "packages",
    "pip": "packages",
    # system
    "authorized_key": "system",
    "group": "system",
    "hostname": "system",
    "service": "system",
    "setup": "system",
    "sysctl": "system",
    "systemd": "system",
    "systemd_service": "system",
    "timezone": "system",
    "user": "system",
    # waiting
    "async_status": "waiting",
    "reboot": "waiting",
    "wait_for": "waiting",
    "wait_for_connection": "waiting",
    # what changes the course of a play
    "include_tasks": "structure",
    "import_tasks": "structure",
    "include_role": "structure",
    "import_role": "structure",
    "meta": "structure",
    # commands and files on the device
    "command": "commands",
    "shell": "commands",
    "script": "commands",
    "copy": "copying",
    "template": "copying",
    "file": "files",
    "lineinfile": "files",
    "blockinfile": "files",
    "replace": "files",
    "stat": "files",
    "find": "files",
    "slurp": "files",
    "fetch": "files",
    "unarchive": "copying",
    "get_url": "net",
    "uri": "net",
    "git": "scm",
    "make": "scm",
    # jetson
    "nvpmodel": "power",
    "jetson_clocks": "power",
    "jetson_fan": "power",
    "jetpack_facts": "jetson",
    "clock_sync": "jetson",
    "cuda_paths": "jetson",
    "gpu_access": "jetson",
    "headless": "jetson",
    "swapfile": "jetson",
    "zram": "jetson",
    "cmake": "provisioning",
    "jetpack_components": "provisioning",
    "onnx_tensorrt": "provisioning",
    "protobuf": "provisioning",
    "pycuda": "provisioning",
    "python_packages": "provisioning",
    "tensorrt_oss": "provisioning",
    "trtexec": "provisioning",
    # deploy
    "engine_plan": "engine_plan",
    "engine_push": "engine_push",
    "engine_build": "engine_build",
    "engine_benchmark": "engine_benchmark",
    "engine_fetch": "engine_release",
    "engine_activate": "engine_release",
}

LATER = (
    "mount",
    "modprobe",
    "cron",
    "synchronize",
    "apt_key",
    "dpkg_selections",
    "alternatives",
    "raw",
    "package",
    "add_host",
    "group_by",
)
"""Known by name and not supported yet; a playbook that names one is refused."""
