"""What a person reads on the terminal, in a live view or as plain lines, wide or narrow."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time

import pytest
import recorded_runs as recorded

from orchestrator import events
from orchestrator.reports.console import ConsoleReport, diff_lines
from orchestrator.reports.live import LiveView

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(happened, *, width=100, stream=None, **options) -> str:
    stream = stream or io.StringIO()
    with ConsoleReport(stream, width=width, **options) as report:
        for event in happened:
            report(event)
    stream.seek(0)
    return stream.read()


def test_without_a_terminal_each_event_is_a_plain_line():
    text = shown(recorded.all_well())
    assert "\x1b" not in text
    assert "\r" not in text
    assert re.search(r"^ +0:01  nano-01 +building 10 %  digits fp16$", text, re.MULTILINE)
    assert "Set the power mode (0.21 s): 15W -> MAXN" in text
    assert "warning      weak supply: 5 V 2 A, MAXN may brown out" in text
    assert "store: 3 blobs" not in text


def test_plain_progress_is_one_line_a_quarter_at_most():
    happened = recorded.begin(["a"])
    happened += [events.HostState(host="a", state="building", fraction=n / 100) for n in range(101)]
    assert shown(happened).count("building") == 5


def test_verbose_shows_debug_notes_and_diffs():
    text = shown(recorded.all_well(), verbosity=1)
    assert "store: 3 blobs" in text
    assert "    -15W\n    +MAXN\n" in text


def test_diffs_can_be_asked_for_alone():
    text = shown(recorded.all_well(), diffs=True)
    assert "store: 3 blobs" not in text
    assert "    -15W\n    +MAXN\n" in text
    assert "+MAXN" not in shown(recorded.all_well())


@pytest.mark.parametrize(
    ("diff", "lines"),
    [
        (("a\nb", "a\nc"), ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]),
        ({"before": None, "after": "new"}, ["@@ -0,0 +1 @@", "+new"]),
        ("+ as given", ["+ as given"]),
    ],
)
def test_a_diff_in_any_of_its_forms(diff, lines):
    assert diff_lines(diff) == lines


def test_the_recap_counts_as_ansible_does():
    text = shown(recorded.troubled())
    assert re.search(r"^orin-nano-01 +: ok=3 changed=2 unreachable=0 failed=0 skipped=1 virtual$", text, re.MULTILINE)
    assert re.search(r"^xavier-nx-01 +: ok=0 changed=0 unreachable=1 failed=0 skipped=0 virtual$", text, re.MULTILINE)
    assert re.search(r"^nano-01 +: ok=0 changed=0 unreachable=0 failed=1 ", text, re.MULTILINE)


def test_the_recap_shows_engines_with_reason_verdict_and_marked_times():
    text = shown(recorded.troubled())
    assert re.search(
        r"^orin-nano-01 +virtual +digits b8 +fp32 +17 +built +passed +3\.00\* +5\.70\* +333/s\*$", text, re.MULTILINE
    )
    assert "* virtual: emulated on this machine; these are not a Jetson's times." in text
    assert "built: fp16 gave 1 200 Inf in logits: fp32  (orin-nano-01)" in text
    assert "blocked: TensorRT 8.0.1 has no LayerNormalization: use opset 13  (agx-xavier-01)" in text


def test_times_of_real_devices_bear_no_mark():
    happened = recorded.begin(["board"], virtual=False)
    happened += recorded.deploy("board", "agx-orin-01", virtual=False)
    happened = [
        event if not isinstance(event, events.FactsGathered) else events.FactsGathered(host="board", facts={})
        for event in happened
    ]
    text = shown(recorded.finish(happened))
    assert "virtual" not in text
    assert "*" not in text
    assert "3.70" in text


def test_errors_come_in_three_lines_and_the_log_last():
    text = shown(recorded.troubled())
    assert (
        "nano-01: engine not built: trtexec was killed by the kernel (out of memory) at workspace 1024 MiB\n"
        "  free memory was 611 MiB; the desktop session holds 702 MiB\n"
        "  try: fleet provision --tags headless --limit nano-01, or set build.workspace: 256\n"
        "  log: runs/20260921-031500/artifacts/nano-01/digits/build.log\n"
    ) in text


def test_fifty_devices_share_what_they_have_in_common():
    text = shown(recorded.many(50))
    assert text.count("  connection refused\n") == 1
    assert "line-009, line-019, line-029, line-039 and 1 more: cannot connect to 192.168.55.1:22" in text
    assert "built: no engine with this key on the device  (all 45 devices)" in text
    assert "45 ok, 5 unreachable (50 virtual); engines: 45 built" in text


def test_the_last_lines_say_where_the_reports_lie():
    lines = shown(recorded.all_well(), directory="runs/x").splitlines()
    assert [line.split() for line in lines[-2:]] == [["report", "runs/x/report.html"], ["result", "runs/x/result.json"]]


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_tables_fit_the_terminal(width):
    text = shown([recorded.troubled()[-1]], width=width)
    assert max(map(len, text.splitlines())) <= width
    table = text[text.index("device ") : text.index("* virtual")]
    assert "…" not in table if width >= 80 else True
    assert all(title in table for title in ("engine", "precision", "action", "verdict"))
    assert ("opset" in table) == (width >= 100)


def test_a_run_without_engines_has_no_engine_table():
    happened = recorded.finish([*recorded.begin(["a"]), events.HostFinished(host="a", status="ok")])
    assert "precision" not in shown(happened)


@pytest.mark.parametrize("wanted", ["no terminal", "NO_COLOR", "dumb", "--no-live"])
def test_no_live_view_where_it_cannot_or_shall_not_be(wanted, monkeypatch):
    if wanted == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    if wanted == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO() if wanted == "no terminal" else Terminal()
    text = shown(recorded.all_well(), stream=stream, live=wanted != "--no-live")
    assert "\x1b[1A" not in text
    assert "\x1b[?25l" not in text
    assert "benchmarking" in text


def test_the_live_view_leaves_only_the_recap_behind():
    text = shown(recorded.all_well(), stream=Terminal())
    assert "\x1b[?25l" in text  # the cursor was hidden
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # and came back
    after = ANSI.sub("", text[text.rindex("\x1b[?25h") :])
    assert "nano-01       : ok=3" in after
    assert "weak supply" in ANSI.sub("", text)
    assert "Lock the clocks (" not in ANSI.sub("", text)  # tasks that go well are not worth a line


def test_an_interrupted_run_gives_the_cursor_back():
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), ConsoleReport(stream, width=100) as report:
        for event in recorded.begin(["a"]):
            report(event)
        raise KeyboardInterrupt
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def live_frame(width: int, height: int, hosts: int) -> list[str]:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    view = LiveView(console)
    names = [f"line-{number:03}" for number in range(hosts)]
    now = time.time()
    view.start(names, names[:1], now - 65)
    view.stop()
    view.state("controller", "exporting", "digits opset 13", None, now - 3)
    view.state(names[0], "building", "digits fp16", 0.43, now - 62)
    if hosts > 1:
        view.state(names[1], "connecting", "", None, now - 9)
        view.state(names[1], "failed", "engine not built", None, now - 5)
        view.state(names[2], "gathering facts", "", None, now - 2)
        view.task(names[2], "Copy the application", now - 1)
    with console.capture() as capture:
        console.print(view)
    return [ANSI.sub("", line).rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_live_frame_has_a_line_per_device_that_fits(width):
    lines = live_frame(width, 30, 5)
    assert len(lines) == 7
    assert max(map(len, lines)) <= width
    assert "controller" in lines[0]
    assert "exporting" in lines[0]
    assert re.search(r"line-000 +virtual +building", lines[1])
    assert "43 %" in lines[1]
    assert "1:02" in lines[1]
    assert "0:04" in lines[2]  # time stops when a device is done
    assert re.search(rf"line-002 +working .*0:02{' Copy' if width > 60 else ''}", lines[3])
    assert "waiting" in lines[4]
    assert re.search(r"2 at work +2 waiting +1 failed +1:05", lines[-1])


def test_a_low_terminal_shows_devices_at_work_and_counts_the_rest():
    lines = live_frame(80, 12, 50)
    assert len(lines) <= 11
    assert "building" in "\n".join(lines[:3])
    assert "42 not shown" in lines[-1]


def test_a_terminal_without_unicode_gets_replacements_and_no_crash():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    happened = recorded.begin(["nano"])
    happened.append(events.Note(host="nano", level="warning", text="温度 82 °C"))
    text = shown(recorded.finish([*happened, *recorded.deploy("nano", "nano-01")]), stream=stream)
    assert "?? 82 ?C" in text
    assert "recap ----" in text


def test_text_that_looks_like_markup_is_shown_as_it_is():
    happened = recorded.begin(["a"])
    happened.append(events.Note(host="a", level="warning", text="[bold]W[0] :smile: [/nothing]"))
    assert "[bold]W[0] :smile: [/nothing]" in shown(happened)


def test_the_console_imports_nothing_heavy():
    heavy = {"torch", "onnx", "numpy", "jinja2", "fabric", "paramiko", "jsonschema", "rich.live", "yaml"}
    program = "import sys, orchestrator.reports.console, orchestrator.reports.result; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())
