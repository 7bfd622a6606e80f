"""The demo as acceptance sees it: a trained checkpoint becomes a proved, active engine on all five virtual Jetsons."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from deploy_project import OPSETS, Done, Project, sha256

pytestmark = pytest.mark.usefixtures("digits")

MODULES = (
    "import json, sys\n"
    "from orchestrator.cli.main import main\n"
    "code = main(sys.argv[1:])\n"
    "print('LOADED', json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    "sys.exit(code)"
)


@pytest.fixture
def latest(project: Project, digits: Done) -> Path:
    """The folder of the run that deployed the digits."""
    assert digits.result
    return project.folder / "runs" / digits.result["run"]


@pytest.mark.parametrize("host", OPSETS)
def test_each_device_has_a_proved_engine(digits: Done, host: str) -> None:
    found, engine = digits.host(host), digits.engine(host, "digits")
    assert found["status"] == "ok"
    assert found["error"] is None
    assert engine["opset"] == OPSETS[host]
    assert (engine["action"], engine["precision"]) == ("built", "fp16")
    assert engine["reason"] == "no engine yet"
    verdict = engine["verdict"]
    assert verdict["passed"]
    assert verdict["samples"] >= 360
    scores = verdict["metrics"]["scores"]
    assert scores["top1"] >= 0.995
    # Zero would mean that nothing was rounded to fp16.
    assert 1e-5 <= scores["l2"] <= 1e-2
    assert scores["nan"] == scores["inf"] == 0
    assert found["bytes_pushed"] > engine["size_bytes"] // 2
    latency = engine["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p95"] <= latency["p99"]
    assert engine["throughput_per_s"] > 0


@pytest.mark.parametrize("host", OPSETS)
def test_what_was_made_is_pulled(digits: Done, latest: Path, host: str) -> None:
    folder = latest / "artifacts" / host / "digits"
    names = {path.name for path in folder.iterdir()}
    assert names == {"digits.engine", "digits.passport.json", "digits.build.log", "digits.timing.cache"}
    engine = digits.engine(host, "digits")
    assert latest / engine["artifact"] == folder / "digits.engine"
    assert (folder / "digits.engine").stat().st_size == engine["size_bytes"]
    passport = json.loads((latest / engine["passport"]).read_text())
    assert passport["key"] == engine["key"]
    assert passport["engine"]["sha256"] == sha256(folder / "digits.engine")
    assert passport["verdict"]["metrics"] == engine["verdict"]["metrics"]
    assert passport["virtual"] is True
    assert "&&&& PASSED TensorRT.trtexec" in (folder / "digits.build.log").read_text()


@pytest.mark.parametrize("host", OPSETS)
def test_the_link_on_the_device_names_that_very_engine(project: Project, digits: Done, host: str) -> None:
    assert digits.result
    release = project.current(host, "digits")
    assert release.name == digits.result["run"]
    pulled = project.folder / "runs" / digits.result["run"] / "artifacts" / host / "digits/digits.engine"
    assert sha256(release / "digits.engine") == sha256(pulled)
    code, text = project.ssh(host, f"sha256sum {_seen(project, host, release)}/digits.engine")
    assert code == 0, text
    assert text.split()[0] == sha256(pulled)


def _seen(project: Project, host: str, path: Path) -> str:
    return "/" + str(path.relative_to(project.root(host)))


def test_everything_says_virtual(digits: Done, latest: Path) -> None:
    assert digits.result
    assert digits.result["summary"]["virtual"] == 5
    recap = digits.out[digits.out.index("recap") :]
    for host in OPSETS:
        assert digits.host(host)["virtual"] is True
        assert any(line.startswith(host) and line.endswith("virtual") for line in recap.splitlines())
    assert "these are not a Jetson's times" in recap
    assert "virtual" in (latest / "report.html").read_text()


def test_the_html_report_stands_alone(latest: Path) -> None:
    page = (latest / "report.html").read_text()
    assert all(host in page for host in OPSETS)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_the_junit_report_has_a_case_per_device(project: Project) -> None:
    root = ElementTree.parse(project.folder / "junit.xml").getroot()
    text = ElementTree.tostring(root, encoding="unicode")
    assert all(host in text for host in OPSETS)
    assert not root.findall(".//failure")
    assert root.findall(".//testcase")


def test_the_second_deploy_builds_pushes_and_imports_nothing(project: Project, digits: Done) -> None:
    workers, before = project.export_logs(), {host: project.links(host) for host in OPSETS}
    file = project.folder / "again.json"
    program = [sys.executable, "-c", MODULES]
    done = project.fleet("deploy", "-i", project.lab, "--no-live", "--json", file, program=program)
    result = json.loads(file.read_text())
    print(f"second deploy: {done.seconds:.2f} s of wall time, {result['duration_s']} s of it the run")
    loaded = set(json.loads(done.out.split("LOADED ")[1]))
    assert not loaded & {"torch", "onnx", "onnxruntime", "polygraphy", "onnxslim"}
    assert project.export_logs() == workers
    assert result["summary"]["engines"] == {"built": 0, "reused": 5, "revalidated": 0, "blocked": 0, "failed": 0}
    assert result["summary"]["bytes_pushed"] == 0
    for host in OPSETS:
        (engine,) = result["hosts"][host]["engines"]
        assert engine["key"] == digits.engine(host, "digits")["key"]
        assert engine["reason"] == "nothing changed; passed on 360 samples"
        assert engine["verdict"] == digits.engine(host, "digits")["verdict"]
        assert result["hosts"][host]["tasks"]["changed"] == 0
        assert (project.folder / "runs" / result["run"] / engine["artifact"]).is_file()
    assert {host: project.links(host) for host in OPSETS} == before


def test_infer_gives_what_pytorch_gives(project: Project, tmp_path: Path) -> None:
    import numpy as np
    import torch
    from zoo import load_code

    images = np.load(project.models / "digits/digits_test.npz")["image"][:70]
    np.savez(tmp_path / "input.npz", image=images)
    project.fleet(
        "infer", "-i", project.lab, "-l", "nano-01:agx-orin-01", "-m", "digits", "--input", tmp_path / "input.npz",
        "-o", tmp_path,
    )  # fmt: skip
    network = load_code(project.models / "digits/model.py").digits_classifier(16)
    network.load_state_dict(torch.load(project.models / "digits/digits.pt"))
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(images)).numpy()
    for host in ("nano-01", "agx-orin-01"):
        scores = np.load(tmp_path / f"digits.{host}.npz")["scores"]
        # More images than the engine's largest batch, so this came from two launches.
        assert scores.shape == (70, 10)
        np.testing.assert_allclose(scores, expected, rtol=1e-2, atol=3e-2)
        assert (scores.argmax(1) == expected.argmax(1)).mean() >= 0.98
        assert not np.array_equal(scores, expected), "not rounded to fp16"


@pytest.mark.parametrize(
    ("model", "arrays", "code", "words"),
    [
        ("digits", {"picture": (2, 1, 8, 8)}, 1, ["nano-01: ", "image", "picture"]),
        (
            "digits",
            {"image": (2, 1, 9, 9)},
            1,
            ["input 'image' has shape [2, 1, 9, 9]", "the engine takes", "1, 8, 8]"],
        ),
        ("digits", {"image": (0, 1, 8, 8)}, 1, ["different numbers of samples, or none"]),
        ("digitz", {"image": (2, 1, 8, 8)}, 2, ["no model 'digitz' is active here", "did you mean 'digits'?"]),
    ],
    ids=["name", "shape", "no samples", "not active"],
)
def test_infer_refuses_what_the_engine_cannot_take(
    project: Project, tmp_path: Path, model: str, arrays: dict, code: int, words: list[str]
) -> None:
    import numpy as np

    np.savez(tmp_path / "input.npz", **{name: np.zeros(shape, np.float32) for name, shape in arrays.items()})
    limit = ("-i", project.lab, "-l", "nano-01")
    done = project.fleet("infer", *limit, "-m", model, "--input", tmp_path / "input.npz", "-o", tmp_path, code=code)
    for word in words:
        assert word in done.err
    assert not list(tmp_path.glob("*.nano-01.npz"))


def test_facts_are_named_as_documented(project: Project) -> None:
    done = project.fleet("facts", "-i", project.lab, "--json")
    facts = json.loads(done.out)
    names = {
        *("module", "soc", "compute_capability", "l4t", "jetpack", "python", "cuda", "cudnn", "tensorrt", "trtexec"),
        *("ram_bytes", "swap_bytes", "disk_free_bytes", "power_mode", "clocks", "dla_cores", "precisions"),
    }
    for host in OPSETS:
        assert names <= set(facts[host])
        assert facts[host]["virtual"] is True
    seen = {host: (f["jetpack"], f["tensorrt"], f["power_mode"]) for host, f in facts.items()}
    assert seen["nano-01"] == ("4.6.1", "8.2.1", "MAXN")
    assert seen["xavier-nx-01"] == ("5.1.2", "8.5.2", "MODE_20W_6CORE")
    assert seen["orin-nano-01"][0] == "6.2"
    assert seen["orin-nano-01"][2] == "MAXN_SUPER"
    assert facts["nano-01"]["precisions"] == ["fp32", "fp16"]
    assert facts["nano-01"]["dla_cores"] == 0
    assert all(f["clocks"]["locked"] for f in facts.values())


def test_ping_and_logs(project: Project) -> None:
    done = project.fleet("ping", "-i", project.lab)
    assert [line.split()[:2] for line in done.out.splitlines()] == [[host, "pong"] for host in OPSETS]
    done = project.fleet("logs", "nano-01", "-i", project.lab, "-n", "3")
    lines = done.out.splitlines()
    assert lines[0].startswith("nano-01: build-")
    assert len(lines) == 4
    assert "&&&& PASSED TensorRT.trtexec [TensorRT v8201]" in lines[-1]


def test_plan_and_check_foretell_and_change_nothing(project: Project) -> None:
    hosts = ("nano-01", "agx-orin-01")
    limit = ("-i", project.lab, "-l", ":".join(hosts))
    spec = project.models / "digits.yml"
    wider = project.models / "digits-wider.yml"
    wider.write_text(spec.read_text().replace("opt: 16, max: 64", "opt: 16, max: 48"))
    before = {host: project.contents(host) for host in hosts}
    assert len(before["nano-01"]) > 10
    plan = project.deploy(*limit, "-m", spec, "-m", wider, command="plan")
    check = project.deploy(*limit, "-m", spec, "-m", wider, "--check", "--force")
    assert {host: project.contents(host) for host in hosts} == before
    for host in hosts:
        actions = {engine["batch"]: engine["action"] for engine in plan.host(host)["engines"]}
        assert actions == {64: "reused", 48: "would build"}
        assert {e["action"] for e in check.host(host)["engines"]} == {"would build"}
        assert check.host(host)["bytes_pushed"] == 0
    assert "would build" in plan.out


def test_the_journal_tells_the_whole_run(latest: Path) -> None:
    lines = [json.loads(line) for line in (latest / "journal.jsonl").read_text().splitlines()]
    assert lines[0]["event"] == "RunStarted"
    assert lines[-1]["event"] == "RunFinished"
    finished = [line for line in lines if line["event"] == "EngineFinished"]
    assert {line["host"] for line in finished} == set(OPSETS)
