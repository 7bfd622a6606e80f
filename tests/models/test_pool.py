"""The worker process: what happens when it dies, breaks or is no longer wanted."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import Location, ModelError
from orchestrator.models.pool import WorkerPool, send_progress


def own_pid() -> int:
    return os.getpid()


def die() -> None:
    os._exit(9)


def sleep(seconds: float) -> None:
    send_progress("sleeping", 0.5)
    time.sleep(seconds)


def fail() -> None:
    raise ModelError("what", "why", "remedy", location=Location("model.py", 3, 0, "x = 1"))


def break_down() -> None:
    print("a last word")
    raise KeyError("something of ours")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    pool = WorkerPool(tmp_path)
    yield pool
    pool.close()


def test_one_process_serves_all_and_is_another_one(pool: WorkerPool) -> None:
    assert pool.run(own_pid) == pool.run(own_pid) != os.getpid()


def test_a_worker_that_dies_is_explained_and_replaced(pool: WorkerPool) -> None:
    first = pool.run(own_pid)
    with pytest.raises(ModelError, match="ended before it was done") as caught:
        pool.run(die)
    assert "memory" in caught.value.why
    assert pool.run(own_pid) != first


def test_errors_arrive_whole(pool: WorkerPool) -> None:
    with pytest.raises(ModelError) as caught:
        pool.run(fail)
    assert str(caught.value).startswith("model.py:3: what\n    x = 1\n  why\n  try: remedy")
    with pytest.raises(ModelError, match="not foreseen") as caught:
        pool.run(break_down)
    log = Path(str(caught.value.log)).read_text()
    assert "a last word" in log
    assert "in break_down" in log


def test_progress_arrives_while_it_works_and_closing_ends_it(pool: WorkerPool) -> None:
    seen = threading.Event()
    errors: list[ModelError] = []

    def work() -> None:
        try:
            pool.run(sleep, 60, report=lambda step, fraction: seen.set())
        except ModelError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert seen.wait(30)
    pool.close()
    thread.join(10)
    assert not thread.is_alive()
    assert "closed while it worked" in errors[0].why
    with pytest.raises(ModelError, match="no export any more"):
        pool.run(own_pid)


def test_a_process_ends_without_waiting_for_its_worker(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, threading, time
        from pathlib import Path
        from orchestrator.models.pool import WorkerPool
        import test_pool

        if __name__ == "__main__":
            pool = WorkerPool(Path(sys.argv[1]))
            seen = threading.Event()
            def work():
                try:
                    pool.run(test_pool.sleep, 60, report=lambda *a: seen.set())
                except Exception:
                    pass
            threading.Thread(target=work, daemon=True).start()
            assert seen.wait(30)
            pool.close()
    """)
    (tmp_path / "main.py").write_text(script)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{Path(__file__).parent}"}
    began = time.monotonic()
    subprocess.run([sys.executable, str(tmp_path / "main.py"), str(tmp_path)], check=True, env=environment, timeout=25)
    assert time.monotonic() - began < 20
