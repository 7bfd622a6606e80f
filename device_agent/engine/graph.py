"""Reads what a build must know from an ONNX file: types of its outputs, and whether it is quantized.

Protobuf is read field by field with seeks past the weights, so a large model costs neither memory nor time and no
library is needed. Field numbers are those of onnx.proto3.
"""

from ..errors import JobError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_OUTPUT = 1, 12
NODE_OPERATOR = 4
VALUE_NAME, VALUE_TYPE = 1, 2
TYPE_TENSOR = 1
TENSOR_ELEMENT = 1

# onnx.TensorProto.DataType
ELEMENTS = {
    1: "float32",
    2: "uint8",
    3: "int8",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    16: "bfloat16",
}


class Graph(object):
    """What was read.

    attributes:
        outputs (list of dict): name and dtype (None for a type that no engine has) of each output
        quantized (bool): some node is a QuantizeLinear
    """

    def __init__(self):
        self.outputs = []
        self.quantized = False


def read(path):
    """The Graph of an ONNX file. raises: JobError (spec) where it is not one."""
    graph = Graph()
    seen = False
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, 2)
            for number, start, end in _fields(stream, 0, size):
                if number == MODEL_GRAPH:
                    seen = True
                    _read_graph(stream, start, end, graph)
    except (ValueError, IndexError, UnicodeDecodeError) as problem:
        raise _not_onnx(str(problem))
    if not seen:
        raise _not_onnx("it holds no graph")
    return graph


def _read_graph(stream, start, end, graph):
    for number, first, last in _fields(stream, start, end):
        if number == GRAPH_NODE:
            operators = [_text(stream, a, b) for n, a, b in _fields(stream, first, last) if n == NODE_OPERATOR]
            graph.quantized = graph.quantized or operators == ["QuantizeLinear"]
        elif number == GRAPH_OUTPUT:
            graph.outputs.append(_read_value(stream, first, last))


def _read_value(stream, start, end):
    value = {"name": "", "dtype": None}
    for number, first, last in _fields(stream, start, end):
        if number == VALUE_NAME:
            value["name"] = _text(stream, first, last)
        elif number == VALUE_TYPE:
            for kind, a, b in _fields(stream, first, last):
                if kind == TYPE_TENSOR:
                    elements = [m for n, m, _ in _fields(stream, a, b) if n == TENSOR_ELEMENT]
                    value["dtype"] = ELEMENTS.get(elements[0]) if elements else None
    return value


def _fields(stream, start, end):
    """(field number, start, end) of each field between two offsets; for a varint (number, its value, None).

    raises: ValueError where the bytes are no protobuf or run past their end.
    """
    position = start
    while position < end:
        stream.seek(position)
        tag = _varint(stream)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value = _varint(stream)
            position = stream.tell()
            yield number, value, None
            continue
        if wire == BYTES:
            length = _varint(stream)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise ValueError("wire type {} at byte {}".format(wire, position))
        first = stream.tell()
        position = first + length
        if position > end:
            raise ValueError("a field at byte {} is cut short".format(first))
        yield number, first, position


def _varint(stream):
    value = shift = 0
    while True:
        byte = stream.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long at byte {}".format(stream.tell()))


def _text(stream, start, end):
    stream.seek(start)
    return stream.read(end - start).decode("utf-8")


def _not_onnx(why):
    return JobError("spec", "the ONNX file cannot be read", why, "export it again; it may have been cut short")
