"""A graph on its way from PyTorch (or a ready .onnx file) to what is sanitized, with its right outputs beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import ModelError
from orchestrator.models import graphs
from orchestrator.models.numerics import GRAPH, HALF, objection
from orchestrator.models.pool import send_progress
from orchestrator.models.references import Arrays, Launch
from orchestrator.models.samples import shrink
from orchestrator.models.sanitize import measured, step_record
from orchestrator.models.sources import load_network
from orchestrator.models.spec import ModelSpec, Variant
from orchestrator.models.surgery import operate
from orchestrator.models.torch_export import export_onnx, network_outputs, reference_outputs, refuse_not_finite

COMPARED_LAUNCHES = 8
"""Each step of a graph is compared on at most so many launches, since an engine is judged on no more."""


@dataclass
class Draft:
    """A graph on its way, with everything that is computed along it."""

    model: Any
    feeds: list[Arrays]
    """Inputs of every sample launch."""
    expected: list[Arrays]
    """Right outputs of every sample launch."""
    probes: list[Arrays]
    """Inputs on which steps are compared: the first launches, and one of the smallest shapes."""
    steps: list[dict[str, Any]]
    origin: dict[str, str]
    """Per output, where the right values come from."""
    before: dict[str, str] = field(default_factory=dict)
    """What surgery renamed: new tensor name -> name in the graph as it was exported."""


class Progress:
    """Says which step begins and what fraction of the steps is done; called with the step's name."""

    def __init__(self, spec: ModelSpec) -> None:
        onnx = spec.source.format == "onnx"
        self._steps = (
            ["load graph", "reference outputs"] if onnx else ["load checkpoint", "reference outputs", "export"]
        )
        self._steps += ["surgery"] * bool(spec.surgery) + ["half"] * spec.half
        self._steps += ["fold constants"] + ["simplify"] * spec.simplify + ["check", "store"]

    def __call__(self, step: str) -> None:
        # `convert opset` shows only once the graph is read; it counts as part of the step before.
        known = step in self._steps
        send_progress(step, self._steps.index(step) / len(self._steps) if known else None)


def from_torch(
    spec: ModelSpec, opset: int, variant: Variant, launches: list[Launch], progress: Progress
) -> tuple[Draft, Callable[[], Any] | None]:
    """Export a PyTorch network in fp32; and, where the specification asks for it, what makes the fp16 graph.

    Raises:
        ModelError: the checkpoint, the factory, the inputs or the export (see the modules that do each).
    """
    progress("load checkpoint")
    network = load_network(spec)
    progress("reference outputs")
    feeds = [launch.inputs for launch in launches]
    expected = reference_outputs(network, feeds, spec.outputs)
    names = list(expected[0])
    traced = shrink(launches[0], variant, "opt")
    (traced_outputs,) = reference_outputs(network, [traced], names)
    axes = _axes(variant, traced, traced_outputs)

    def graph(half: bool) -> Any:
        return export_onnx(network, variant, traced, traced_outputs, opset, half=half, axes=axes)

    progress("export")
    model = graph(half=False)
    probes = _probes(launches, variant)
    right = expected[:COMPARED_LAUNCHES]
    right += reference_outputs(network, probes[len(right) :], names)
    errors = _measured_or_refused(right, model, probes, "the exported graph")
    if reason := objection(errors, GRAPH):
        raise ModelError(
            f"the graph exported at opset {opset} does not compute what PyTorch does",
            reason,
            "look for Python branches, loops or sizes that depend on the input: the exporter follows one input only",
        )
    step = step_record("export", model, errors)
    draft = Draft(model, feeds, expected, probes, [step], dict.fromkeys(names, "pytorch"))

    def half_graph() -> Any:
        # ONNX Runtime computes fp16 graphs partly in fp32 and never overflows; PyTorch rounds every result.
        _refuse_half(objection(measured(right, network_outputs(network, probes, names, half=True), HALF), HALF))
        return graph(half=True)

    return draft, half_graph if spec.half else None


def from_onnx(
    spec: ModelSpec, opset: int, variant: Variant, launches: list[Launch], progress: Progress
) -> tuple[Draft, None]:
    """Read a ready graph, fit it to the variant's shapes, and convert its opset where it must be.

    Raises:
        ModelError: not readable, other inputs than the specification's, not convertible.
    """
    progress("load graph")
    model = graphs.fit(graphs.load_onnx(spec.source.checkpoint), variant, spec.outputs)
    progress("reference outputs")
    feeds = [launch.inputs for launch in launches]
    expected = graphs.run(model, feeds)
    refuse_not_finite(expected, f"{spec.source.checkpoint.name} in ONNX Runtime")
    draft = Draft(model, feeds, expected, _probes(launches, variant), [], {})
    draft.origin = dict.fromkeys(expected[0], "onnxruntime")
    draft.steps.append(step_record("read", model, {}))
    has = graphs.opset_of(model)
    # A lower opset than the device's ceiling is fine as it is; converting is asked for, or needed, or not done.
    if has > opset or (spec.opset is not None and has != opset):
        progress("convert opset")
        converted = graphs.convert_opset(model, opset)
        right = graphs.run(model, draft.probes)
        errors = _measured_or_refused(right, converted, draft.probes, f"the graph in opset {opset}")
        if reason := objection(errors, GRAPH):
            remedy = f"export the .onnx file at opset {opset} from its own framework"
            raise ModelError(f"converted from opset {has} to {opset} the graph computes something else", reason, remedy)
        draft.model = converted
        draft.steps.append(step_record("convert opset", converted, errors))
    return draft, None


def _measured_or_refused(right: list[Arrays], model: Any, feeds: list[Arrays], what: str) -> dict[str, Any]:
    """Distances of the graph's outputs from the right ones. Raises ModelError where their shapes differ."""

    try:
        return measured(right, graphs.run(model, feeds), GRAPH)
    except ValueError as error:
        remedy = "a size that depends on the input was fixed while the network was followed; use the tensor's own shape"
        raise ModelError(f"{what} gives outputs of another form", str(error), remedy) from None


def apply_surgery(draft: Draft, spec: ModelSpec, progress: Progress) -> None:
    """Apply the user's surgery to the fp32 graph, and see what becomes of inputs and right outputs."""

    progress("surgery")
    operated = operate(draft.model, spec.surgery)
    inputs, outputs = graphs.input_names(operated.model), graphs.output_names(operated.model)
    inner = [operated.origin(name) for name in [*inputs, *outputs]]

    def through(feeds: list[Arrays]) -> tuple[list[Arrays], list[Arrays]]:
        """Inputs and outputs by their new names, as the graph had them before the surgery."""
        wanted = [name for name in inner if name not in draft.feeds[0]]
        values = [{**ran, **feed} for ran, feed in zip(graphs.run(draft.model, feeds, wanted), feeds, strict=True)]
        return (
            [{name: value[operated.origin(name)] for name in inputs} for value in values],
            [{name: value[operated.origin(name)] for name in outputs} for value in values],
        )

    feeds, _ = through(draft.feeds)
    probes, before = through(draft.probes)
    reason = None
    errors: dict[str, Any] = {}
    try:
        errors = measured(before, graphs.run(operated.model, probes), GRAPH)
        reason = objection(errors, GRAPH)
    except ValueError as error:
        reason = str(error)
    results = graphs.run(operated.model, feeds)
    refuse_not_finite(results, "the graph after surgery")
    known = {name: operated.origin(name) for name in outputs if operated.origin(name) in draft.expected[0]}
    kept = known if reason is None else {}
    step = step_record("surgery", operated.model, errors)
    if reason is not None:
        step["reason"] = f"asked for; it changes what is computed ({reason}), so the reference is the changed graph's"
    draft.steps.append(step)
    old = draft.expected
    draft.expected = [
        {name: right[kept[name]] if name in kept else ran[name] for name in outputs}
        for right, ran in zip(old, results, strict=True)
    ]
    draft.origin = {n: draft.origin[kept[n]] if n in kept else "onnxruntime" for n in outputs}
    draft.model, draft.feeds, draft.probes = operated.model, feeds, probes
    draft.before = operated.origins


def halve(draft: Draft, half: Any, spec: ModelSpec, progress: Progress) -> None:
    """Put the graph with fp16 arithmetic in the place of the fp32 one."""

    progress("half")
    if spec.surgery:
        half = operate(half, spec.surgery).model
    dtypes = {item["name"]: item["dtype"] for item in graphs.describe(half.graph.input)}
    right = graphs.run(draft.model, draft.probes)

    def cast(feeds: list[Arrays]) -> list[Arrays]:
        return [{name: array.astype(dtypes[name]) for name, array in feed.items()} for feed in feeds]

    draft.feeds, draft.probes = cast(draft.feeds), cast(draft.probes)
    try:
        errors = measured(right, graphs.run(half, draft.probes), HALF)
    except ValueError as error:
        raise ModelError("the fp16 graph gives outputs of another form", str(error), "remove `half: true`") from None
    _refuse_half(objection(errors, HALF))
    draft.model = half
    draft.steps.append(step_record("half", half, errors))


def _refuse_half(reason: str | None) -> None:
    if reason is not None:
        remedy = "remove `half: true`; TensorRT then chooses per layer, and the ladder of `precisions` decides"
        raise ModelError("the network does not bear fp16 (`half: true`)", reason, remedy)


def _probes(launches: list[Launch], variant: Variant) -> list[Arrays]:

    feeds = [launch.inputs for launch in launches[:COMPARED_LAUNCHES]]
    if variant.dynamic:
        # A size that was fixed by mistake shows at another size only.
        feeds.append(shrink(launches[0], variant, "min"))
    return feeds


def _axes(variant: Variant, feed: Arrays, outputs: Arrays) -> dict[str, dict[int, str]]:
    """Names of the open dimensions, by input and output."""
    axes = {
        binding.name: {
            axis: "batch" if axis == 0 and variant.batched else f"{binding.name}_{axis}"
            for axis, size in enumerate(binding.shape)
            if size == -1
        }
        for binding in variant.inputs
    }
    first = variant.inputs[0]
    if variant.batched and first.shape[0] == -1:
        rows = feed[first.name].shape[0]
        axes |= {name: {0: "batch"} for name, array in outputs.items() if array.ndim and array.shape[0] == rows}
    return axes
