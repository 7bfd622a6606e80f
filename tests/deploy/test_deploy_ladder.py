"""Precisions, operators and opsets that a device cannot have: what is tried, what is blocked, and what stays active."""

from __future__ import annotations

import pytest
from deploy_project import Project

zoo = pytest.importorskip("zoo")
pytest.importorskip("torch")

NANO = ("-l", "nano-01")


@pytest.fixture(scope="module")
def overflowed(project: Project):
    """A model whose fp16 activations overflow, deployed with [fp16, fp32]."""
    return project.deploy("-i", project.lab, *NANO, "-m", project.write_model(zoo.overflow))


def test_an_overflow_in_fp16_ends_in_fp32_and_says_so(project: Project, overflowed) -> None:
    engine = overflowed.engine("nano-01", "overflow")
    assert (engine["action"], engine["precision"]) == ("built", "fp32")
    assert engine["verdict"]["passed"]
    assert [rung["precision"] for rung in engine["rungs"]] == ["fp16", "fp32"]
    assert engine["rungs"][0]["action"] == "failed"
    for text in (engine["reason"], engine["rungs"][0]["reason"]):
        assert "Inf" in text
        assert "fp16" in text
    assert "Inf" in overflowed.out
    active = list(project.current("nano-01", "overflow").glob("*.engine"))
    assert len(active) == 1


def test_the_rung_that_failed_is_not_tried_again(project: Project, overflowed) -> None:
    workers = project.export_logs()
    done = project.deploy("-i", project.lab, *NANO, "-m", project.models / "overflow/overflow.yml")
    engine = done.engine("nano-01", "overflow")
    assert (engine["action"], engine["precision"]) == ("reused", "fp32")
    assert engine["key"] == overflowed.engine("nano-01", "overflow")["key"]
    assert "tried before" in engine["reason"]
    assert "Inf" in engine["reason"]
    assert done.host("nano-01")["bytes_pushed"] == 0
    assert project.export_logs() == workers


@pytest.mark.parametrize("options", [(), ("--force",)], ids=["remembered", "tried anew"])
def test_no_link_changes_where_every_rung_fails(project: Project, overflowed, options: tuple[str, ...]) -> None:
    spec = project.models / "overflow/fp16-only.yml"
    spec.write_text((project.models / "overflow/overflow.yml").read_text().replace("- fp32\n", ""))
    before = project.links("nano-01")
    assert "overflow" in before
    done = project.deploy("-i", project.lab, *NANO, "-m", spec, *options, code=2)
    assert project.links("nano-01") == before
    engine, error = done.engine("nano-01", "overflow"), done.host("nano-01")["error"]
    assert engine["action"] == "failed"
    assert engine["verdict"]["passed"] is False
    metrics = engine["verdict"]["metrics"]["output"]
    assert metrics["nan"] + metrics["inf"] > 0
    assert done.host("nano-01")["status"] == "failed"
    assert "Inf" in error["what"] + error["why"]
    assert "fp32" in error["remedy"] or "precision" in error["remedy"]


def test_int8_is_blocked_on_a_nano_before_any_push(project: Project) -> None:
    spec = project.write_model(zoo.plain_onnx, name="eight", batches=[2], precisions=["int8"])
    done = project.deploy("-i", project.lab, *NANO, "-m", spec, code=2)
    engine, host = done.engine("nano-01", "eight"), done.host("nano-01")
    assert engine["action"] == "blocked"
    assert "Jetson Nano (t210) has no fast int8 units" in engine["reason"]
    assert host["bytes_pushed"] == 0
    assert "int8" in host["error"]["what"] + host["error"]["why"]
    assert "fp32" in host["error"]["remedy"]
    assert "eight" not in project.links("nano-01")


def test_int8_falls_to_the_next_rung_on_a_nano(project: Project) -> None:
    spec = project.write_model(zoo.plain_onnx, batches=[2], precisions=["int8", "fp16"])
    engine = project.deploy("-i", project.lab, *NANO, "-m", spec).engine("nano-01", "plain")
    assert (engine["action"], engine["precision"]) == ("built", "fp16")
    assert [(r["precision"], r["action"]) for r in engine["rungs"]] == [("int8", "unsupported"), ("fp16", "built")]
    assert "no fast int8 units" in engine["reason"]


def test_layernorm_at_opset_17_is_blocked_where_tensorrt_lacks_it(project: Project) -> None:
    spec = project.write_model(zoo.layernorm, opset=17, name="forced", batches=[3])
    hosts = ("nano-01", "xavier-nx-01", "orin-nano-01", "agx-orin-01")
    done = project.deploy("-i", project.lab, "-l", ":".join(hosts), "-m", spec, code=2)
    nx = done.host("xavier-nx-01")
    assert nx["error"]["what"].startswith("TensorRT 8.5.2 cannot read LayerNormalization")
    # Where it stands in the network, as PyTorch names it.
    assert "blocks.0.norm" in nx["error"]["why"]
    assert "opset: 16" in nx["error"]["remedy"]
    nano = done.host("nano-01")
    assert "opset 17 is too new" in nano["error"]["what"]
    assert "13" in nano["error"]["why"]
    for host in (nx, nano):
        assert host["status"] == "failed"
        assert host["bytes_pushed"] == 0
        assert [engine["action"] for engine in host["engines"]] == ["blocked"]
    for name in ("orin-nano-01", "agx-orin-01"):
        assert done.host(name)["status"] == "ok"
        assert done.engine(name, "forced")["opset"] == 17
        assert "forced" in project.links(name)
    assert "TensorRT 8.5.2 cannot read LayerNormalization" in done.out
