"""pycuda of a virtual device."""

VERSION_TEXT = "@VERSION@"
VERSION = tuple(int(part) for part in VERSION_TEXT.split(".") if part.isdigit())
