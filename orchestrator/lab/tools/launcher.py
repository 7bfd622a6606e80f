"""The shell script that stands at a tool's path and starts its emulator; without imports, for the lab uses it too."""

SITE_TOOLS = {"trtexec"}
"""Emulated tools that import onnx and onnxruntime; all others start without site-packages, three times faster."""


def script(command: str) -> str:
    """What lies at the path of a tool; `command` is an emulator, and its arguments before the caller's."""
    tool, *first = command.split()
    flags = "-s" if tool in SITE_TOOLS else "-S -E -s"
    words = "".join(f"{word} " for word in first)
    return f'#!/bin/sh\nexec /.lab/python {flags} /.lab/tools/{tool}.py {words}"$@"\n'
