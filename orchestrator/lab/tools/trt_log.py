"""trtexec's log: stamps, levels, the two streams, and the banner lines with each release's own version tag."""

from __future__ import annotations

import sys
import time

NAME = "TensorRT.trtexec"


def release(version: str) -> tuple[int, int, int]:
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


class Log:
    """Prints as NVIDIA's sample logger does: information to stdout, warnings and errors to stderr."""

    def __init__(self, version: str, command: str) -> None:
        self.version = release(version)
        self.command = command
        self.verbose_on = False

    def _line(self, level: str, text: str, stream: object) -> None:
        # Keeps the order of the two streams where somebody merges them.
        sys.stdout.flush()
        stamp = time.strftime("[%m/%d/%Y-%H:%M:%S]")
        for part in text.split("\n"):
            print(f"{stamp} [{level}] {part}", file=stream, flush=True)  # type: ignore[call-overload]

    def info(self, text: str = "") -> None:
        self._line("I", text, sys.stdout)

    def verbose(self, text: str) -> None:
        if self.verbose_on:
            self._line("V", text, sys.stdout)

    def warning(self, text: str) -> None:
        self._line("W", text, sys.stderr)

    def error(self, text: str) -> None:
        self._line("E", text, sys.stderr)

    def error_code(self, code: int, text: str) -> None:
        """An error of the library itself: from 8.2 on through the error recorder."""
        self.error(f"Error[{code}]: {text}" if self.version >= (8, 2, 0) else f"[TRT] {code}: {text}")

    def _tag(self) -> str:
        major, minor, patch = self.version
        if major < 8:
            return NAME
        number = major * 10000 + minor * 100 + patch if major >= 10 else major * 1000 + minor * 100 + patch
        return f"{NAME} [TensorRT v{number}]" + (" [b10]" if self.version >= (10, 8, 0) else "")

    def banner(self, word: str) -> None:
        print(f"&&&& {word} {self._tag()} # {self.command}", flush=True)

    def passed(self) -> int:
        self.banner("PASSED")
        return 0

    def failed(self) -> int:
        self.banner("FAILED")
        return 1
