"""Every kind of source and input on all five virtual Jetsons, in one deploy."""

from __future__ import annotations

import pytest
from deploy_project import OPSETS, Done, Project

zoo = pytest.importorskip("zoo")
pytest.importorskip("torch")

MODELS = {"multi": zoo.multi_input, "scripted": zoo.torchscript, "plain": zoo.plain_onnx, "layernorm": zoo.layernorm}


@pytest.fixture(scope="module")
def deployed(project: Project) -> Done:
    options: list[str] = []
    for write in MODELS.values():
        options += ["-m", str(project.write_model(write))]
    return project.deploy("-i", project.lab, *options)


@pytest.mark.parametrize("host", OPSETS)
@pytest.mark.parametrize("model", MODELS)
def test_each_source_deploys_everywhere(project: Project, deployed: Done, model: str, host: str) -> None:
    engine = deployed.engine(host, model)
    assert engine["action"] == "built"
    assert engine["opset"] == OPSETS[host]
    assert engine["verdict"]["passed"]
    for metrics in engine["verdict"]["metrics"].values():
        assert 0 < metrics["l2"] < 1e-2
        assert metrics["nan"] == metrics["inf"] == 0
    assert (project.current(host, model) / f"{model}.engine").is_file()


@pytest.mark.parametrize("host", OPSETS)
def test_every_output_is_judged(deployed: Done, host: str) -> None:
    assert set(deployed.engine(host, "multi")["verdict"]["metrics"]) == {"scores", "features"}


def test_an_export_is_made_once_per_opset(deployed: Done) -> None:
    assert deployed.result
    keys = {host: deployed.engine(host, "multi")["export"]["opset"] for host in OPSETS}
    assert keys == OPSETS
    loads = [note for note in deployed.out.splitlines() if "multi at opset" in note and "load" in note]
    assert len(loads) == len(set(OPSETS.values()))


@pytest.mark.parametrize("host", ["nano-01", "orin-nano-01"])
def test_a_dynamic_batch_takes_any_number_of_samples(project: Project, deployed: Done, host: str, tmp_path) -> None:
    import numpy as np
    import torch

    generator = np.random.default_rng(1)
    images = generator.standard_normal((11, 3, 8, 8)).astype(np.float32)
    tokens = generator.integers(0, 10, 11)
    assert tokens.dtype == np.int64
    np.savez(tmp_path / "input.npz", image=images, token=tokens)
    project.fleet(
        "infer", "-i", project.lab, "-l", host, "-m", "multi", "--input", tmp_path / "input.npz", "-o", tmp_path
    )
    network = zoo.load_code(project.models / "multi_input/multi.py").build(tokens=10)
    network.load_state_dict(torch.load(project.models / "multi_input/multi.pt"))
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(images), torch.from_numpy(tokens))
    outputs = np.load(tmp_path / f"multi.{host}.npz")
    assert set(outputs.files) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(outputs[name], values.numpy(), rtol=1e-2, atol=1e-2)
