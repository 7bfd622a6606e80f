"""What the agent can do: the table of actions, each loaded when it is first asked for.

An action is `def name(args, context) -> Result`, decorated with `accepts(...)`; see docs/architecture.md for what each
one takes and gives. Attributes that the serve loop knows: `in_session` (runs as the login user whatever `become` says,
and may change the session) and `concurrent` (runs in a thread of its own).
"""

import importlib

from ..errors import ActionError

MODULES = {
    "apt": "apt",
    "apt_repository": "apt_repository",
    "async_status": "async_status",
    "authorized_key": "authorized_key",
    "batch": "batch",
    "blob_commit": "blobs",
    "blob_missing": "blobs",
    "blob_prepare": "blobs",
    "blob_write": "blobs",
    "blockinfile": "blockinfile",
    "clock_sync": "setting_up",
    "cmake": "builds",
    "command": "command",
    "copy": "copy",
    "cuda_paths": "setting_up",
    "elevate": "session",
    "engines": "engines",
    "facts": "facts",
    "fan": "clocks",
    "file": "file",
    "file_read": "blobs",
    "find": "finding",
    "get_url": "get_url",
    "git": "git",
    "gpu_access": "setting_up",
    "group": "users",
    "headless": "swap",
    "hostname": "identity",
    "jetpack_components": "components",
    "jetpack_state": "components",
    "jetson_clocks": "clocks",
    "job_cancel": "jobs",
    "job_follow": "jobs",
    "job_list": "jobs",
    "job_remove": "jobs",
    "job_start": "jobs",
    "lineinfile": "lineinfile",
    "logs": "logs",
    "make": "make",
    "nvpmodel": "power",
    "onnx_tensorrt": "builds",
    "passport_write": "engines",
    "ping": "session",
    "pip": "pip",
    "protobuf": "builds",
    "pycuda": "pythons",
    "python_packages": "pythons",
    "reboot": "reboot",
    "release_activate": "releases",
    "release_rollback": "releases",
    "release_status": "releases",
    "replace": "replace",
    "root_folder": "session",
    "root_prepare": "session",
    "script": "command",
    "service": "service",
    "setup": "setup",
    "shell": "command",
    "slurp": "slurp",
    "stat": "stat",
    "swapfile": "swap",
    "sysctl": "sysctl",
    "systemd": "service",
    "tensorrt_oss": "builds",
    "timezone": "identity",
    "trtexec": "builds",
    "unarchive": "unarchive",
    "uri": "uri",
    "user": "users",
    "wait_for": "wait_for",
    "zram": "swap",
}


def find(name):
    """The function of an action. raises: ActionError (kind unknown)."""
    module = MODULES.get(name)
    if module is None:
        import difflib

        close = difflib.get_close_matches(name, list(MODULES), 1, 0.5)
        raise ActionError(
            "there is no action '{}'".format(name),
            "known: {}".format(", ".join(sorted(MODULES))),
            "did you mean '{}'?".format(close[0]) if close else "",
            kind="unknown",
        )
    return getattr(importlib.import_module("{}.{}".format(__name__, module)), name)
