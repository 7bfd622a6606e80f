"""The README's pictures are made from a run by one command, and what it cannot do it says."""

from __future__ import annotations

import json
import struct

import pytest
import recorded_runs as recorded

from orchestrator.reports import capture


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(recorded.all_well()[-1].result))
    return folder


def test_the_recap_as_picture_and_text_holds_what_the_console_says():
    svg, text = capture.render_recap(recorded.all_well()[-1].result, "runs/x")
    assert "nano-01       : ok=3 changed=2 unreachable=0 failed=0 skipped=1 virtual" in text
    assert max(map(len, text.splitlines())) <= capture.COLUMNS
    assert "\x1b" not in text
    assert "fleet deploy --inventory inventory/lab.yml" in svg.replace("&#160;", " ")
    assert "@font-face" not in svg
    assert "url(http" not in svg


def test_the_page_becomes_a_picture_of_the_asked_size(run, tmp_path, capsys):
    if not any(map(capture.shutil.which, capture._BROWSERS)):
        pytest.skip("no Chromium here to draw the page")
    assert capture.main([str(run), str(tmp_path / "images")]) == 0
    picture = (tmp_path / "images" / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == capture.PAGE_SIZE
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "images" / name) for name in ("recap.svg", "recap.txt", "report.png")
    ]


def test_without_a_browser_it_says_what_to_install(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FLEET_BROWSER", raising=False)
    assert capture.main([str(run), str(tmp_path / "images")]) == 1
    assert "try: install chromium" in capsys.readouterr().err


def test_a_browser_that_fails_is_quoted(run, tmp_path, capsys, monkeypatch):
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\necho cannot start >&2\nexit 3\n")
    browser.chmod(0o755)
    monkeypatch.setenv("FLEET_BROWSER", str(browser))
    assert capture.main([str(run), str(tmp_path / "images")]) == 1
    assert "exited with 3: cannot start" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_folder_without_a_result_is_refused(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    assert capture.main([str(tmp_path), str(tmp_path / "images")]) == 1
    assert "Traceback" not in (error := capsys.readouterr().err)
    assert "result.json" in error
