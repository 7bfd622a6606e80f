"""A device for tests of the engine code: a fleet_root, a fake trtexec of some release, the Pythons found here."""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
AGENT = HERE.parent.parent

BANNERS = {
    "6.0": "", "7.0": "", "7.1": "", "8.0": "8001", "8.2": "8201", "8.4": "8401", "8.5": "8502", "8.6": "8602",
    "10.3": "100300", "10.13": "101303", "10.16": "101602", "11.1": "110100",
}  # fmt: skip
VERSIONS = list(BANNERS)


def device_pythons():
    """{"3.6": path, ...} of those Pythons of JetPacks that are installed here, and the one that runs the tests."""
    found = {}
    for minor in ("3.6", "3.8", "3.10", "3.12"):
        candidates = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{minor}.*/bin/python"))
        path = str(candidates[-1]) if candidates else shutil.which(f"python{minor}")
        if path:
            found[minor] = path
    return found or {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}


PYTHONS = device_pythons()


FLOAT32, INT8, INT32, INT64 = 1, 3, 6, 7


def field(number, content):
    """A length-delimited protobuf field (contents of less than 128 bytes)."""
    return bytes([number << 3 | 2, len(content)]) + content


def onnx_model(note=b"", nodes=("Relu",), **outputs):
    """The least ONNX file: operators and typed outputs; `note` makes it another model."""
    body = b"".join(field(1, field(4, operator.encode())) for operator in nodes)
    for name, element in outputs.items():
        kind = field(1, bytes([1 << 3, element]))
        body += field(12, field(1, name.encode()) + field(2, kind))
    return field(2, b"tests" + note) + field(7, body)


class Device:
    """A folder that is a device: put blobs, set the fake's scenario, run steps under a device Python."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.count = 0
        for path in (self.root / "blobs", self.bin):
            path.mkdir(parents=True)
        shutil.copy(HERE / "data" / "trtexec_flags.csv", self.bin)
        self.trtexec = self.bin / "trtexec"
        source = (HERE / "fake_trtexec.py").read_text()
        self.trtexec.write_text(f"#!{sys.executable} -S\n{source}")
        self.trtexec.chmod(0o755)
        self.python = next(iter(PYTHONS.values()))

    def fake(self, version, **scenario):
        config = {"version": version, "banner": BANNERS[version], "scenario": scenario}
        (self.bin / "fake.json").write_text(json.dumps(config))
        (self.root / "cache" / "trtexec-flags.json").unlink(missing_ok=True)
        return self

    def blob(self, content):
        digest = hashlib.sha256(content).hexdigest()
        (self.root / "blobs" / digest).write_bytes(content)
        return digest

    def floats(self, *values):
        return self.blob(struct.pack(f"<{len(values)}f", *values))

    def build_spec(self, **changes):
        spec = {
            "key": "k" * 64,
            "onnx": self.blob(onnx_model()),
            "tool": "trtexec",
            "trtexec": str(self.trtexec),
            "precision": "fp32",
            "inputs": [{"name": "x", "dtype": "float32", "shape": [1, 4]}],
            "workspace": 256,
            "timing_cache": None,
            "options": {},
            "timeout_s": 60,
        }
        return {**spec, **changes}

    def steps(self, *steps):
        """The answers ({"result"} or {"error"}) of (kind, spec) pairs, all in one agent process."""
        requests = []
        for kind, spec in steps:
            self.count += 1
            requests.append({"kind": kind, "job": f"{kind}{self.count}", "spec": spec})
        request = {"agent": str(AGENT), "root": str(self.root), "steps": requests}
        done = subprocess.run(
            [self.python, "-I", str(HERE / "drive.py")],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=120,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.folder)},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def good(self, kind, spec):
        answer = self.steps((kind, spec))[-1]
        assert "result" in answer, answer
        return answer["result"]

    def bad(self, kind, spec):
        answer = self.steps((kind, spec))[-1]
        assert "error" in answer, answer
        return answer["error"]

    def calls(self):
        """The argument lists that trtexec was started with, `--help` left out."""
        path = self.bin / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [call["argv"] for call in map(json.loads, lines) if call["argv"] != ["--help"]]

    def events(self, job):
        return [json.loads(line) for line in (self.root / "jobs" / job / "events.jsonl").read_text().splitlines()]

    def engine_files(self):
        folder = self.root / "engines" / ("k" * 64)
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def passport(self):
        return json.loads((self.root / "engines" / ("k" * 64) / "passport.json").read_text())
