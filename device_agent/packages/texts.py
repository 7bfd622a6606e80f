"""What apt-get, dpkg and pip print when something goes wrong, as a table: pattern, what it means, what to do.

Texts: Ubuntu 18.04 to 24.04, pip 9 to 24, and failures reported from real boards (numpy/numpy #18131, inducer/pycuda
#366, pythops/jetson-image #118).
"""

import re

APT = (
    # (pattern, what, why with the pattern's groups, remedy)
    (
        r"Release file for (\S+) is not valid yet \(invalid for another ([^)]*)\)",
        "the device's clock is behind",
        "the package lists of {0} are {1} younger than the clock",
        "set the clock first: the module clock_sync does",
    ),
    (
        r"uses not yet valid certificate",
        "the device's clock is behind",
        "the server's certificate is not valid yet by this clock",
        "set the clock first: the module clock_sync does",
    ),
    (
        r"dpkg was interrupted",
        "dpkg was interrupted and left half-configured packages",
        "a package operation was cut off, by a power cut say",
        "finish it with the task apt: {{state: fixed}}, or 'dpkg --configure -a' on the device",
    ),
    (
        r"Procedure for bootloader update FAILED",
        "nvidia-l4t-bootloader cannot be installed",
        "its installer does not know this board or its boot medium",
        "hold the L4T packages (apt-mark hold nvidia-l4t-bootloader) and never upgrade all; a reflash mends it",
    ),
    (
        r"ERROR\. (\S+) does not match any known boards",
        "an L4T package cannot be installed",
        "its installer does not know the board {0}",
        "hold the L4T packages with apt-mark hold; the release does not support this board",
    ),
    (
        r"dpkg: error processing (?:package|archive) (\S+).*:\n\s*(.+)",
        "package {0} could not be set up",
        "{1}",
        "look at the lines above it, mend the cause, then run the task apt: {{state: fixed}}",
    ),
    (
        r"Held packages were changed and -y was used without --allow-change-held-packages",
        "held packages would have to change",
        "somebody put them on hold: 'apt-mark showhold' lists them",
        "name other versions, or set allow_change_held_packages: true",
    ),
    (
        r"Packages were downgraded and -y was used without --allow-downgrades",
        "packages would have to be downgraded",
        "an installed version is newer than the one asked for",
        "set allow_downgrade: true if that is what you want",
    ),
    (
        r"E: Unable to locate package (\S+)",
        "there is no package {0}",
        "no package list of this device has it",
        "check its name, run the task with update_cache: true, or add its repository",
    ),
    (
        r"E: Version '([^']*)' for '([^']*)' was not found",
        "package {1} has no version {0}",
        "the device's package lists have other versions",
        "see 'apt-cache policy {1}' on the device",
    ),
    (
        r"E: Package '(\S+)' has no installation candidate",
        "package {0} cannot be installed",
        "other packages refer to it, but no list has it",
        "run the task with update_cache: true, or add its repository",
    ),
    (
        r"You don't have enough free space in (\S+?)\.?\s|No space left on device",
        "the disk is full",
        "the packages do not fit",
        "free some space: 'apt-get clean', old logs; a 16 GB board has 1 to 2 GB to spare",
    ),
    (
        r"unmet dependencies",
        "dependencies cannot be met",
        "packages asked for need others that cannot be installed",
        "mend with the task apt: {{state: fixed}}, or name the versions of one release",
    ),
    (
        r"NO_PUBKEY (\S+)",
        "a repository's key is missing",
        "its package lists are signed with key {0}",
        "put the repository's key into /usr/share/keyrings and name it with [signed-by=...]",
    ),
    (
        r"Temporary failure resolving '([^']*)'",
        "the device has no name resolution",
        "{0} was not found",
        "connect the device to the internet, or set its DNS server",
    ),
    (
        r"Could not connect to (\S+)",
        "the device cannot reach {0}",
        "the connection was refused or timed out",
        "check its network, or a proxy in /etc/apt/apt.conf.d",
    ),
    (
        r"Could not open lock file \S+ - open \(13\b|are you root\?",
        "only root may do this",
        "apt-get was run as an ordinary user",
        "run the task with become: true",
    ),
)

PIP = (
    (
        r"No module named '?pip'?",
        "there is no pip on this device",
        "the system's Python comes without it",
        "install it first: apt: {{name: python3-pip}}",
    ),
    (
        r"externally-managed-environment",
        "this Python is managed by the distribution",
        "pip refuses to install into it (PEP 668)",
        "use virtualenv:, or set break_system_packages: true",
    ),
    (
        r"Illegal instruction",
        "Python was killed by an illegal instruction",
        "numpy 1.19.5 does that on Cortex-A57 (Nano, TX1, TX2)",
        "pin numpy==1.19.4, or set OPENBLAS_CORETYPE=ARMV8 in the environment",
    ),
    (
        r"nvcc not in path|fatal error: (cuda\w*\.h): No such file",
        "the CUDA compiler is not found",
        "CUDA's folders are not on the path of this build",
        "use the modules cuda_paths and pycuda, or set PATH and CPATH in environment:",
    ),
    (
        r"Python version >= ([\d.]+) required",
        "pip chose a version for a newer Python",
        "this pip ignores what a package says of Python >= {0}",
        "upgrade pip first: pip: {{name: 'pip<22'}}",
    ),
    (
        r"No matching distribution found for (.+)",
        "there is no {0} for this Python and machine",
        "the index has none, or cannot be reached",
        "check the name and version; on aarch64 with Python 3.6 few wheels exist",
    ),
    (
        r"certificate is not yet valid",
        "the device's clock is behind",
        "the server's certificate is not valid yet by this clock",
        "set the clock first: the module clock_sync does",
    ),
    (
        r"No space left on device",
        "the disk is full",
        "the packages do not fit",
        "free some space: ~/.cache/pip, 'apt-get clean', old logs",
    ),
    (
        r"Permission denied",
        "the packages cannot be written",
        "this user may not write into Python's folder",
        "run the task with become: true, or add extra_args: --user",
    ),
    (
        r"Temporary failure in name resolution|Name or service not known",
        "the device has no name resolution",
        "the package index was not found",
        "connect the device to the internet, or set its DNS server",
    ),
    (
        r"error: command '?(\S+?)'? failed",
        "a package could not be compiled",
        "{0} failed",
        "see stderr for the compiler's message; its headers are probably missing",
    ),
)


def explain(table, text):
    """(what, why, remedy) of the first row whose pattern is in `text`, or None."""
    text = text.replace("\r\n", "\n")  # apt gives dpkg a terminal
    for pattern, what, why, remedy in table:
        match = re.search(pattern, text)
        if match:
            groups = [(group or "").strip() for group in match.groups()]
            return tuple(part.format(*groups) for part in (what, why, remedy))
    return None


def last_error(text):
    """The most telling line of a tool's output: the last that says error, or the last at all."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(E:|ERROR|error|dpkg: error|fatal)", line)]
    return (errors or lines or [""])[-1]
