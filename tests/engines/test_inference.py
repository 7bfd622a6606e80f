"""Arrays of any number of samples go through an engine of any batch and come back whole."""

from types import SimpleNamespace

import numpy as np
import pytest

from orchestrator.engines.inference import infer, read_inputs
from orchestrator.errors import DeviceError, ModelError
from orchestrator.store import Store

DYNAMIC = {"x": {"dtype": "float32", "shape": [-1, 3], "min": [2, 3], "opt": [2, 3], "max": [4, 3]}}
STATIC = {"x": {"dtype": "float32", "shape": [4, 3]}}
PLAIN = {"x": {"dtype": "float32", "shape": [3]}, "y": {"dtype": "int64", "shape": [2, 2]}}


class Doubler:
    """A device whose engine doubles input x."""

    name = "d"

    def __init__(self, shapes, store):
        self.passport = {"batch": 4, "precision": "fp32", "parts": {"shapes": shapes}}
        self.store = store
        self.launches = []

    def call(self, action, args):
        data = {
            "release_status": {"models": {"m": {"current": "r", "engines": [{"key": "k", "file": "m.engine"}]}}},
            "engines": {"engines": {"k": {"passport": self.passport}}},
        }.get(action, {})
        return SimpleNamespace(data=data)

    def start_job(self, name, kind, spec):
        self.launches = spec["launches"]

    def push_missing(self, blobs):
        assert all(path.is_file() for path in blobs.values())

    def follow_job(self, name, on_event):
        done = []
        for i, launch in enumerate(self.launches):
            tensor = next(t for t in launch["inputs"] if t["name"] == "x")
            doubled = 2 * np.frombuffer(self.store.read(tensor["blob"]), tensor["dtype"])
            path = self.store.directory / f"out{i}"
            path.write_bytes(doubled.tobytes())
            output = {"name": "y", "path": str(path), "sha256": None, "size_bytes": 1 << 30}
            done.append({"outputs": [{**output, "dtype": tensor["dtype"], "shape": tensor["shape"]}]})
        return {"state": "done", "result": {"launches": done}}

    def fetch(self, path, local, sha256):
        local.write_bytes(open(path, "rb").read())  # noqa: SIM115


@pytest.fixture
def run(tmp_path):
    def run(shapes, **arrays):
        store = Store(tmp_path)
        device = Doubler(shapes, store)
        return infer(device, {"tensorrt": "8.5.2", "trtexec": "/t"}, "m", arrays, store)[0]["y"], device

    return run


@pytest.mark.parametrize("shapes", [DYNAMIC, STATIC], ids=["dynamic", "static"])
@pytest.mark.parametrize("count", [1, 2, 4, 5, 9])
def test_any_number_of_samples_comes_back_in_order(run, shapes, count):
    x = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    y, device = run(shapes, x=x)
    np.testing.assert_array_equal(y, 2 * x)
    sizes = [launch["inputs"][0]["shape"][0] for launch in device.launches]
    assert all((2 if shapes is DYNAMIC else 4) <= size <= 4 for size in sizes)


def test_without_a_batch_samples_go_one_by_one(run):
    x, y = np.ones((3, 3)), np.ones((3, 2, 2), np.int64)
    out, device = run(PLAIN, x=x, y=y)
    assert out.shape == (3, 3)
    assert [[t["shape"] for t in launch["inputs"]] for launch in device.launches] == [[[3], [2, 2]]] * 3


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"xx": np.ones((1, 3))}, "did you mean 'xx'?"),
        ({}, "no values for input x"),
        ({"x": np.ones((2, 4))}, "the engine takes"),
        ({"x": np.ones((0, 3))}, "or none"),
        ({"x": np.float32(1)}, "or none"),
    ],
)
def test_what_does_not_fit_is_named(run, arrays, words):
    with pytest.raises(ModelError) as caught:
        run(STATIC, **arrays)
    assert words in str(caught.value)


def test_a_model_that_is_not_active_is_named_with_the_nearest(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(DeviceError, match="no model 'mm' is active"):
        infer(Doubler(STATIC, store), {"tensorrt": "8.5.2", "trtexec": "/t"}, "mm", {}, store)


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="cannot read"):
        read_inputs(tmp_path / "x.npz")
