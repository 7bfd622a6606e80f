"""The whole way from a specification to an export, as it runs in the worker process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.errors import ModelError
from orchestrator.models.pool import send_progress
from orchestrator.models.references import Arrays, Launch, pack
from orchestrator.models.spec import Binding, ModelSpec, Variant
from orchestrator.store import Store

COMPARED_LAUNCHES = 8
"""Each step of a graph is compared on at most so many launches, since an engine is judged on no more."""


@dataclass
class _Draft:
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


class _Progress:
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


def export(spec: ModelSpec, opset: int, variant: Variant, store_dir: str) -> dict[str, Any]:
    """Make an export; graph and reference go into the store.

    Returns:
        The fields of `Export` but key, sources and created; and `code` {absolute path: digest} and `packages`
        {distribution: version} that it depends on.

    Raises:
        ModelError: see `orchestrator.models.sources`, `.samples`, `.torch_export`, `.surgery`, `.sanitize`.
    """
    _import_heavy()
    from orchestrator.models import graphs
    from orchestrator.models.numerics import GRAPH, HALF
    from orchestrator.models.project import Recorder
    from orchestrator.models.samples import draw_launches
    from orchestrator.models.sanitize import sanitize

    store = Store(store_dir)
    apart = [path for path in (spec.source.checkpoint, spec.samples.inputs) if path]
    progress = _Progress(spec)
    with Recorder(spec.source.path, apart) as recorder:
        launches = draw_launches(spec, variant)
        make = _from_onnx if spec.source.format == "onnx" else _from_torch
        draft, half_graph = make(spec, opset, variant, launches, progress)
        raw = draft.model
        if spec.surgery:
            _operate(draft, spec, progress)
        if half_graph is not None:
            _halve(draft, half_graph(), spec, progress)
        gate = HALF if spec.half else GRAPH
        model, steps = sanitize(draft.model, draft.probes, gate, simplify=spec.simplify, progress=progress)
        bindings = _bindings(model, draft, raw, variant, launches)
        files, packages = recorder.files(), recorder.packages()
    progress("store")
    for launch, feed, outputs in zip(launches, draft.feeds, draft.expected, strict=True):
        launch.inputs, launch.outputs = feed, outputs
    reference = store.add_bytes(pack(launches))
    content = graphs.serialized(model)
    found = graphs.operators(model)
    return {
        "model": spec.name,
        "onnx": store.add_bytes(content),
        "opset": graphs.opset_of(model),
        "ir_version": model.ir_version,
        "size_bytes": len(content),
        "batch": variant.batch,
        "inputs": [binding.to_json() for binding in bindings],
        "outputs": graphs.describe(model.graph.output),
        "operators": found,
        "introduced": graphs.introduced(found),
        "steps": [*draft.steps, *steps],
        "reference": {
            "digest": reference,
            "samples": sum(launch.samples for launch in launches),
            "launches": len(launches),
            "labels": launches[0].labels is not None,
            "origin": draft.origin,
        },
        "warnings": _warnings(launches, variant),
        "code": {str(path): store.digests.digest(path) for path in files},
        "packages": packages,
    }


def sanitize_graph(
    source: str,
    target: str,
    surgery: Sequence[dict],
    opset: int | None,
    simplify: bool,
    shapes: Mapping[str, list[int]],
) -> dict[str, Any]:
    """Sanitize one .onnx file into another, each step compared on random inputs; see `commands.sanitize_file`."""
    from pathlib import Path

    import onnx

    from orchestrator.models import graphs
    from orchestrator.models.numerics import GRAPH, objection
    from orchestrator.models.sanitize import measured, sanitize, step_record
    from orchestrator.models.surgery import operate

    send_progress("load")
    model = graphs.load_onnx(Path(source))
    before = len(model.graph.node)
    steps = []
    if surgery:
        send_progress("surgery")
        model = operate(model, surgery).model
        steps.append(step_record("surgery", model, {}))
    graphs.lower_ir(model)
    feeds = [_random_feed(model, shapes)]
    if opset is not None and opset != graphs.opset_of(model):
        send_progress("convert opset")
        converted = graphs.convert_opset(model, opset)
        errors = measured(graphs.run(model, feeds), graphs.run(converted, feeds), GRAPH)
        if reason := objection(errors, GRAPH):
            raise ModelError(f"in opset {opset} the graph computes something else", reason)
        model = converted
        steps.append(step_record("convert opset", model, errors))
    model, more = sanitize(model, feeds, GRAPH, simplify=simplify, progress=send_progress)
    onnx.save_model(model, target)
    found = graphs.operators(model)
    return {
        "opset": graphs.opset_of(model),
        "ir_version": model.ir_version,
        "nodes_before": before,
        "nodes": len(model.graph.node),
        "inputs": graphs.describe(model.graph.input),
        "outputs": graphs.describe(model.graph.output),
        "operators": found,
        "introduced": graphs.introduced(found),
        "steps": [*steps, *more],
    }


def _from_torch(
    spec: ModelSpec, opset: int, variant: Variant, launches: list[Launch], progress: _Progress
) -> tuple[_Draft, Callable[[], Any] | None]:
    from orchestrator.models.numerics import GRAPH, objection
    from orchestrator.models.samples import shrink
    from orchestrator.models.sanitize import step_record
    from orchestrator.models.sources import load_network
    from orchestrator.models.torch_export import export_onnx, reference_outputs

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
    errors = measured_or_refused(right, model, probes, "the exported graph")
    if reason := objection(errors, GRAPH):
        raise ModelError(
            f"the graph exported at opset {opset} does not compute what PyTorch does",
            reason,
            "look for Python branches, loops or sizes that depend on the input: the exporter follows one input only",
        )
    step = step_record("export", model, errors)
    draft = _Draft(model, feeds, expected, probes, [step], dict.fromkeys(names, "pytorch"))
    return draft, (lambda: graph(half=True)) if spec.half else None


def _from_onnx(
    spec: ModelSpec, opset: int, variant: Variant, launches: list[Launch], progress: _Progress
) -> tuple[_Draft, None]:
    from orchestrator.models import graphs
    from orchestrator.models.numerics import GRAPH, objection
    from orchestrator.models.sanitize import step_record
    from orchestrator.models.torch_export import refuse_not_finite

    progress("load graph")
    model = graphs.fit(graphs.load_onnx(spec.source.checkpoint), variant, spec.outputs)
    progress("reference outputs")
    feeds = [launch.inputs for launch in launches]
    expected = graphs.run(model, feeds)
    refuse_not_finite(expected, f"{spec.source.checkpoint.name} in ONNX Runtime")
    draft = _Draft(model, feeds, expected, _probes(launches, variant), [], {})
    draft.origin = dict.fromkeys(expected[0], "onnxruntime")
    draft.steps.append(step_record("read", model, {}))
    has = graphs.opset_of(model)
    # A lower opset than the device's ceiling is fine as it is; converting is asked for, or needed, or not done.
    if has > opset or (spec.opset is not None and has != opset):
        progress("convert opset")
        converted = graphs.convert_opset(model, opset)
        right = graphs.run(model, draft.probes)
        errors = measured_or_refused(right, converted, draft.probes, f"the graph in opset {opset}")
        if reason := objection(errors, GRAPH):
            remedy = f"export the .onnx file at opset {opset} from its own framework"
            raise ModelError(f"converted from opset {has} to {opset} the graph computes something else", reason, remedy)
        draft.model = converted
        draft.steps.append(step_record("convert opset", converted, errors))
    return draft, None


def measured_or_refused(right: list[Arrays], model: Any, feeds: list[Arrays], what: str) -> dict[str, Any]:
    """Distances of the graph's outputs from the right ones. Raises ModelError where their shapes differ."""
    from orchestrator.models import graphs
    from orchestrator.models.numerics import GRAPH
    from orchestrator.models.sanitize import measured

    try:
        return measured(right, graphs.run(model, feeds), GRAPH)
    except ValueError as error:
        remedy = "a size that depends on the input was fixed while the network was followed; use the tensor's own shape"
        raise ModelError(f"{what} gives outputs of another form", str(error), remedy) from None


def _operate(draft: _Draft, spec: ModelSpec, progress: _Progress) -> None:
    """Apply the user's surgery to the fp32 graph, and see what becomes of inputs and right outputs."""
    from orchestrator.models import graphs
    from orchestrator.models.numerics import GRAPH, objection
    from orchestrator.models.sanitize import measured, step_record
    from orchestrator.models.surgery import operate
    from orchestrator.models.torch_export import refuse_not_finite

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


def _halve(draft: _Draft, half: Any, spec: ModelSpec, progress: _Progress) -> None:
    """Put the graph with fp16 arithmetic in the place of the fp32 one."""
    from orchestrator.models import graphs
    from orchestrator.models.numerics import HALF, objection
    from orchestrator.models.sanitize import measured, step_record
    from orchestrator.models.surgery import operate

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
    if reason := objection(errors, HALF):
        raise ModelError(
            "the network does not bear fp16 (`half: true`)",
            reason,
            "remove `half: true`; TensorRT then chooses per layer, and the ladder of `precisions` decides",
        )
    draft.model = half
    draft.steps.append(step_record("half", half, errors))


def _probes(launches: list[Launch], variant: Variant) -> list[Arrays]:
    from orchestrator.models.samples import shrink

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


def _bindings(model: Any, draft: _Draft, raw: Any, variant: Variant, launches: list[Launch]) -> list[Binding]:
    """The graph's inputs as an engine is to be built for them.

    Args:
        raw: the graph before surgery, in fp32.
        launches: with the inputs of the graph before surgery.
    """
    from orchestrator.models import graphs

    declared = {binding.name: binding for binding in variant.inputs}
    described = graphs.describe(value for value in model.graph.input if value.name in graphs.input_names(model))
    bindings = []
    for item in described:
        name = item["name"]
        if name in declared and name not in draft.before and tuple(item["shape"]) == declared[name].shape:
            bindings.append(replace(declared[name], dtype=item["dtype"]))
        else:
            bindings.append(_observed(item, draft.before.get(name, name), raw, variant, launches))
    return bindings


def _observed(item: dict[str, Any], before: str, raw: Any, variant: Variant, launches: list[Launch]) -> Binding:
    """An input that surgery made: its profile is what the whole network has there at its own profile."""
    from orchestrator.models import graphs
    from orchestrator.models.samples import shrink

    name, dtype, shape = item["name"], item["dtype"], tuple(item["shape"])
    if -1 not in shape:
        return Binding(name, dtype, shape)
    profile = {}
    for which in ("min", "opt", "max"):
        feed = shrink(launches[0], variant, which)
        (values,) = graphs.run(raw, [feed], [] if before in feed else [before])
        profile[which] = tuple({**values, **feed}[before].shape)
    if len(set(profile.values())) == 1:
        return Binding(name, dtype, profile["max"])
    return Binding(name, dtype, shape, **profile)


def _random_feed(model: Any, shapes: Mapping[str, list[int]]) -> Arrays:
    """Seeded random inputs for a graph of which nothing is known but itself; open sizes are 1 unless `shapes` says."""
    import numpy as np

    from orchestrator.models import graphs
    from orchestrator.models.surgery import near

    names = graphs.input_names(model)
    for name in shapes:
        if name not in names:
            raise ModelError(f"the graph has no input named '{name}'", near(name, names, "input"))
    generator = np.random.default_rng(0)
    feed = {}
    for item in graphs.describe(value for value in model.graph.input if value.name in names):
        shape = shapes.get(item["name"]) or [max(size, 1) for size in item["shape"]]
        if item["dtype"].startswith("float"):
            feed[item["name"]] = generator.standard_normal(shape).astype(item["dtype"])
        else:
            feed[item["name"]] = generator.integers(0, 2, shape).astype(item["dtype"])
    return feed


def _warnings(launches: list[Launch], variant: Variant) -> list[str]:
    if not variant.batched and len(launches) == 1:
        return ["the network has no batch, and one sample is all that it is judged on"]
    return []


def _import_heavy() -> None:
    """Load what every export needs before the user's modules are recorded, so that it is not counted among them."""
    import onnx  # noqa: F401
    import onnx_graphsurgeon  # noqa: F401
    import onnxruntime  # noqa: F401
    import onnxslim  # noqa: F401
    import polygraphy.backend.onnx  # noqa: F401
    import torch.onnx  # noqa: F401
