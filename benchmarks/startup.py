"""How fast `fleet --help` is, as a ratio to `python -c "import rich.console"`: median of interleaved pairs.

    python benchmarks/startup.py [--pairs 11]

Also lists any heavy module that `fleet --help` imports; exits with 1 where there is one or the ratio is above 1.5.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

HEAVY = {"torch", "onnx", "onnxruntime", "polygraphy", "numpy", "fabric", "paramiko", "jinja2", "pydantic"}
HELP = [sys.executable, "-m", "orchestrator", "--help"]
BASE = [sys.executable, "-c", "import rich.console"]
LOADED = (
    "import sys, contextlib, io\n"
    "from orchestrator.cli.main import main\n"
    "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])\n"
    "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
)


def seconds(command: list[str]) -> float:
    """Wall seconds of one whole process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(pairs: int) -> tuple[float, float, float]:
    """Median of the ratios of interleaved pairs, and the two medians in seconds."""
    seconds(HELP), seconds(BASE)  # byte-compile both
    taken = [(seconds(HELP), seconds(BASE)) for _ in range(pairs)]
    ratio = statistics.median(ours / theirs for ours, theirs in taken)
    return ratio, *(statistics.median(column) for column in zip(*taken, strict=True))


def heavy_imports() -> set[str]:
    """Heavy modules that `fleet --help` imports."""
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    return HEAVY & set(done.stdout.split())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=11)
    ratio, ours, theirs = measure(parser.parse_args().pairs)
    heavy = heavy_imports()
    print(f"fleet --help {ours * 1000:.0f} ms, import rich.console {theirs * 1000:.0f} ms, ratio {ratio:.2f}")
    print(f"heavy modules imported: {', '.join(sorted(heavy)) or 'none'}")
    return 1 if heavy or ratio > 1.5 else 0


if __name__ == "__main__":
    sys.exit(main())
