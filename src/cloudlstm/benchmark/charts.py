"""The charts of the page of a benchmark: times by cell, and speed-up by number of processes or workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from cloudlstm.benchmark.document import AmdahlFit, BenchmarkResult, CellResult, Spread
from cloudlstm.benchmark.matrix import Engine
from cloudlstm.benchmark.scaling import seconds_at
from cloudlstm.benchmark.summary import cell_label
from cloudlstm.report.charts import Plot, at_both_widths, panel
from cloudlstm.report.charts.panel import BROAD_PX, Box, LegendEntry
from cloudlstm.report.charts.scales import Scale, Tick, ticks
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, Drawing, text_width
from cloudlstm.text.numbers import amount, counted, duration

_COLOURS: Mapping[Engine, str] = {"local": "ridge", "spark": "lstm", "cluster": "drift"}
"""Engine -> colour class of the style sheet."""

_ENGINES: Mapping[Engine, str] = {
    "local": "processes of one machine", "spark": "Spark on one machine", "cluster": "Spark on a cluster",
}  # fmt: skip

_CURVE_POINTS = 40


@dataclass(frozen=True, slots=True)
class _Bar:
    """One row of a chart of bars.

    Attributes:
        label: What was measured.
        start: Length of the pale part.
        value: Length of the solid part, its least and its largest value.
        text: The value in words.
        colour: A colour class.
    """

    label: str
    start: float
    value: Spread
    text: str
    colour: str


def draw_all(result: BenchmarkResult) -> dict[str, Plot]:
    """Every chart for which there are cells that count, by name, at the width of a page and of a phone."""
    found = {
        name: at_both_widths(name, title, description, partial(draw, result))
        for name, (draw, title, description) in _CHARTS.items()
    }
    return {name: plot for name, plot in found.items() if plot}


def data_times(result: BenchmarkResult, width: float) -> Drawing | None:
    """Seconds of the data steps by engine and cores, one panel a universe with a scale of its own."""
    cells = [cell for cell in result.cells if cell.kind == "data" and cell.seconds]
    if not cells:
        return None
    drawing = Drawing(width, 0.0)
    known = {cell.engine for cell in cells}
    entries = [LegendEntry("dot", _COLOURS[engine], text) for engine, text in _ENGINES.items() if engine in known]
    at = panel.legend(drawing, 0.0, 12.0, [*entries, LegendEntry("bar", "naive", "start, before the work")])
    for tickers in dict.fromkeys(cell.tickers for cell in cells):
        rows = [_data_bar(cell) for cell in cells if cell.tickers == tickers]
        name = "all tickers" if tickers is None else counted(tickers, "ticker")
        at = _bars(drawing, at + 22.0, name, "seconds", rows, lambda value, _: duration(value) if value else "0")
    drawing.height = at
    return drawing


def _data_bar(cell: CellResult) -> _Bar:
    assert cell.seconds is not None
    start = cell.start_s.median if cell.start_s else 0.0
    text = duration(cell.seconds.median) + (f" + {duration(start)}" if start >= 0.05 else "")
    return _Bar(cell_label(cell), start, cell.seconds, text, _COLOURS[cell.engine])


def training_speed(result: BenchmarkResult, width: float) -> Drawing | None:
    """Windows per second by number of workers, with the error of the forecasts."""
    cells = [cell for cell in result.cells if cell.kind == "train" and cell.rate]
    if not cells:
        return None
    rows = []
    for cell in cells:
        assert cell.rate is not None
        rmse = cell.scores.rmse_price if cell.scores else None
        text = amount(cell.rate.median) + (f" · RMSE ${rmse:.4f}" if rmse is not None else "")
        rows.append(_Bar(cell_label(cell), 0.0, cell.rate, text, "lstm"))
    drawing = Drawing(width, 0.0)
    drawing.height = _bars(drawing, 12.0, "Training", "windows/s", rows, lambda value, _: amount(value))
    return drawing


def _bars(
    drawing: Drawing, top: float, name: str, unit: str, rows: Sequence[_Bar], tick: Callable[[float, int], str]
) -> float:  # fmt: skip
    """Draws a panel of bars below `top`; returns the bottom of its axis."""
    width = drawing.width
    broad = width > BROAD_PX
    panel.title(drawing, 0.0, top, name, unit, width)
    row_px = 24.0 if broad else 36.0
    most = max(row.start + row.value.largest for row in rows)
    names = max(text_width(row.label, LABEL_PX) for row in rows) + 12.0
    texts = max(text_width(row.text, TICK_PX) for row in rows) + 12.0
    box = Box(
        names if broad else 0.0, top + 8.0, width - (texts if broad else 0.0), top + 8.0 + row_px * len(rows)
    )  # fmt: skip
    x = Scale(0.0, most, box.left, box.right)
    panel.x_axis(drawing, box, x, ticks(0.0, most, 6 if broad else 3, tick), lines=True, low=box.left)
    for number, row in enumerate(rows):
        base = box.top + number * row_px
        drawing.text(0.0, base + (16.0 if broad else 13.0), row.label, "ink", px=LABEL_PX)
        drawing.text(width, base + (16.0 if broad else 13.0), row.text, anchor="end")
        y = base + (6.0 if broad else 19.0)
        if row.start > 0.0:
            drawing.rect(box.left, y, x(row.start) - box.left, 12.0, "naive", opacity=0.35, radius=2.0)
        left, right = x(row.start), x(row.start + row.value.median)
        spread = f"{row.value.least:.3g} to {row.value.largest:.3g} {unit}"
        drawing.rect(
            left, y, max(right - left, 1.5), 12.0, row.colour, radius=2.0, title=f"{row.label}: {row.text}; {spread}"
        )
        if row.value.largest > row.value.least:
            low, high = x(row.start + row.value.least), x(row.start + row.value.largest)
            drawing.line(low, y + 6.0, high, y + 6.0, "ink", 1.2)
            for end in (low, high):
                drawing.line(end, y + 3.0, end, y + 9.0, "ink", 1.2)
    return box.bottom + panel.AXIS_PX


def speed_ups(result: BenchmarkResult, width: float) -> Drawing | None:
    """Speed-up by number for every fit: measured points, Amdahl's law through them, and the ideal line."""
    if not result.fits:
        return None
    broad = width > BROAD_PX
    drawing = Drawing(width, 0.0)
    entries = [
        LegendEntry("dot", "lstm", "measured"), LegendEntry("line", "lstm", "Amdahl's law, fitted"),
        LegendEntry("dash", "naive", "ideal"),
    ]  # fmt: skip
    top = panel.legend(drawing, 0.0, 12.0, entries) + 10.0
    columns = 2 if broad else 1
    wide = (width - 40.0 * (columns - 1)) / columns
    for number, fit in enumerate(result.fits):
        left, row = (number % columns) * (wide + 40.0), number // columns
        _speed_up(drawing, fit, left, top + 226.0 * row, wide)
    drawing.height = top + 226.0 * -(-len(result.fits) // columns)
    return drawing


def _speed_up(drawing: Drawing, fit: AmdahlFit, left: float, top: float, width: float) -> None:
    share = f"serial share {fit.serial_share or 0.0:.0%}"
    drawing.text(left, top + 12.0, fit.subject, "ink", px=LABEL_PX, bold=True)
    drawing.text(left, top + 28.0, f"{share}, T(1) = {duration(fit.one_s)}")
    base = fit.seconds[fit.numbers.index(1)] if 1 in fit.numbers else fit.one_s
    most = float(max(fit.numbers))
    fastest = max(most, *(base / seconds for seconds in fit.seconds))
    found = ticks(0.0, fastest, 4, panel.plain_tick)
    box = Box(left + panel.gutter(found), top + 40.0, left + width, top + 186.0)
    x, y = Scale(0.0, most, box.left, box.right - 8.0), Scale(0.0, fastest, box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    whole = [Tick(each, f"{each:,}") for each in fit.numbers]
    panel.x_axis(drawing, box, x, whole, low=box.left, high=box.right)
    drawing.text(box.right, box.bottom + 30.0, f"{fit.unit} →", anchor="end")
    drawing.path([x(1.0), x(most)], [y(1.0), y(most)], "naive", 1.4, dash="4 3")
    numbers = [1.0 + (most - 1.0) * step / _CURVE_POINTS for step in range(_CURVE_POINTS + 1)]
    drawing.path([x(n) for n in numbers], [y(base / seconds_at(fit, n)) for n in numbers], "lstm")
    for n, seconds in zip(fit.numbers, fit.seconds, strict=True):
        shown = f"{n} {fit.unit}: {duration(seconds)}, speed-up {base / seconds:.2f}"
        drawing.dot(x(n), y(base / seconds), 4.0, "lstm", title=shown)


_CHARTS: dict[str, tuple[Callable[[BenchmarkResult, float], Drawing | None], str, str]] = {
    "data": (
        data_times,
        "Seconds of the data steps",
        "A bar a cell, its start in a pale colour before it, and the range of its runs. The numbers are in the table.",
    ),
    "training": (
        training_speed,
        "Speed of training by workers",
        "Windows per second with the range of the runs, and the RMSE of the forecasts. The numbers are in the table.",
    ),
    "speed-up": (
        speed_ups,
        "Speed-up by number of processes, cores or devices",
        "Against the time on one, or T(1) of the fit if one was not measured: cells, Amdahl's law, the ideal line.",
    ),
}
"""Name -> function, title, description for screen readers."""
