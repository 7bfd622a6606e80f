"""From an nn.Module to an ONNX graph of the opset asked for, and the outputs that are right (needs torch)."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from orchestrator.errors import ModelError
from orchestrator.models import graphs
from orchestrator.models.references import Arrays
from orchestrator.models.sources import BROKEN, users_frame
from orchestrator.models.spec import Variant

OPSETS = range(7, 21)
"""What the TorchScript exporter can write. The newer one gives opset 18 whatever is asked, so it is not used."""


class _Flat(torch.nn.Module):
    """The network as a function of tensors in order to a tuple of tensors, in fp32 or fp16 inside."""

    def __init__(self, network: torch.nn.Module, half: bool) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).half() if half else network
        self.half_inside = half

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self.half_inside:
            inputs = tuple(i.half() if i.dtype == torch.float32 else i for i in inputs)
        outputs = tuple(_flatten(self.network(*inputs)))
        if self.half_inside:
            outputs = tuple(o.float() if o.dtype == torch.float16 else o for o in outputs)
        return outputs


def _flatten(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _flatten(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _flatten(item)
    elif value is not None:
        raise ModelError(f"the network returned a {type(value).__name__}", "outputs must be tensors")


def reference_outputs(network: torch.nn.Module, feeds: Sequence[Arrays], names: Sequence[str]) -> list[Arrays]:
    """What the network gives in fp32, launch by launch. Raises ModelError as `network_outputs`, and for NaN or Inf."""
    results = network_outputs(network, feeds, names)
    refuse_not_finite(results, "the PyTorch network in fp32")
    return results


def network_outputs(
    network: torch.nn.Module, feeds: Sequence[Arrays], names: Sequence[str], *, half: bool = False
) -> list[Arrays]:
    """What the network gives, launch by launch.

    Args:
        feeds: inputs in the order of the network's arguments.
        names: names for the outputs; empty: `output`, or `output_0`, `output_1`, ...
        half: compute in fp16, every result rounded as a device would.

    Raises:
        ModelError: the network rejects the inputs, or has another number of outputs than `names`.
    """
    flat = _Flat(network, half)
    results: list[Arrays] = []
    for feed in feeds:
        tensors = [torch.from_numpy(array) for array in feed.values()]
        try:
            with torch.no_grad():
                outputs = flat(*tensors)
        except ModelError:
            raise
        except BROKEN as error:
            raise _rejected(error, feed) from None
        names = names or (["output"] if len(outputs) == 1 else [f"output_{i}" for i in range(len(outputs))])
        if len(names) != len(outputs):
            why = f"`outputs` names {len(names)}: {', '.join(names)}"
            raise ModelError(f"the network has {len(outputs)} outputs", why, "name all of them, or none")
        results.append(dict(zip(names, (o.detach().contiguous().numpy() for o in outputs), strict=True)))
    return results


def refuse_not_finite(results: Sequence[Arrays], origin: str) -> None:
    """Raises ModelError where a reference holds NaN or Inf: nothing can be judged against it."""
    import numpy as np

    for index, outputs in enumerate(results):
        for name, array in outputs.items():
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                nan, inf = int(np.isnan(array).sum()), int(np.isinf(array).sum())
                raise ModelError(
                    f"the reference is not finite: {nan} NaN and {inf} Inf in output '{name}'",
                    f"{origin} gave them for sample launch {index + 1} of {len(results)}",
                    "check the weights and the sample inputs (`samples.inputs`, or the inputs' `range`)",
                )


def export_onnx(
    network: torch.nn.Module,
    variant: Variant,
    feed: Arrays,
    outputs: Arrays,
    opset: int,
    *,
    half: bool,
    axes: Mapping[str, Mapping[int, str]],
) -> Any:
    """The network as an onnx.ModelProto.

    Args:
        feed, outputs: one launch, at the variant's usual shapes, and what the network gives for it.
        axes: names of the open dimensions of inputs and outputs.

    Raises:
        ModelError: an operator that this opset cannot express, or code that cannot be traced (at the user's line).
    """
    import onnx

    if opset not in OPSETS:
        known = f"{OPSETS.start} to {OPSETS.stop - 1}"
        raise ModelError(f"opset {opset} cannot be exported", f"torch's exporter writes {known}", "mend `opset`")
    flat = _Flat(network, half)
    flat.eval()
    tensors = tuple(torch.from_numpy(array) for array in feed.values())
    file = io.BytesIO()
    try:
        with torch.no_grad():
            # The exporter cannot trace through a TorchScript program, but takes one that was traced around it.
            scripted = isinstance(network, torch.jit.ScriptModule)
            torch.onnx.export(
                torch.jit.trace(flat, tensors, check_trace=False) if scripted else flat,
                tensors,
                file,  # type: ignore[arg-type]
                opset_version=opset,
                dynamo=False,
                input_names=[binding.name for binding in variant.inputs],
                output_names=list(outputs),
                dynamic_axes={name: dict(named) for name, named in axes.items() if named},
            )
    except torch.onnx.errors.UnsupportedOperatorError as error:
        raise ModelError(
            f"torch cannot write this network at opset {opset}",
            graphs.first_line(error),
            "set a higher `opset`, as far as the device's TensorRT goes, or express that part in other operators",
        ) from None
    except BROKEN as error:
        why = f"{type(error).__name__}: {graphs.first_line(error)}"
        what = f"the network cannot be exported at opset {opset}" + (" in fp16" if half else "")
        raise ModelError(what, why, location=users_frame(error)) from None
    model = onnx.load_from_string(file.getvalue())
    if graphs.opset_of(model) != opset:
        what = f"opset {opset} was asked for, and the exporter wrote {graphs.opset_of(model)}"
        raise ModelError(what, f"torch {torch.__version__}", "install the torch version of constraints.txt")
    graphs.lower_ir(model)
    _unwrap(model.graph)
    return onnx.shape_inference.infer_shapes(model)


def _rejected(error: BaseException, feed: Arrays) -> ModelError:
    shapes = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in feed.items())
    why = f"{type(error).__name__}: {graphs.first_line(error)}"
    remedy = "mend the shapes or dtypes of `inputs` (they are passed in this order)"
    return ModelError(f"the network rejects the inputs {shapes}", why, remedy, location=users_frame(error))


def _unwrap(graph: Any, taken: frozenset[str] | None = None) -> None:
    """Take our wrapper's name out of the names that the exporter made from the path of modules."""
    if taken is None:
        taken = frozenset(_names(graph))

    def bare(name: str) -> str:
        shorter = name.removeprefix("network.") if name.startswith("network.") else name.replace("/network/", "/", 1)
        return name if shorter in taken else shorter

    for node in graph.node:
        node.name = bare(node.name)
        node.input[:] = [bare(name) for name in node.input]
        node.output[:] = [bare(name) for name in node.output]
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                _unwrap(inner, taken)
    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        value.name = bare(value.name)


def _names(graph: Any) -> Iterator[str]:
    for value in [*graph.input, *graph.output, *graph.initializer]:
        yield value.name
    for node in graph.node:
        yield from [node.name, *node.output]
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                yield from _names(inner)
