"""A pair: one playbook that Ansible and Fleet run alike, in check mode, for real, and again."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from machines import HERE

PAIRS = HERE / "pairs"
MODES = ("check", "normal", "again")
"""In this order, on the same two machines: a check changes nothing, and what ran once has nothing left to do."""


@dataclass(frozen=True)
class Pair:
    """A folder of `pairs/`: play.yml, what it needs, and case.yml where something is special.

    case.yml: `options` (command line options that both take), `modes` (those that make sense, default all).
    """

    name: str
    options: list[str] = field(default_factory=list)
    modes: tuple[str, ...] = MODES

    @property
    def folder(self) -> Path:
        return PAIRS / self.name

    @property
    def playbook(self) -> Path:
        return self.folder / "play.yml"

    @property
    def seed(self) -> Path:
        return self.folder / "seed"

    @property
    def golden(self) -> Path:
        return HERE / "goldens" / f"{self.name}.json"


def load_pair(name: str) -> Pair:
    file = PAIRS / name / "case.yml"
    case: dict[str, Any] = yaml.safe_load(file.read_text()) if file.is_file() else {}
    options = [str(option).replace("{folder}", str(PAIRS / name)) for option in case.get("options", [])]
    return Pair(name, options, tuple(case.get("modes", MODES)))


def pair_names() -> list[str]:
    return sorted(file.parent.name for file in PAIRS.glob("*/play.yml"))


@contextmanager
def web_server() -> Iterator[str]:
    """Serves `web/` on loopback; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(201)
            self.send_header("Content-Type", self.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(HERE / "web")))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def by_host(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Results per host, in the order of each host's tasks."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        found.setdefault(line["host"], []).append({k: v for k, v in line.items() if k != "host"})
    return found
