"""Pictures of a finished run for the README: `python -m orchestrator.reports.capture runs/latest docs/images`."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigurationError, FleetError
from orchestrator.reports.html import render_html
from orchestrator.reports.recap import recap

COLUMNS = 100
PAGE_SIZE = (1280, 1500)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_BROWSER_TIMEOUT_S = 120
# Rich's SVG asks a web server for its font; a picture in a repository must not.
_WEB_FONTS = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)


def capture(run: Path, out: Path) -> list[Path]:
    """Make `recap.svg`, `recap.txt` and `report.png` of the run in folder `run`.

    Raises:
        ConfigurationError: no readable result in `run`, `out` cannot be written, no browser, or it failed.
    """
    result = _read(run / "result.json")
    try:
        out.mkdir(parents=True, exist_ok=True)
        recap_svg, recap_text = render_recap(result, f"runs/{result['run']}")
        (out / "recap.svg").write_text(recap_svg, encoding="utf-8")
        (out / "recap.txt").write_text(recap_text, encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(f"cannot write {out}", problem.strerror or str(problem)) from None
    screenshot(render_html(result), out / "report.png")
    return [out / "recap.svg", out / "recap.txt", out / "report.png"]


def render_recap(result: Mapping[str, Any], directory: str) -> tuple[str, str]:
    """The console's recap as an SVG picture and as plain text, 100 columns wide."""
    from rich.console import Console

    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(recap(result, directory))
    plain = "".join(f"{line.rstrip()}\n" for line in console.export_text(clear=False).splitlines())
    svg = console.export_svg(title=result["controller"]["command"], unique_id="fleet-recap")
    return _WEB_FONTS.sub("", svg), plain


def screenshot(page: str, target: Path) -> None:
    """Render an HTML page with a headless Chromium into the PNG `target`.

    Raises:
        ConfigurationError: no browser was found, or it made no picture.
    """
    browser = next(filter(None, map(shutil.which, filter(None, [os.environ.get("FLEET_BROWSER"), *_BROWSERS]))), None)
    if browser is None:
        raise ConfigurationError(
            "no picture of the report", "no Chromium or Chrome on PATH", "install chromium, or set FLEET_BROWSER to one"
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source = Path(folder, "report.html")
        source.write_text(page, encoding="utf-8")
        command = [
            browser,
            "--headless",
            "--no-sandbox",  # a container's root has no sandbox; the page is our own and asks for nothing
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
            f"--window-size={PAGE_SIZE[0]},{PAGE_SIZE[1]}",
            f"--screenshot={folder}/report.png",
            source.as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_BROWSER_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise ConfigurationError("no picture of the report", f"{browser}: {problem}") from None
        picture = Path(folder, "report.png")
        if done.returncode or not picture.is_file():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise ConfigurationError("no picture of the report", f"{browser} exited with {done.returncode}: {last}")
        try:
            target.write_bytes(picture.read_bytes())
        except OSError as problem:
            raise ConfigurationError(f"cannot write {target}", problem.strerror or str(problem)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        return {**result, "hosts": result["hosts"], "controller": result["controller"]}
    except OSError as problem:
        raise ConfigurationError(
            f"cannot read {path}", problem.strerror or str(problem), "name a run's folder"
        ) from None
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(
            f"{path} is not the result of a run", "", "name a run's folder, such as runs/latest"
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m orchestrator.reports.capture", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="a run's folder, such as runs/latest")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="where the pictures go, such as docs/images")
    options = parser.parse_args(arguments)
    try:
        for path in capture(options.run, options.out):
            print(path)
    except FleetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
