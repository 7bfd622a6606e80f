"""From checkpoint to graph and reference: what comes out, and when it is made again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import zoo

from orchestrator.errors import ModelError, UsageError
from orchestrator.models.commands import export_to_file, sanitize_file
from orchestrator.models.exports import Export, ExportNeed, Exports
from orchestrator.models.operators import blocked, lacking, places
from orchestrator.models.reading import load_spec
from orchestrator.models.references import read_launches
from orchestrator.models.spec import Binding
from orchestrator.store import Store

Make = Callable[..., Export]
HEAVY = {"torch", "onnx", "onnxruntime", "polygraphy", "numpy", "onnxslim", "onnx_graphsurgeon", "multiprocessing"}


def need(path: Path, opset: int = 13) -> ExportNeed:
    spec = load_spec(path)
    return ExportNeed(spec, opset, spec.variants()[0])


def run(exports: Exports, export: Export, feed: dict) -> dict:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exports.store.path(export.onnx)), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed), strict=True))


@pytest.mark.parametrize(("opset", "ir_version"), [(11, 6), (13, 7), (16, 8), (17, 8), (20, 9)])
def test_the_opset_asked_for_comes_out(
    make: Make, exports: Exports, tmp_path: Path, opset: int, ir_version: int
) -> None:
    export = make(zoo.layernorm(tmp_path), opset)
    model = onnx.load(exports.store.path(export.onnx))
    onnx.checker.check_model(model, full_check=True)
    assert (model.opset_import[0].version, model.ir_version) == (opset, ir_version) == (export.opset, export.ir_version)
    assert ("LayerNormalization" in export.operators) == (opset >= 17)
    assert [step["step"] for step in export.steps] == ["export", "fold constants", "simplify", "check"]
    assert 0 < export.steps[0]["errors"]["output"]["l2"] < 1e-5


@pytest.mark.parametrize("name", ["layernorm", "overflow", "multi_input", "torchscript", "plain_onnx"])
@pytest.mark.parametrize("opset", [13, 17])
def test_the_graph_reproduces_its_reference(
    make: Make, exports: Exports, tmp_path: Path, name: str, opset: int
) -> None:
    export = make(getattr(zoo, name)(tmp_path), opset)
    launches = read_launches(exports.store.path(export.reference.digest))
    assert len(launches) == export.reference.launches
    assert sum(launch.samples for launch in launches) == export.reference.samples >= 8
    for launch in launches:
        outputs = run(exports, export, launch.inputs)
        assert outputs.keys() == launch.outputs.keys()
        for output, right in launch.outputs.items():
            np.testing.assert_allclose(outputs[output], right, rtol=1e-4, atol=1e-4)
            assert np.ptp(right) > 0
    assert set(export.reference.origin.values()) == {"onnxruntime" if name == "plain_onnx" else "pytorch"}


def test_the_overflow_model_exceeds_fp16_inside_only(make: Make, exports: Exports, tmp_path: Path) -> None:
    export = make(zoo.overflow(tmp_path))
    model = onnx.load(exports.store.path(export.onnx))
    model.graph.output.extend(onnx.ValueInfoProto(name=n.output[0]) for n in model.graph.node[:-1])
    onnx.save(model, tmp_path / "shown.onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "shown.onnx"))
    (launch, *_) = read_launches(exports.store.path(export.reference.digest))
    final, *inner = session.run(None, launch.inputs)
    assert max(np.abs(values).max() for values in inner) > 65504
    assert np.abs(final).max() < 65504


def test_inputs_and_outputs_are_those_of_the_specification(make: Make, tmp_path: Path) -> None:
    export = make(zoo.multi_input(tmp_path), 17)
    assert export.inputs == (
        Binding("image", "float32", (-1, 3, 8, 8), (1, 3, 8, 8), (4, 3, 8, 8), (8, 3, 8, 8)),
        Binding("token", "int64", (-1,), (1,), (4,), (8,)),
    )
    assert [(o["name"], o["shape"]) for o in export.outputs] == [("scores", [-1, 6]), ("features", [-1, 16])]
    assert export.batch == 8


def test_samples_and_labels_of_the_user(make: Make, exports: Exports, tmp_path: Path) -> None:
    images, labels = np.random.default_rng(1).random((21, 3, 8, 8)), np.arange(21)
    np.savez(tmp_path / "s.npz", image=images, token=labels % 10, truth=labels)
    export = make(zoo.multi_input(tmp_path, samples={"inputs": "s.npz", "labels": "truth"}))
    launches = read_launches(exports.store.path(export.reference.digest))
    assert [launch.samples for launch in launches] == [8, 8, 5]
    np.testing.assert_array_equal(np.concatenate([launch.inputs["image"] for launch in launches]), images.astype("f4"))
    np.testing.assert_array_equal(np.concatenate([launch.labels for launch in launches]), labels)
    assert launches[0].inputs["image"].dtype == np.float32
    assert launches[0].inputs["token"].dtype == np.int64
    assert export.reference.labels
    assert len(read_launches(exports.store.path(export.reference.digest), limit=2)) == 2


def test_a_network_without_a_batch(make: Make, exports: Exports, tmp_path: Path) -> None:
    code = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x, scale):
        return (self.layer(x) * scale).sum(), x + scale


def build():
    return Net()
"""
    inputs = [{"name": "x", "shape": [5, 3]}, {"name": "scale", "shape": []}]
    export = make(zoo.write(tmp_path, "scalar", code, {"inputs": inputs, "outputs": ["total", "moved"]}))
    launches = read_launches(exports.store.path(export.reference.digest))
    assert (export.reference.launches, export.batch) == (8, 1)
    assert launches[3].inputs["scale"].shape == () == launches[3].outputs["total"].shape
    np.testing.assert_allclose(
        run(exports, export, launches[3].inputs)["moved"], launches[3].outputs["moved"], rtol=1e-5
    )


def test_half_export_rounds_and_keeps_fp32_bindings(make: Make, exports: Exports, tmp_path: Path) -> None:
    whole = make(zoo.layernorm(tmp_path / "a"), 17)
    half = make(zoo.layernorm(tmp_path / "b", half=True), 17)
    assert half.size_bytes < whole.size_bytes
    assert half.inputs == whole.inputs
    assert [o["dtype"] for o in half.outputs] == ["float32"]
    model = onnx.load(exports.store.path(half.onnx))
    assert onnx.TensorProto.FLOAT16 in {initializer.data_type for initializer in model.graph.initializer}
    (step,) = [step for step in half.steps if step["step"] == "half"]
    assert 1e-6 < step["errors"]["output"]["l2"] < 1e-2
    pairs = [read_launches(exports.store.path(e.reference.digest)) for e in (whole, half)]
    np.testing.assert_array_equal(pairs[0][0].outputs["output"], pairs[1][0].outputs["output"])


def test_half_export_that_overflows_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not bear fp16") as caught:
        make(zoo.overflow(tmp_path, half=True))
    assert "Inf" in caught.value.why or "NaN" in caught.value.why


class TestReuse:
    def test_the_same_need_is_found_by_another_process_later(
        self, make: Make, exports: Exports, tmp_path: Path
    ) -> None:
        path = zoo.layernorm(tmp_path)
        made = make(path)
        again = Exports(Store(exports.store.directory), exports.project_dir).lookup(need(path))
        assert again == made

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            (lambda d: (d / "unrelated.py").write_text("x = 1"), True),
            (lambda d: (d / "layernorm.py").write_text(zoo.LAYERNORM.replace("x + torch", "x - torch")), False),
            (lambda d: (d / "layernorm.py").write_text(zoo.LAYERNORM + "\n# a comment\n"), False),
            (lambda d: (d / "layernorm.py").unlink(), False),
            (lambda d: zoo.layernorm(d, samples={"seed": 5}), False),
            (lambda d: zoo.layernorm(d, simplify=False), False),
            (lambda d: zoo.layernorm(d, batches=[3]), False),
            (lambda d: zoo.layernorm(d, tolerances={"fp16": {"atol": 1}}, precisions=["fp32"]), True),
        ],
        ids=["unrelated", "forward", "comment", "gone", "seed", "simplify", "batch", "tolerance"],
    )
    def test_what_makes_an_export_stale(
        self, make: Make, exports: Exports, tmp_path: Path, change: Callable, found: bool
    ) -> None:
        path = zoo.layernorm(tmp_path)
        make(path)
        change(tmp_path)
        assert (exports.lookup(need(path)) is not None) is found

    def test_new_weights_and_undone_edits(self, make: Make, exports: Exports, tmp_path: Path) -> None:
        import torch

        path = zoo.layernorm(tmp_path)
        first = make(path)
        state = torch.load(tmp_path / "layernorm.pt")
        torch.save({key: value * 1.5 for key, value in state.items()}, tmp_path / "layernorm.pt")
        assert exports.lookup(need(path)) is None
        second = make(path)
        assert second.onnx != first.onnx
        assert second.sources["checkpoint"] != first.sources["checkpoint"]
        assert second.sources["code"] == first.sources["code"]
        code = tmp_path / "layernorm.py"
        code.write_text(zoo.LAYERNORM.replace("x + torch", "x - torch"))
        third = make(path)
        assert third.onnx != second.onnx
        assert third.sources["code"] != second.sources["code"]
        code.write_text(zoo.LAYERNORM)
        assert exports.lookup(need(path)) == second

    def test_an_edit_without_meaning_gives_the_same_graph(self, make: Make, tmp_path: Path) -> None:
        first = make(zoo.layernorm(tmp_path))
        (tmp_path / "layernorm.py").write_text("# a comment\n" + zoo.LAYERNORM)
        second = make(tmp_path / "layernorm.yml")
        assert (second.onnx, second.reference.digest) == (first.onnx, first.reference.digest)

    def test_modules_and_data_that_the_factory_uses_count(self, make: Make, exports: Exports, tmp_path: Path) -> None:
        path = zoo.layernorm(tmp_path)
        (tmp_path / "parts").mkdir()
        (tmp_path / "parts/inner.py").write_text(zoo.LAYERNORM)
        (tmp_path / "parts/size.txt").write_text("16")
        (tmp_path / "layernorm.py").write_text(
            "from pathlib import Path\nfrom parts.inner import build as inner\n\n\n"
            "def build():\n    return inner(int((Path(__file__).parent / 'parts/size.txt').read_text()))\n"
        )
        export = make(path)
        names = {Path(name).name for name in export.sources["code"]}
        assert names == {"layernorm.py", "inner.py", "size.txt"}
        (tmp_path / "parts/size.txt").write_text("16 ")
        assert exports.lookup(need(path)) is None

    def test_two_models_may_have_modules_of_one_name(self, make: Make, tmp_path: Path) -> None:
        first = make(
            zoo.write(tmp_path / "a", "model", zoo.OVERFLOW, {"inputs": [{"name": "x", "shape": ["batch", 8]}]})
        )
        inputs = [{"name": "x", "shape": ["batch", 7, 16]}]
        second = make(zoo.write(tmp_path / "b", "model", zoo.LAYERNORM, {"inputs": inputs}))
        assert first.outputs[0]["shape"] == [1, 4]
        assert second.outputs[0]["shape"] == [1, 5]

    def test_many_devices_that_ask_at_once_export_once(self, exports: Exports, tmp_path: Path) -> None:
        path = zoo.layernorm(tmp_path)
        steps: list[tuple[str, float | None]] = []
        results: list[Export] = []
        start = threading.Barrier(6)

        def ask() -> None:
            start.wait()
            results.append(exports.export(need(path), lambda step, fraction: steps.append((step, fraction))))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 6
        assert len({id(result) for result in results}) <= 6
        assert len({result.created for result in results}) == 1
        fractions = [fraction for step, fraction in steps if fraction is not None]
        assert {step for step, _ in steps} >= {"load checkpoint", "export", "simplify"}
        assert all(0 <= fraction < 1 for fraction in fractions)

    def test_lookup_loads_nothing_heavy(self, make: Make, exports: Exports, tmp_path: Path) -> None:
        path = zoo.layernorm(tmp_path)
        make(path)
        script = """
import json, sys
from orchestrator.models.exports import Exports, ExportNeed
from orchestrator.models.operators import blocked
from orchestrator.models.reading import load_spec
from orchestrator.store import Store
spec = load_spec(sys.argv[1])
export = Exports(Store(sys.argv[2]), sys.argv[3]).lookup(ExportNeed(spec, 13, spec.variants()[0]))
assert blocked(export, "8.2.1") is None
print(json.dumps([export.onnx, sorted(m for m in sys.modules if "." not in m)]))
"""
        arguments = [str(path), str(exports.store.directory), str(exports.project_dir)]
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
        digest, modules = json.loads(done.stdout)
        assert digest == make(path).onnx
        assert not HEAVY & set(modules)

    def test_what_users_code_prints_stays_out_of_ours(
        self, make: Make, tmp_path: Path, capfd: pytest.CaptureFixture
    ) -> None:
        path = zoo.layernorm(tmp_path)
        (tmp_path / "layernorm.py").write_text(zoo.LAYERNORM + "\nprint('hello from the factory')\n")
        make(path)
        assert capfd.readouterr() == ("", "")


class TestOperators:
    def test_what_a_tensorrt_lacks_is_said_with_place_and_remedy(self, make: Make, tmp_path: Path) -> None:
        export = make(zoo.layernorm(tmp_path), 17)
        (item,) = lacking(export, "8.5.2")
        assert item.places == ("blocks.0.norm", "blocks.1.norm")
        error = blocked(export, "8.5.2")
        assert error is not None
        text = str(error)
        assert "TensorRT 8.5.2 cannot read LayerNormalization" in text
        assert "blocks.0.norm" in text
        assert "`opset: 16`" in text
        assert error.exit_code == 2
        assert blocked(export, "8.6.2") is None
        assert blocked(make(tmp_path / "layernorm.yml", 16), "8.5.2") is None

    @pytest.mark.parametrize(
        ("node", "place"),
        [
            ("/features/features.0/Conv", "features.0"),
            ("/encoder/layers.0/norm1/LayerNormalization", "encoder.layers.0.norm1"),
            ("/Softmax", "the network's own forward()"),
            ("softmax", "softmax"),
            ("", "an unnamed node"),
        ],
    )
    def test_places_are_named_as_pytorch_names_modules(self, node: str, place: str) -> None:
        assert places([node, node]) == [place]


class TestFiles:
    def test_export_to_a_file(self, tmp_path: Path, exports: Exports) -> None:
        spec = load_spec(zoo.layernorm(tmp_path, batches=[1, 4]))
        store = exports.store
        need_one = ExportNeed(spec, 13, spec.variants()[1])
        made = exports.export(need_one)  # so that no second worker is needed
        export = export_to_file(
            spec, 13, tmp_path / "out/net.onnx", store=store, project_dir=exports.project_dir, batch=4
        )
        assert export == made
        assert (tmp_path / "out/net.onnx").read_bytes() == store.read(made.onnx)
        with pytest.raises(Exception, match="has no batch 3"):
            export_to_file(spec, 13, tmp_path / "x.onnx", store=store, project_dir=tmp_path, batch=3)

    def test_a_ready_graph_cannot_be_made_half(self, tmp_path: Path) -> None:
        spec = load_spec(zoo.plain_onnx(tmp_path))
        with pytest.raises(UsageError, match="not exported in fp16"):
            export_to_file(spec, 13, tmp_path / "x", store=Store(tmp_path), project_dir=tmp_path, half=True)

    def test_sanitize_a_file(self, tmp_path: Path) -> None:
        zoo.plain_onnx(tmp_path)
        report = sanitize_file(
            tmp_path / "plain.onnx",
            tmp_path / "clean.onnx",
            logs=tmp_path / "logs",
            surgery=[{"remove": ["softmax"]}],
            opset=16,
            shapes={"x": [3, 6]},
        )
        assert [(s["step"], s["kept"]) for s in report["steps"]] == [
            ("surgery", True), ("convert opset", True), ("fold constants", True), ("simplify", True), ("check", True),
        ]  # fmt: skip
        model = onnx.load(tmp_path / "clean.onnx")
        assert model.opset_import[0].version == 16 == report["opset"]
        assert "Softmax" not in {node.op_type for node in model.graph.node}
        with pytest.raises(ModelError, match="no such file"):
            sanitize_file(tmp_path / "none.onnx", tmp_path / "x.onnx", logs=tmp_path)


def test_weights_that_lie_beside_an_onnx_file_belong_to_it(tmp_path: Path) -> None:
    import numpy as np
    import onnx

    spec_file = zoo.plain_onnx(tmp_path)
    spec = load_spec(spec_file)
    model = onnx.load(spec.source.checkpoint)
    onnx.save(model, spec.source.checkpoint, save_as_external_data=True, location="beside.data", size_threshold=0)
    need = ExportNeed(spec, 13, spec.variants()[0])
    with Exports(Store(tmp_path / "store"), tmp_path) as exports:
        first = exports.export(need)
        assert exports.lookup(need) == first
        beside = tmp_path / "beside.data"
        beside.write_bytes(np.full(beside.stat().st_size // 4, 0.5, np.float32).tobytes())
        assert exports.lookup(need) is None
        assert exports.export(need).onnx != first.onnx
        beside.unlink()
        assert exports.lookup(need) is None
        with pytest.raises(ModelError, match="cannot be read as ONNX"):
            exports.export(need)
