"""Tools that pycuda brings."""
