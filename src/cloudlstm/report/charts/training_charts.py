"""Charts of the run: training by epoch, and the timeline of its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloudlstm.report.charts import panel
from cloudlstm.report.charts.panel import BROAD_PX, Box, LegendEntry
from cloudlstm.report.charts.scales import Scale, Tick, duration_ticks, padded, ticks
from cloudlstm.report.charts.svg import LABEL_PX, TICK_PX, Drawing, text_width
from cloudlstm.report.run_models import Step, Timeline, Training
from cloudlstm.text.numbers import amount, seconds


def loss_by_epoch(training: Training, width: float) -> Drawing | None:
    """Loss by epoch with the epoch whose weights were kept; below, the learning rate and the speed."""
    history, naive, best = training.history, training.naive_validation_loss, training.best_epoch
    fitted = {row.epoch: row.train_loss for row in history if row.train_loss is not None}
    validated = {row.epoch: row.validation_loss for row in history if row.validation_loss is not None}
    if not fitted:
        return None
    broad = width > BROAD_PX
    drawing = Drawing(width, 400.0 if broad else 510.0)
    last = max([*fitted, *validated, 1])
    entries = [LegendEntry("line", "muted", "training"), LegendEntry("line", "lstm", "validation")]
    entries += [LegendEntry("dash", "naive", "naive, validation")] if naive is not None else []
    entries += [LegendEntry("dot", "naive", "untrained")] if 0 in validated else []
    entries += [LegendEntry("ring", "lstm", "weights kept")] if best in validated else []
    panel.title(drawing, 0.0, 12.0, "Loss", "mean squared error, normalised", width)
    top = 32.0 + panel.legend(drawing, 0.0, 34.0, entries)
    values = [*fitted.values(), *validated.values(), *([naive] if naive is not None else [])]
    low, high = padded(min(values), max(values), 0.06)
    found = ticks(low, high, 5, panel.plain_tick)
    box = Box(panel.gutter(found), top, width, top + 180.0)
    x, y = Scale(0.0, last, box.left + 8.0, box.right - 8.0), Scale(low, high, box.bottom, box.top)
    panel.y_axis(drawing, box, y, found)
    panel.x_axis(drawing, box, x, _epochs(last, broad))
    if naive is not None:
        drawing.line(box.left, y(naive), box.right, y(naive), "naive", 1.4, "4 3")
    for line, colour in ((fitted, "muted"), (validated, "lstm")):
        drawing.path([x(epoch) for epoch in line], [y(value) for value in line.values()], colour)
        for epoch, value in line.items() if len(history) <= 60 else ():
            kind = "training" if colour == "muted" else "validation"
            drawing.dot(x(epoch), y(value), 2.6, colour, title=f"epoch {epoch}: {kind} loss {value:.5g}")
    if 0 in validated:
        drawing.dot(x(0), y(validated[0]), 4.5, "naive", title=f"untrained: validation loss {validated[0]:.5g}")
    if best is not None and best in validated:
        drawing.dot(x(best), y(validated[best]), 7.0, "lstm", hollow=True, title=f"epoch {best}: weights kept")
    drawing.text(box.right, box.bottom + 30.0, "epoch →", anchor="end")
    lower = box.bottom + 56.0
    column = (width - 40.0) / 2.0 if broad else width
    rates = {row.epoch: row.learning_rate for row in history if row.learning_rate is not None and row.epoch > 0}
    speeds = {row.epoch: row.windows_per_s for row in history if row.windows_per_s is not None and row.epoch > 0}
    _small_panel(drawing, Box(0.0, lower, column, lower + 96.0), rates, last, "Learning rate", "at the end")
    left, above = (column + 40.0, lower) if broad else (0.0, lower + 118.0)
    _small_panel(drawing, Box(left, above, left + column, above + 96.0), speeds, last, "Speed", "windows/s")
    drawing.height = above + 98.0
    return drawing


def _epochs(last: int, broad: bool) -> list[Tick]:
    found = ticks(0, last, 12 if broad else 6, lambda value, _: f"{value:.0f}")
    return [tick for tick in found if float(tick.value).is_integer()]


def _small_panel(
    drawing: Drawing, box: Box, points: Mapping[int, float], last: int, name: str, unit: str
) -> None:  # fmt: skip
    if not points:
        return
    most = 1.08 * max(points.values()) or 1.0
    found = ticks(0.0, most, 3, lambda value, _: f"{value:.4g}" if most < 1.0 else amount(value))
    plot = Box(box.left + panel.gutter(found), box.top + 22.0, box.right, box.bottom - panel.AXIS_PX)
    x, y = Scale(0.0, last, plot.left + 8.0, plot.right - 8.0), Scale(0.0, most, plot.bottom, plot.top)
    panel.title(drawing, box.left, box.top + 10.0, name, unit, box.right - box.left)
    panel.y_axis(drawing, plot, y, found)
    panel.x_axis(drawing, plot, x, _epochs(last, broad=False), low=box.left, high=box.right)
    drawing.path([x(epoch) for epoch in points], [y(value) for value in points.values()], "muted", 1.6)
    for epoch, value in points.items() if len(points) <= 60 else ():
        text = f"{value:.3g}" if most < 1.0 else f"{amount(value)} windows/s"
        drawing.dot(x(epoch), y(value), 2.4, "muted", title=f"epoch {epoch}: {text}")


def timeline_chart(timeline: Timeline, steps: Sequence[Step], width: float) -> Drawing | None:
    """The steps of an attempt and the time between them, one row each."""
    if not timeline.spans:
        return None
    rates = {row.step: f"{amount(row.rate)} {row.unit}/s" for row in steps if row.rate is not None}
    rows = []
    for span in timeline.spans:
        rate = [rates[span.name]] if span.kind == "step" and span.name in rates else []
        rows.append((span, " · ".join([*rate, seconds(span.seconds)])))
    broad, total = width > BROAD_PX, timeline.seconds or 1.0
    row_px = 26.0 if broad else 38.0
    drawing = Drawing(width, 4.0 + row_px * len(rows) + panel.AXIS_PX)
    names = max(text_width(span.name, LABEL_PX) for span, _ in rows) + 16.0
    texts = max(text_width(text, TICK_PX) for _, text in rows) + 12.0
    box = Box(names if broad else 0.0, 4.0, width - (texts if broad else 0.0), drawing.height - panel.AXIS_PX)
    x = Scale(0.0, total, box.left, box.right)
    found = duration_ticks(total, 8 if broad else 4)
    panel.x_axis(drawing, box, x, found, lines=True, low=box.left)
    for number, (span, text) in enumerate(rows):
        top = box.top + number * row_px
        is_step = span.kind == "step"
        base = top + (17.0 if broad else 14.0)
        drawing.text(0.0, base, span.name, "ink" if is_step else "muted", px=LABEL_PX)
        drawing.text(width, base, text, anchor="end")
        y = top + (6.0 if broad else 20.0)
        left, wide = x(span.begin_s), max(x(span.seconds) - x(0.0), 2.0)
        hover = f"{span.name}: {span.what}; {seconds(span.seconds)} from {seconds(span.begin_s)} on"
        drawing.rect(
            min(left, box.right - wide), y, wide, 14.0 if broad else 10.0, "lstm" if is_step else "naive", radius=2.0,
            opacity=1.0 if is_step else 0.45, title=hover,
        )  # fmt: skip
    return drawing
