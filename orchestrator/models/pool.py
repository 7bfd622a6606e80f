"""One worker process for heavy libraries, so that the controller neither loads them nor prints what they print."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from orchestrator.errors import FleetError, ModelError

Report = Callable[[str, float | None], None]


class WorkerPool:
    """Runs functions in one fresh process, one after the other; the process starts with the first and stays.

    Args:
        logs: folder for what the worker prints.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self._writer: Any = None
        self._pid: int | None = None
        self._closed = False
        self._report: Report | None = None

    def run(self, function: Callable[..., Any], *args: Any, report: Report | None = None) -> Any:
        """`function(*args)` in the worker; what it passes to `send_progress` reaches `report`.

        Raises:
            FleetError: what the function raised.
            ModelError: the worker died (for want of memory, most often), or the function broke.
        """
        with self._turn:
            executor = self._started()
            self._report = report
            try:
                return executor.submit(function, *args).result()
            except FleetError as error:
                # The remote traceback that rides along is for us, not for users.
                error.__cause__ = None
                error.log = error.log or self._log_with_content()
                raise
            except BrokenProcessPool:
                self._discard()
                why = (
                    "closed while it worked"
                    if self._closed
                    else "the system ends the largest process when memory runs out"
                )
                raise ModelError(
                    "the export process ended before it was done",
                    why,
                    "look at free memory on this machine; use fewer samples (`samples.count`) or a smaller batch",
                    log=self._log_with_content(),
                ) from None
            except Exception as error:
                raise ModelError(
                    "the export broke in a way that was not foreseen",
                    f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}",
                    "please report it with the log",
                    log=self._keep(error),
                ) from error
            finally:
                self._report = None

    def close(self) -> None:
        """End the worker, also in the middle of its work."""
        with self._lock:
            self._closed = True
        self._discard()

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise ModelError("no export any more", "the run is ending")
            if self._executor is None:
                context = multiprocessing.get_context("spawn")
                # A pipe, not a queue: a worker that is killed cannot leave a lock behind that we would wait for.
                reader, self._writer = context.Pipe(duplex=False)
                self._logs.mkdir(parents=True, exist_ok=True)
                self._executor = ProcessPoolExecutor(
                    max_workers=1, mp_context=context, initializer=_begin, initargs=(self._writer, str(self._log))
                )
                threading.Thread(target=self._listen, args=(reader, self._writer), daemon=True).start()
            return self._executor

    def _listen(self, reader: Any, writer: Any) -> None:
        with reader:
            while True:
                try:
                    kind, *content = reader.recv()
                except (EOFError, OSError):
                    return
                if kind == "pid":
                    self._pid = content[0]
                    writer.close()  # ours; the worker has its own, so that its end ends this loop
                elif (report := self._report) is not None:
                    report(*content)

    def _discard(self) -> None:
        with self._lock:
            executor, writer, pid = self._executor, self._writer, self._pid
            self._executor = self._writer = self._pid = None
        if executor is None:
            return
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        # Waits for the pool's own thread, which ends with the worker: at the interpreter's end the two would race.
        executor.shutdown(wait=True, cancel_futures=True)
        writer.close()

    @property
    def _log(self) -> Path:
        return self._logs / f"export-{os.getpid()}.log"

    def _log_with_content(self) -> str | None:
        return str(self._log) if self._log.is_file() and self._log.stat().st_size else None

    def _keep(self, error: BaseException) -> str:
        import traceback

        with self._log.open("a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
        return str(self._log)


_writer: Any = None


def send_progress(step: str, fraction: float | None = None) -> None:
    """In the worker: tell the controller which step begins."""
    if _writer is not None:
        _writer.send(("progress", step, fraction))


def _begin(writer: Any, log: str) -> None:
    """First thing in the worker: leave Ctrl-C to the controller, and send what anybody prints to the log."""
    global _writer
    _writer = writer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    writer.send(("pid", os.getpid()))
    threading.Thread(target=_end_with_controller, daemon=True).start()


def _end_with_controller() -> None:
    """A controller that is killed cannot end its worker, so the worker watches it."""
    controller = multiprocessing.parent_process()
    if controller is not None:
        controller.join()
        os._exit(1)
