"""The ONNX parser of each TensorRT: what it imports, what it refuses and with which words."""

from __future__ import annotations

import csv
import os
from typing import Any

from trt_log import Log, release

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "onnx_operators.csv")
RULE = "-" * 64


class ParserError(Exception):
    """The model was refused; everything has been said in the log."""


def importers(version: str) -> set[str]:
    """Operators that the parser of this TensorRT imports (the nearest older release of the table)."""
    with open(TABLE, encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    wanted = release(version)[:2]
    columns = [n for n, name in enumerate(rows[0]) if n and tuple(map(int, name.split("."))) <= wanted]
    column = columns[-1] if columns else 1
    return {row[0] for row in rows[1:] if row[column]}


def load(path: str, version: str, log: Log) -> Any:
    """Read and import an ONNX file.

    Returns:
        the onnx.ModelProto.

    Raises:
        ParserError: not readable, not ONNX, or with an operator that this parser lacks.
    """
    import onnx

    if not os.path.isfile(path):
        log.error(f"[TRT] ModelImporter.cpp:735: Failed to parse ONNX model from file: {path}")
        log.error("Failed to parse onnx file")
        raise ParserError(path)
    try:
        model = onnx.load(path)
        if not model.graph.node:
            raise ValueError("no nodes")
    except Exception:
        log.error(f"[TRT] ModelImporter.cpp:735: Failed to parse ONNX model from file: {path}")
        log.error("Failed to parse onnx file")
        raise ParserError(path) from None
    _header(model, path, log)
    _warn_int64(model, log)
    _check_operators(model, importers(version), log)
    return model


def _header(model: Any, path: str, log: Log) -> None:
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    ir = f"{model.ir_version // 10000}.{model.ir_version // 100 % 100}.{model.ir_version % 100}"
    lines = [
        ("Input filename:", path),
        ("ONNX IR version:", ir),
        ("Opset version:", opset),
        ("Producer name:", model.producer_name),
        ("Producer version:", model.producer_version),
        ("Domain:", model.domain),
        ("Model version:", model.model_version),
        ("Doc string:", model.doc_string),
    ]
    log.info(f"[TRT] {RULE}")
    for label, value in lines:
        log.info(f"[TRT] {label:<16} {value}")
    log.info(f"[TRT] {RULE}")


def _warn_int64(model: Any, log: Log) -> None:
    import onnx

    if log.version >= (10, 0, 0):
        return
    tensors = [*model.graph.initializer]
    tensors += [a.t for node in model.graph.node for a in node.attribute if a.type == onnx.AttributeProto.TENSOR]
    inputs = [value.type.tensor_type.elem_type for value in model.graph.input]
    if any(t.data_type == onnx.TensorProto.INT64 for t in tensors) or onnx.TensorProto.INT64 in inputs:
        place = "onnx2trt_utils.cpp:369" if log.version < (8, 5, 0) else "onnx2trt_utils.cpp:377"
        log.warning(
            f"[TRT] {place}: Your ONNX model has been generated with INT64 weights, while TensorRT does not "
            "natively support INT64. Attempting to cast down to INT32."
        )


def _check_operators(model: Any, known: set[str], log: Log) -> None:
    functions = {function.name for function in model.functions}
    for number, node in enumerate(model.graph.node):
        for operator in _operators(node):
            if operator not in known and operator not in functions:
                _refuse(number, node, operator, log)
                raise ParserError(operator)


def _operators(node: Any) -> list[str]:
    import onnx

    found = [node.op_type]
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:
                found += _operators(inner)
    return found


def _refuse(number: int, node: Any, operator: str, log: Log) -> None:
    output = node.output[0] if node.output else ""
    importer = "importFallbackPluginImporter"
    log.info(f"[TRT] No importer registered for op: {operator}. Attempting to import as plugin.")
    log.info(f"[TRT] Searching for plugin: {operator}, plugin_version: 1, plugin_namespace: ")
    if log.version >= (10, 0, 0):
        log.error(
            f"[TRT] IPluginRegistry::getCreator: Error Code 4: API Usage Error (Cannot find plugin: {operator}, "
            "version: 1, namespace:.)"
        )
    else:
        log.error(f"[TRT] 3: getPluginCreator could not find plugin: {operator} version: 1")
    log.error(f'[TRT] ModelImporter.cpp:720: While parsing node number {number} [{node.op_type} -> "{output}"]:')
    log.error("[TRT] ModelImporter.cpp:721: --- Begin node ---")
    for line in str(node).rstrip().split("\n"):
        log.error(f"[TRT] {line}")
    log.error("[TRT] ModelImporter.cpp:722: --- End node ---")
    log.error(
        f"[TRT] ModelImporter.cpp:726: ERROR: builtin_op_importers.cpp:4870 In function {importer}:\n"
        '[8] Assertion failed: creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
    )
    log.error("Failed to parse onnx file")
