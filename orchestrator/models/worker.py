"""The whole way from a specification to an export, as it runs in the worker process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelError
from orchestrator.models.pool import send_progress
from orchestrator.models.references import Arrays, Launch, pack
from orchestrator.models.spec import Binding, ModelSpec, Variant
from orchestrator.store import Store

if TYPE_CHECKING:
    from orchestrator.models.drafts import Draft


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
    from orchestrator.models.drafts import Progress, apply_surgery, from_onnx, from_torch, halve
    from orchestrator.models.numerics import GRAPH, HALF
    from orchestrator.models.project import Recorder
    from orchestrator.models.samples import draw_launches
    from orchestrator.models.sanitize import sanitize

    store = Store(store_dir)
    apart = [path for path in (spec.source.checkpoint, spec.samples.inputs) if path]
    progress = Progress(spec)
    with Recorder(spec.source.path, apart) as recorder:
        launches = draw_launches(spec, variant)
        make = from_onnx if spec.source.format == "onnx" else from_torch
        draft, half_graph = make(spec, opset, variant, launches, progress)
        raw = draft.model
        if spec.surgery:
            apply_surgery(draft, spec, progress)
        if half_graph is not None:
            halve(draft, half_graph(), spec, progress)
        gate = HALF if spec.half else GRAPH
        model, steps = sanitize(draft.model, draft.probes, gate, simplify=spec.simplify, progress=progress)
        bindings = _bindings(model, draft, raw, variant, launches)
        files, packages = recorder.files(), recorder.packages()
    if spec.source.format == "onnx":
        # Weights beside the graph decide the export as those inside it do.
        files += graphs.external_files(spec.source.checkpoint)
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


def _bindings(model: Any, draft: Draft, raw: Any, variant: Variant, launches: list[Launch]) -> list[Binding]:
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
