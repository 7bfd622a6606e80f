"""The faults that a virtual device can be given; without imports, for the lab uses it too."""

FAULTS = {
    "apt_lock": "unattended-upgr holds the package locks, for good or for VALUE seconds",
    "clock_1970": "the clock starts in 1970, and again at each boot until it was set; VALUE: another date, in seconds",
    "disk_full": "the disk has 20 MB left, or VALUE MB",
    "half_configured": "the package VALUE (default nvidia-l4t-bootloader) is not set up; dpkg --configure -a mends it",
    "held": "the packages VALUE (comma-separated, default nvidia-l4t-core) are on hold",
    "missing_group": "the login user is not in the group VALUE (default video)",
    "numpy_illegal_instruction": "numpy 1.19.5 is installed, which ends Python on Cortex-A57",
    "pycuda_other_cuda": "pip's cache has a wheel of pycuda for another CUDA, and it is installed; VALUE: its version",
    "read_only": "the file system is read-only, as after errors of a disk",
    "sudo_asks": "sudo asks for the login user's password",
    "sudo_wrong_password": "sudo asks for a password that nobody knows",
    "trtexec_killed": "the kernel kills a trtexec that may use more than VALUE MiB (default 1)",
    "unconfigurable": "the package VALUE (default nvidia-l4t-bootloader) cannot be set up, whatever one does",
}
"""Name: what it does."""


def parse(text: str) -> tuple[str, str]:
    """Name and value of `NAME` or `NAME:VALUE`. Raises ValueError for one that is not known."""
    name, _, value = text.partition(":")
    if name not in FAULTS:
        raise ValueError(name)
    return name, value
