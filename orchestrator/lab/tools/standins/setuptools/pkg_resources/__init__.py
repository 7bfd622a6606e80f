"""Part of the stand-in for setuptools."""
