"""The engine file of the lab: an ONNX graph with what decides whether a device may load it, and the true refusals."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import asdict, dataclass, field
from typing import Any

from trt_log import Log, release

MAGIC = b"FLEETVRT"
_LENGTHS = struct.Struct("<II32s")

# Of each release's plan format. Only their being different means anything.
SERIALIZATION = {
    (7, 1): 43,
    (8, 0): 97,
    (8, 2): 205,
    (8, 4): 213,
    (8, 5): 228,
    (8, 6): 236,
    (10, 3): 239,
    (10, 13): 242,
}


class EngineError(Exception):
    """The file does not load here; everything has been said in the log."""


@dataclass
class Engine:
    """An engine in memory.

    `bindings` are dicts {name, input: bool, dtype: "fp32", shape: [int or -1]}; `profile` has {name: {min, opt, max}}
    of the dynamic inputs; `layers` are the names of the layers.
    """

    tensorrt: str
    sm: str
    platform: str
    device: str
    precision: list[str]
    bindings: list[dict[str, Any]]
    profile: dict[str, dict[str, list[int]]]
    layers: list[str]

    onnx: bytes = field(default=b"", repr=False)

    def pack(self) -> bytes:
        header = {key: value for key, value in asdict(self).items() if key != "onnx"}
        text = json.dumps(header, sort_keys=True).encode()
        digest = hashlib.sha256(text + self.onnx).digest()
        return MAGIC + _LENGTHS.pack(len(text), len(self.onnx), digest) + text + self.onnx


def load(data: bytes, trt: dict[str, Any], log: Log) -> Engine:
    """Unpack an engine for this device.

    Raises:
        EngineError: not an engine, cut short, or built by another TensorRT, for another GPU or platform.
    """
    engine = unpack(data)
    if engine is None:
        _say_magic(log)
        raise EngineError("magic")
    if engine.tensorrt != trt["version"]:
        _say_version(engine.tensorrt, trt["version"], log)
        raise EngineError("version")
    if engine.platform != trt["platform"]:
        log.error_code(
            1,
            "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion header.pad == "
            "expectedPlatformTag failed. Platform specific tag mismatch detected. TensorRT plan files are only "
            "supported on the target runtime platform they were created on.)",
        )
        raise EngineError("platform")
    if engine.sm != trt["sm"]:
        _say_compute(engine.sm, trt["sm"], log)
        raise EngineError("compute")
    return engine


def unpack(data: bytes) -> Engine | None:
    """The engine of a file's bytes, whoever built it; None for anything else, also for half an engine."""
    start = len(MAGIC) + _LENGTHS.size
    if not data.startswith(MAGIC) or len(data) < start:
        return None
    text_size, onnx_size, digest = _LENGTHS.unpack(data[len(MAGIC) : start])
    body = data[start : start + text_size + onnx_size]
    if hashlib.sha256(body).digest() != digest:
        return None
    return Engine(**json.loads(body[:text_size]), onnx=body[text_size:])


def _number(version: str) -> int:
    wanted = release(version)[:2]
    return next((n for known, n in reversed(SERIALIZATION.items()) if known <= wanted), 1)


def _say_magic(log: Log) -> None:
    if log.version < (8, 0, 0):
        log.error(
            "[TRT] coreReadArchive.cpp (31) - Serialization Error in verifyHeader: 0 (Magic tag does not match)\n"
            "[TRT] INVALID_STATE: std::exception\n"
            "[TRT] INVALID_CONFIG: Deserialize the cuda engine failed."
        )
        return
    log.error_code(
        1,
        f"{_reader(log)}Error Code 1: Serialization (Serialization assertion magicTagRead == kMAGIC_TAG failed."
        "Magic tag does not match)",
    )
    _say_failed(log)


def _say_version(theirs: str, ours: str, log: Log) -> None:
    if log.version < (8, 0, 0):
        log.error(
            "[TRT] coreReadArchive.cpp (38) - Serialization Error in verifyHeader: 0 (Version tag does not match)\n"
            "[TRT] INVALID_STATE: std::exception\n"
            "[TRT] INVALID_CONFIG: Deserialize the cuda engine failed."
        )
        return
    names = ("stdVersionRead", "serializationVersion")
    if (8, 4, 0) <= log.version < (8, 6, 0):
        names = ("safeVersionRead", "safeSerializationVersion")
    log.error_code(
        1,
        f"{_reader(log)}Error Code 1: Serialization (Serialization assertion {names[0]} == {names[1]} failed."
        f"Version tag does not match. Note: Current Version: {_number(ours)}, "
        f"Serialized Engine Version: {_number(theirs)})",
    )
    _say_failed(log)


def _reader(log: Log) -> str:
    if log.version >= (10, 0, 0):
        return "IRuntime::deserializeCudaEngine: "
    if log.version >= (8, 6, 0):
        return "[stdArchiveReader.cpp::nvinfer1::rt::StdArchiveReader::StdArchiveReaderInitCommon::46] "
    return "[stdArchiveReader.cpp::StdArchiveReader::40] "


def _say_failed(log: Log) -> None:
    if log.version >= (10, 0, 0):
        return
    line = 50 if log.version < (8, 4, 0) else 65
    log.error_code(
        4, f"[runtime.cpp::deserializeCudaEngine::{line}] Error Code 4: Internal Error (Engine deserialization failed.)"
    )


def _say_compute(theirs: str, ours: str, log: Log) -> None:
    text = f"The engine plan file is generated on an incompatible device, expecting compute {ours} got compute {theirs}"
    if log.version >= (10, 0, 0):
        log.error_code(6, f"IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error ({text})")
    elif log.version >= (8, 0, 0) and log.version[1] > 0:
        log.error_code(6, f"{text}, please rebuild.")
        _say_failed(log)
    else:
        log.error(f"[TRT] INVALID_CONFIG: {text}, please rebuild.")
        log.error(
            "[TRT] engine.cpp (1646) - Serialization Error in deserialize: 0 (Core engine deserialization failure)"
        )
