"""TensorRT's Python binding of a virtual device, as far as its version is asked for."""

__version__ = "@VERSION@"


class Logger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self, min_severity=2):
        self.min_severity = min_severity


def nptype(trt_type):
    """The numpy type of a TensorRT type; releases up to 8.5 name one that numpy 1.24 took away."""
    import numpy

    if [int(part) for part in __version__.split(".")[:2]] <= [8, 5]:
        return {"bool": numpy.bool}.get(trt_type)
    return {"bool": bool}.get(trt_type)
