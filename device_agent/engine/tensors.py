"""Raw tensor files and trtexec's JSON of outputs: sizes, casts, counts of NaN and Inf.

Raw files are little-endian and dense, as trtexec reads and writes them on every board; numpy is not needed.
"""

import array
import math
import re

from ..errors import JobError

# bytes of one element, and the array type that reads it (None: counted bit by bit below)
ITEM_BYTES = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
ARRAY_TYPES = {"float32": "f", "int64": "q", "int32": "i", "int8": "b", "uint8": "B", "bool": "B"}
# All exponent bits set means NaN (any fraction bit) or Inf (none).
HALF_EXPONENTS = {"float16": 0x7C00, "bfloat16": 0x7F80}

# How trtexec spells types in the names of raw files and in its log (operator<< of nvinfer1::DataType), lower case.
SPELLED = {
    "float": "float32",
    "fp32": "float32",
    "half": "float16",
    "fp16": "float16",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "int32": "int32",
    "int64": "int64",
    "int8": "int8",
    "uint8": "uint8",
    "bool": "bool",
}

_NAME = re.compile(r'"name"\s*:\s*"([^"]*)"')
_DIMENSIONS = re.compile(r'"dimensions"\s*:\s*"([^"]*)"')
_VALUES = re.compile(r'"values"\s*:\s*\[')
_NEXT = re.compile(r'\]\s*\}\s*(?:,\s*\{\s*"name"|\]\s*$)')


def volume(shape):
    """Number of elements of a shape; 1 for a scalar."""
    count = 1
    for n in shape:
        count *= n
    return count


def size_bytes(dtype, shape):
    """Bytes of a raw tensor. raises: KeyError for a type that no engine has."""
    return ITEM_BYTES[dtype] * volume(shape)


def read(path, dtype):
    """A raw file as array.array (float16 and bfloat16 as their 16 bits)."""
    with open(path, "rb") as stream:
        raw = stream.read()
    return array.array(ARRAY_TYPES.get(dtype, "H"), raw)


def count_nonfinite(path, dtype):
    """(NaN, Inf) in a raw file."""
    if dtype not in HALF_EXPONENTS and dtype != "float32":
        return 0, 0
    values = read(path, dtype)
    if dtype == "float32":
        # A sum of floats in double precision stays finite unless a term is not: one fast pass for the usual case.
        if math.isfinite(sum(values)):
            return 0, 0
        nan = sum(1 for value in values if value != value)
        return nan, sum(1 for value in values if math.isinf(value))
    exponent = HALF_EXPONENTS[dtype]
    special = [value & 0x7FFF for value in values if value & exponent == exponent]
    inf = special.count(exponent)
    return len(special) - inf, inf


def cast_int64_to_int32(source, target, name):
    """Write an int64 raw file as int32. raises: JobError (spec) where a value does not fit."""
    values = read(source, "int64")
    try:
        narrow = array.array("i", values)
    except OverflowError:
        worst = max(values, key=abs)
        raise JobError(
            "spec",
            "input '{}' does not fit the engine".format(name),
            "the engine takes int32 and the input holds {}".format(worst),
            "TensorRT before 10 has no int64 inputs; keep indices below 2147483648",
        )
    with open(target, "wb") as stream:
        narrow.tofile(stream)


def parse_export(text, dtypes=None):
    """trtexec's `--exportOutput` file: [(name, dtype, shape, array)].

    It is no JSON: C++ prints nan, -nan, inf and, for int8 before 8.5, characters.

    args:
        dtypes (dict or None): type of an output by name; float32 otherwise
    raises:
        JobError (tool): not of this form, values that are no numbers, or not as many as the shape has
    """
    outputs = []
    position = 0
    while True:
        name = _NAME.search(text, position)
        if not name:
            break
        dimensions = _DIMENSIONS.search(text, name.end())
        values = _VALUES.search(text, dimensions.end()) if dimensions else None
        end = text.find("]", values.end()) if values else -1
        if end < 0:
            raise _unreadable(name.group(1), "its entry is cut short")
        # An int8 printed as a character may itself be a bracket: the entry ends where the next begins.
        closing = _NEXT.search(text, values.end())
        end = closing.start() if closing else end
        dtype = (dtypes or {}).get(name.group(1), "float32")
        shape = [int(n) for n in re.findall(r"\d+", dimensions.group(1))]
        data = _numbers(text[values.end() : end], dtype, name.group(1))
        if len(data) != volume(shape):
            why = "{} values for shape {}".format(len(data), "x".join(str(n) for n in shape))
            raise _unreadable(name.group(1), why)
        outputs.append((name.group(1), dtype, shape, data))
        position = end + 1
    if not outputs:
        raise JobError("tool", "trtexec exported no outputs", "its file names none", "see output.log of the job")
    return outputs


def _numbers(text, dtype, name):
    if not text.strip():
        return array.array("f")
    convert = float if dtype in ("float32", "float16", "bfloat16") else int
    try:
        return array.array(ARRAY_TYPES.get(dtype, "f"), [convert(token) for token in text.split(",")])
    except (ValueError, OverflowError):
        raise _unreadable(name, "its values are no numbers of type {}".format(dtype))


def _unreadable(name, why):
    return JobError(
        "tool",
        "output '{}' cannot be read".format(name),
        why + "; trtexec before 8.5 prints int8 as characters",
        "give the model a float output (a Cast at the end of the graph)",
    )
