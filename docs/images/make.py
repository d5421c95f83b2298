"""Draws the pictures of the README, each readable on a light and on a dark page.

    python docs/images/make.py runs/demo-1a2b3c4d/report/report.json [runs/benchmarks/…/benchmark.json]

benchmark.svg shows what a benchmark says and its charts; take one that a quiet machine has made. report.svg shows the
verdict and two charts of a report, as the report itself draws them; take a run of the synthetic demo (`make demo`).
architecture.svg shows the rooms of the package.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from cloudlstm.benchmark.charts import draw_all as benchmark_plots
from cloudlstm.benchmark.document import BenchmarkResult
from cloudlstm.report.charts import WIDE_PX, Plot, draw_all
from cloudlstm.report.models import Report

HERE = Path(__file__).parent
STYLE = HERE.parents[1] / "src/cloudlstm/report/templates/report.css"
MARGIN_PX = 28.0
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"

Shape = str
"""SVG markup."""


def page(shapes: list[Shape], title: str, width: float, height: float) -> str:
    """A complete SVG with the colours and chart styles of the report."""
    css = STYLE.read_text(encoding="utf-8")
    colours = css[: css.index("\n* {")]
    charts = css[css.index("\n.s {") : css.index("\n.scroll {")]
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    frame = f'<rect x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="12" {{}}/>'
    font = f"text {{ font-family: {FONT}; font-variant-numeric: tabular-nums; }}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{colours}{charts}\n{font}\n</style>",
        frame.format('fill="var(--surface)" stroke="var(--line)"'),
        *shapes,
        "</svg>\n",
    ]
    return "\n".join(parts)


def text(x: float, y: float, words: str, size: float = 13, *, muted: bool = False, bold: bool = False) -> Shape:
    """One line of text whose baseline starts at (x, y)."""
    colour, weight = "muted" if muted else "ink", 600 if bold else 400
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}" fill="var(--{colour})">'
        f"{escape(words)}</text>"
    )


def benchmark_picture(result: BenchmarkResult) -> str:
    """What a benchmark says, the times of its cells, and its speed-ups."""
    machine = f"Benchmark on {result.machine.cores} cores, {result.created[:10]}"
    shapes = [text(MARGIN_PX, 40, machine, 12.5, muted=True, bold=True)]
    y = 68.0
    for line in (line for each in result.headlines for line in textwrap.wrap(each, 96)):
        shapes.append(text(MARGIN_PX, y, line, 15))
        y += 22
    y = with_charts(shapes, benchmark_plots(result), ("data", "training", "speed-up"), y + 16)
    return page(shapes, "Benchmark of cloudlstm", WIDE_PX + 2 * MARGIN_PX, y - 14)


def with_charts(shapes: list[Shape], plots: Mapping[str, Plot], names: Sequence[str], y: float) -> float:
    """Adds the charts that there are below `y`, each with its title; returns the end of the last one."""
    for name in (each for each in names if each in plots):
        plot = plots[name].wide
        found = re.match(r'<svg viewBox="0 0 [\d.]+ ([\d.]+)"', plot)
        assert found
        height = float(found[1])
        place = f'<svg x="{MARGIN_PX:g}" y="{y + 18:g}" width="{WIDE_PX:g}" height="{height:g}" '
        title = re.search(r"<title[^>]*>(.*?)</title>", plot)
        assert title
        shapes += [text(MARGIN_PX, y, title[1], 15, bold=True), plot.replace("<svg ", place, 1)]
        y += 18 + height + 40
    return y


def report_picture(report: Report) -> str:
    """The verdict of a report, the squared error that each model saves, and forecasts by ticker."""
    plots = draw_all(report)
    shapes = [text(MARGIN_PX, 40, "Report of a run on the synthetic market", 12.5, muted=True, bold=True)]
    y = 68.0
    for line in textwrap.wrap(report.headline, 96):
        shapes.append(text(MARGIN_PX, y, line, 15))
        y += 22
    y = with_charts(shapes, plots, ("cumulative", "paths"), y + 16)
    return page(shapes, "Report of cloudlstm", WIDE_PX + 2 * MARGIN_PX, y - 14)


def box(x: float, y: float, width: float, height: float, title: str, lines: list[str], *, tint: bool = False) -> Shape:
    """A rectangle with a title and lines of text."""
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="9"'
    frame = f'<rect {place} fill="var(--{"tint" if tint else "page"})" stroke="var(--line)"/>'
    parts = [frame, text(x + 14, y + 24, title, 14, bold=True)]
    parts += [text(x + 14, y + 45 + 18 * row, line, 12.5, muted=True) for row, line in enumerate(lines)]
    return "".join(parts)


def arrow(x0: float, y0: float, x1: float, y1: float, words: str = "") -> Shape:
    """An arrow with a label above or beside it."""
    label = text(
        (x0 + x1) / 2 + (8 if x0 == x1 else -26), (y0 + y1) / 2 + (4 if x0 == x1 else -8), words, 12, muted=True
    )
    line = f'<line x1="{x0:g}" y1="{y0:g}" x2="{x1:g}" y2="{y1:g}" stroke="var(--lstm)" stroke-width="1.6"'
    return f'{line} marker-end="url(#head)"/>{label if words else ""}'


def architecture_picture() -> str:
    """Which rooms run where, and that launcher and jobs meet in the run's URI."""
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="var(--lstm)"/></marker></defs>'
    )
    launcher = ["cli: commands", "api, notebook: Python", "targets: local, aws, gcp"]
    prepare = ["pipeline: runs it on shards", "market: sources, cleaning", "features: one table", "dataset: TFRecord"]
    train = ["training: TensorFlow", "evaluation: baselines, tests", "report: page, charts, JSON"]
    run = "settings · attempts · manifests · data by step · checkpoints · logs · report"
    shared = "workers: processes of a job   ·   runs: the run folder   ·   config   ·   storage   ·   text   ·   errors"
    shapes = [
        head,
        box(28, 28, 218, 122, "Launcher: your machine", launcher),
        box(318, 28, 214, 122, "Job prepare: Spark", prepare),
        box(572, 28, 216, 122, "Job train: workers", train),
        arrow(246, 92, 316, 92, "starts"),
        arrow(532, 92, 570, 92),
        arrow(132, 152, 132, 204, "settings, attempt"),
        arrow(425, 152, 425, 204, "bars to sequences"),
        arrow(680, 152, 680, 204, "weights, report"),
        box(28, 206, 760, 62, "A run: one URI, on a disk, in S3 or in GCS", [run], tint=True),
        text(28, 300, "Shared rooms", 13, bold=True),
        text(28, 322, shared, 12.5, muted=True),
    ]
    return page(shapes, "Rooms of cloudlstm", 816, 344)


def main(report: str, benchmark: str = "") -> None:
    """Writes the pictures beside this script; that of a benchmark only if its benchmark.json is named."""
    (HERE / "architecture.svg").write_text(architecture_picture(), encoding="utf-8")
    loaded = Report.model_validate_json(Path(report).read_bytes())
    (HERE / "report.svg").write_text(report_picture(loaded), encoding="utf-8")
    if benchmark:
        measured = BenchmarkResult.model_validate_json(Path(benchmark).read_bytes())
        (HERE / "benchmark.svg").write_text(benchmark_picture(measured), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
