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
    "command": "basics",
    "shell": "basics",
    # jetson
    "nvpmodel": "power",
    "jetson_clocks": "power",
    "jetson_fan": "power",
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
