"""The HTML page is whole, safe, asks for no network, and never passes emulated times off as a Jetson's."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
import recorded_runs as recorded

from orchestrator.reports.chart import LABEL_WIDTH, VALUE_WIDTH, WIDTH, charts
from orchestrator.reports.html import fact_text, label, render_html, worst

VOID = {"meta", "input", "br", "hr", "link", "img", "line", "rect"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Checks that tags are balanced; gathers attributes and the cells of each table row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)


def page_of(happened) -> tuple[str, Page]:
    text = render_html(happened[-1].result)
    return text, Page(text)


@pytest.mark.parametrize("happened", [recorded.all_well(), recorded.troubled(), recorded.many(1), recorded.many(100)])
def test_the_page_is_well_formed_and_self_contained(happened):
    text, page = page_of(happened)
    assert len(page.ids) == len(set(page.ids))
    for tag, name, value in page.attributes:
        if name in ("src", "href", "action", "data", "poster"):
            assert tag == "a"
            assert not re.match(r"[a-z]+:|//", value), value
        assert not name.startswith("on"), (tag, name)
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


@pytest.mark.parametrize("happened", [recorded.all_well(), recorded.troubled(), recorded.many(100)])
def test_every_device_has_a_section_and_links_lead_to_it(happened):
    _, page = page_of(happened)
    for host in happened[-1].result["hosts"]:
        assert f"host-{host}" in page.ids
    for _, name, value in page.attributes:
        if name == "href" and value.startswith("#"):
            assert value[1:] in page.ids


def test_errors_reasons_and_metrics_are_on_the_page():
    _, page = page_of(recorded.troubled())
    text = " ".join(" ".join(page.text).split())
    for part in (
        recorded.OUT_OF_MEMORY["what"],
        recorded.OUT_OF_MEMORY["remedy"],
        recorded.OUT_OF_MEMORY["log"],
        "fp16 gave 1 200 Inf in logits: fp32",
        "TensorRT 8.0.1 has no LayerNormalization: use opset 13",
        "killed: out of memory",
        "tolerance: atol 0.01, rtol 0.01, outside 0.001, cosine 0.999",
        "0.9999998",
        "dropped",
        "/usr/src/tensorrt/bin/trtexec",
        "MAXN_SUPER",
    ):
        assert part in text, part


def test_everything_from_outside_is_escaped():
    evil = "<script>alert(1)</script>\"'><img src=x>"
    result = copy.deepcopy(recorded.troubled()[-1].result)

    def poison(value, key=None):
        if isinstance(value, dict):
            return {name: poison(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [poison(item) for item in value]
        kept = ("action", "status", "precision", "started", "finished", "level")
        return evil if isinstance(value, str) and key not in kept else value

    result = poison(result)
    result["hosts"] = {f"{evil}{number}": entry for number, entry in enumerate(result["hosts"].values())}
    text = render_html(result)
    assert text.count("<script>") == 1
    assert "<img" not in text
    Page(text)


def test_times_of_virtual_devices_are_badged_and_drawn_apart():
    happened = recorded.begin(["board", "lab"], virtual=False)
    happened += recorded.deploy("board", "agx-orin-01", virtual=False)
    happened += recorded.deploy("lab", "nano-01", virtual=True)
    result = recorded.finish(happened)[-1].result
    real, virtual = charts(result)
    assert (real.virtual, [bar.label.split()[0] for bar in real.bars]) == (False, ["board"])
    assert (virtual.virtual, [bar.label.split()[0] for bar in virtual.bars]) == (True, ["lab"])
    text = render_html(result)
    assert "1 device of 2 of this run is emulated" in " ".join(text.split())
    engine_rows = [row for row in text.split("<tr ") if " ms</td>" in row]
    assert len(engine_rows) == 2
    for row in engine_rows:
        assert ('class="badge virtual"' in row) == ('data-host="lab"' in row)
        assert ('class="number emulated"' in row) == ('data-host="lab"' in row)


def test_a_page_of_real_devices_never_says_virtual():
    happened = recorded.begin(["board"], virtual=False) + recorded.deploy("board", "agx-orin-01", virtual=False)
    _, page = page_of(recorded.finish(happened))
    assert "virtual" not in " ".join(page.text).lower()


@pytest.mark.parametrize("longest", [0.004, 0.7, 1.0, 9.99, 250.0, 40_000.0])
def test_the_chart_keeps_its_bars_inside_and_in_proportion(longest):
    times = {"p50": longest / 2, "p90": longest * 0.7, "p95": longest * 0.8, "p99": longest}
    happened = recorded.begin(["a"]) + recorded.deploy("a", "nano-01", latency_ms=times)
    (chart,) = charts(recorded.result_of(happened))
    (bar,) = chart.bars
    assert LABEL_WIDTH < bar.end <= WIDTH - VALUE_WIDTH + 0.01
    widths = {name: width for name, width, _ in bar.spans}
    assert widths["p50"] == pytest.approx(widths["p99"] / 2, abs=0.02)
    assert 2 <= len(chart.ticks) <= 7
    assert all(LABEL_WIDTH <= x <= WIDTH - VALUE_WIDTH + 0.01 for x, _ in chart.ticks)


def test_nothing_measured_means_no_chart():
    happened = recorded.begin(["a"]) + recorded.deploy("a", "nano-01", latency_ms=None, throughput_per_s=None)
    assert charts(recorded.result_of(happened)) == []
    assert "<svg" not in render_html(recorded.result_of(happened))


def test_an_engine_with_only_what_the_schema_requires_can_be_shown():
    engine = {
        name: value
        for name, value in recorded.engine("nano-01", key=None, batch=None, precision=None, opset=None).items()
        if name not in ("attempts", "rungs", "export", "warnings", "power", "release")
    }
    engine |= {"build_s": None, "size_bytes": None, "artifact": None, "passport": None}
    engine["verdict"] = {"passed": True, "metrics": {"logits": recorded.metrics(top1=None)}}
    result = recorded.all_well()[-1].result
    result["hosts"]["nano-01"]["engines"] = [engine]
    Page(render_html(result))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ram_bytes", 8 << 30, "8.0 GiB"),
        ("precisions", ["fp32", "fp16"], "fp32, fp16"),
        ("clocks", {"locked": True, "gpu_hz": {"min": 114750000}}, "locked yes, gpu min 115 MHz"),
        ("power_mode", None, "-"),
        ("dla_cores", 0, "0"),
        ("power_mode", {"id": 8, "name": "MODE_20W_6CORE"}, "id 8, name MODE_20W_6CORE"),
    ],
)
def test_facts_are_written_for_people(name, value, shown):
    assert fact_text(value, name) == shown


def test_fact_names_lose_the_unit_that_their_value_shows():
    assert [label(name) for name in ("disk_free_bytes", "compute_capability")] == ["disk free", "compute capability"]


def test_the_worst_output_stands_for_the_engine():
    engine = recorded.engine()
    engine["verdict"]["metrics"]["boxes"] = recorded.metrics(cos=0.9, l2=0.5, top1=None)
    assert [worst(engine, name) for name in ("cos", "l2", "top1")] == [0.9, 0.5, 1.0]
    assert worst({"verdict": None}, "cos") is None


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_what_lies_behind_them(theme):
    css = render_html(recorded.all_well()[-1].result)
    pairs = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    colours = {name: light if theme == "light" else dark for name, light, dark in pairs}
    grounds = dict.fromkeys(("text", "dim", "accent", "ok", "changed", "failed", "skipped"), ("page", "card", "raised"))
    grounds |= {
        "virtual": ("page", "card", "virtual-tint"),
        "text ": ("failed-tint", "virtual-tint"),
        "dim ": ("failed-tint",),
    }
    for word, behind in grounds.items():
        for ground in behind:
            high, low = sorted((_luminance(colours[word.strip()]), _luminance(colours[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (word, ground)  # WCAG 2.2, level AA


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here to run the page's script in")
def test_sorting_filtering_and_the_theme_work_in_a_browser(tmp_path):
    probe = """
    <script>
    const table = document.querySelector("table.sortable");
    const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent).join(",");
    const header = [...table.tHead.rows[0].cells].find((cell) => cell.textContent === "p50");
    const button = header.querySelector("button");
    button.click(); const up = names(); const first = header.getAttribute("aria-sort");
    button.click(); const down = names();
    const filter = document.getElementById("filter");
    filter.value = "orin FP32"; filter.dispatchEvent(new Event("input"));
    const left = [...table.tBodies[0].rows].filter((row) => !row.hidden).length;
    document.getElementById("theme").click();
    const one = document.documentElement.dataset.theme;
    document.getElementById("theme").click();
    const two = document.documentElement.dataset.theme;
    document.title = [up, first, down, left, [one, two].sort()].join("|");
    </script></body>"""
    page = tmp_path / "report.html"
    page.write_text(render_html(recorded.troubled()[-1].result).replace("</body>", probe), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}/profile"]
    done = subprocess.run(
        [CHROMIUM, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stderr[-1000:]
    up, first, down, left, themes = title[1].split("|")
    assert up == "orin-nano-01,agx-orin-01,nano-01,agx-xavier-01"  # the unmeasured come last
    assert first == "ascending"
    assert down == "agx-orin-01,orin-nano-01,nano-01,agx-xavier-01"
    assert left == "1"
    assert themes == "dark,light"
