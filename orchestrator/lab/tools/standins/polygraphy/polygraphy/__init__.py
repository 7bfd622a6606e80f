"""polygraphy of a virtual device: it can be imported, and knows its version."""

__version__ = "@VERSION@"
