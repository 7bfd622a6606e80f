"""pip of a virtual device: it installs stand-ins, without a network."""

__version__ = "@VERSION@"
