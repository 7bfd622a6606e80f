"""One worker process for all tests that export: starting it costs seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from orchestrator.models.exports import Export, ExportNeed, Exports
from orchestrator.models.reading import load_spec
from orchestrator.store import Store


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exports]:
    folder = tmp_path_factory.mktemp("exports")
    with Exports(Store(folder / "store"), folder) as service:
        yield service


@pytest.fixture
def make(exports: Exports) -> Callable[..., Export]:
    """`make(spec path, opset)` exports the first variant."""

    def export(path: Path, opset: int = 13, **kwargs: Any) -> Export:
        spec = load_spec(path)
        return exports.export(ExportNeed(spec, opset, spec.variants()[0]), **kwargs)

    return export
