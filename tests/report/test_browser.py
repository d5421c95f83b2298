"""The pages of reports and benchmarks in a real browser: nothing overflows on a phone or a desk, light and dark."""

import json
import os
import re
import secrets
import shutil
import subprocess
from html import unescape

import pytest

from benchmark.folders import make_benchmark
from cloudlstm.benchmark.build import build
from cloudlstm.benchmark.matrix import Matrix
from cloudlstm.benchmark.render import to_html
from cloudlstm.report import html
from cloudlstm.report.charts import CHARTS
from evaluation.exogenous_samples import make_exogenous
from evaluation.samples import make_extreme_forecasts, make_forecasts, make_unbalanced_forecasts, report_of
from report.test_hostile_names import MARKUP, VERY_LONG, evidence_of
from requirements import without

WIDTHS, PAGES = (390, 1280), ("normal", "further", "few", "extreme", "unequal", "names", "benchmark")
CHARTS_SHOWN = {"further": len(CHARTS), "names": len(CHARTS), "few": len(CHARTS) - 6, "benchmark": 3}
"""Charts of a page that lacks some: six tickers and one fold give no evidence to draw.
Without further features the others lack three."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

SECTORS = {f"T{number:04d}": ("Information Technology", "Consumer Discretionary")[number % 2] for number in range(20)}

# Measures the page after layout and posts the result to the parent document.
PROBE = """
<script>
addEventListener("load", () => {
  const out = [];
  for (const svg of document.querySelectorAll("svg")) {
    const box = svg.getBoundingClientRect();
    if (!box.width) continue;
    for (const text of svg.querySelectorAll("text")) {
      const at = text.getBoundingClientRect();
      const outside = at.left < box.left - 1.5 || at.right > box.right + 1.5 || at.top < box.top - 2
        || at.bottom > box.bottom + 2;
      if (outside) out.push(text.textContent);
    }
  }
  const wide = [...document.querySelectorAll("body *")].filter((each) => {
    const at = each.getBoundingClientRect();
    return at.right > innerWidth + 1 && !each.closest(".scroll") && !each.closest("svg");
  }).map((each) => each.tagName + "." + each.className);
  const answer = {
    name,
    scroll: document.documentElement.scrollWidth, inner: innerWidth, out, wide,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    ground: getComputedStyle(document.body).backgroundColor,
    shown: [...document.querySelectorAll("svg")].filter((svg) => svg.getBoundingClientRect().width).length,
    table: Math.max(...[...document.querySelectorAll("table")].map((each) => each.getBoundingClientRect().width)),
    tallest: Math.max(...[...document.querySelectorAll("tr")].map((each) => each.getBoundingClientRect().height)),
    smallest: Math.min(...[...document.querySelectorAll("p, td, th, dd, dt, figcaption, li")]
      .map((each) => parseFloat(getComputedStyle(each).fontSize))),
  };
  parent.postMessage(JSON.stringify(answer), "*");
});
</script>
"""

# A browser window has a minimum width of about 500 pixels; a frame has none, and one browser can show them all.
FRAMES = """<!DOCTYPE html><html><head><meta name="color-scheme" content="light dark"></head><body>
<pre id="answers"></pre>
<script>addEventListener("message", (event) => {
  document.getElementById("answers").textContent += event.data + "\\n";
});</script>
%s
</body></html>
"""
FRAME = '<iframe name="%s %d" src="%s" style="width: %dpx; height: 900px; border: 0"></iframe>'


@pytest.fixture(scope="module")
def browser():
    for name in NAMES:
        if found := shutil.which(name):
            return found
    return without("browser", f"no browser for the report: none of {', '.join(NAMES)} is on the PATH")


def write_page(folder, name, text):
    """Writes a page with all details open, and with the probe that the page's policy would forbid."""
    text = text.replace("<details>", "<details open>")
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (folder / f"{name}.html").write_text(page.replace("</body>", PROBE + "</body>"), encoding="utf-8")


def measure(browser, folder, shown, *, dark):
    """Measurements by page and width, such as "normal 390".

    Args:
        browser: Path of the browser.
        folder: An empty folder.
        shown: File of a page, written by `write_page`, and width in pixels.
        dark: Whether the browser prefers dark pages.
    """
    frames = [FRAME % (path.stem, width, path.as_uri(), width) for path, width in shown]
    (folder / "frames.html").write_text(FRAMES % "\n".join(frames), encoding="utf-8")
    command = [
        browser, "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000", "--virtual-time-budget=20000",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--dump-dom", (folder / "frames.html").as_uri(),
    ]  # fmt: skip
    if os.geteuid() == 0:
        command.insert(1, "--no-sandbox")
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r'<pre id="answers">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found, f"exit {done.returncode}: {done.stderr[-2000:]}"
    answers = [json.loads(line) for line in unescape(found[1]).splitlines()]
    return {answer["name"]: answer for answer in answers}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    reports = {
        "normal": report_of(make_forecasts(tickers=24, dates=240, skill=0.3), seeds=3, folds=3, sectors=SECTORS),
        "further": report_of(
            make_forecasts(tickers=24, dates=240), seeds=3, folds=3, exogenous=make_exogenous(scale=4.0)
        ),
        "few": report_of(make_forecasts(tickers=6)),
        "extreme": report_of(make_extreme_forecasts(tickers=50), source="files", seeds=3, folds=3),
        "unequal": report_of(make_unbalanced_forecasts(), seeds=2, folds=12),
        "names": evidence_of((*VERY_LONG, *MARKUP, *(f"{name} 2" for name in MARKUP))),
    }
    texts = {name: html.render(report) for name, report in reports.items()}
    matrix = Matrix(tickers=(6, 100, 1_000), cores=(1, 2, 4), workers=(1, 2, 4), repeats=2)
    texts["benchmark"] = to_html(build(make_benchmark(f"memory://{secrets.token_hex(6)}/runs", matrix)))
    for name, text in texts.items():
        write_page(folder, name, text)
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def measured(request, browser, pages, tmp_path_factory):
    """Measurements by page and width, and whether the browser is in dark mode."""
    folder = tmp_path_factory.mktemp("browser")
    return measure(browser, folder, [(pages / f"{name}.html", width) for name in PAGES for width in WIDTHS],
                   dark=request.param), request.param  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_overflows(measured, name, width):
    answers, dark = measured
    found = answers[f"{name} {width}"]
    assert found["inner"] == width
    assert found["dark"] is dark
    assert found["scroll"] <= width, found["wide"]
    assert found["wide"] == []
    assert found["table"] <= 960  # a wider one scrolls even on a desk
    assert found["tallest"] <= 320
    assert found["out"] == []
    assert found["shown"] == CHARTS_SHOWN.get(name, len(CHARTS) - 3)  # each at one of its two widths
    assert found["smallest"] >= 12
    assert found["ground"] == ("rgb(15, 20, 25)" if dark else "rgb(247, 248, 250)")
