"""The charts of the page, each at the width of a page and of a phone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from cloudlstm.models.documents import Move
from cloudlstm.models.gate import NEEDED_E_VALUE
from cloudlstm.models.monitor.drift import draw_drift, e_value_now
from cloudlstm.models.monitor.history import INSIDE_ONE_SD, TRAILING_SESSIONS, History, SkillLine
from cloudlstm.models.monitor.time_chart import Level, Line, Mark, TimeChart, draw
from cloudlstm.models.monitor.words import BASES
from cloudlstm.models.watch import ALARM_E_VALUE, Watch
from cloudlstm.report.charts import Plot, at_both_widths
from cloudlstm.report.charts.panel import LegendEntry
from cloudlstm.report.charts.scales import day_number
from cloudlstm.report.charts.svg import Drawing, Marker
from cloudlstm.text.numbers import minus, percent

_ROLES = {"champion": "lstm", "previous": "drift", "challenger": "ridge"}
"""Role -> colour class of the style sheet."""
_MARKS: dict[str, tuple[Marker, str, int]] = {
    "rollback": ("diamond", "drift", 3), "skill": ("triangle", "ridge", 2), "manual": ("diamond", "ink", 2),
    "refresh": ("circle", "muted", 1),
}  # fmt: skip
"""Basis of a move -> marker, colour, and which labels are kept first."""


@dataclass(frozen=True, slots=True)
class _Chart:
    """How a chart is made.

    Attributes:
        draw: Draws the history at a width in pixels; returns None without data.
        title: Its name for screen readers.
        caption: What it shows, in words.
    """

    draw: Callable[[History, float], Drawing | None]
    title: str
    caption: str


def draw_all(history: History) -> dict[str, Plot]:
    """Every chart that has data, by name."""
    found = {
        name: at_both_widths(name, chart.title, chart.caption, partial(chart.draw, history))
        for name, chart in _CHARTS.items()
    }
    return {name: plot for name, plot in found.items() if plot}


def _range(dates: Sequence[str]) -> tuple[int, int]:
    return day_number(min(dates)), day_number(max(dates))


def skill(history: History, width: float) -> Drawing | None:
    """Sum of the advantage over naive of the champion line and of the other versions."""
    lines = history.skill_lines
    if not lines or len(lines[0].sessions) < 2:
        return None
    first, last = _range(lines[0].sessions)
    roles = [role for role in _ROLES if any(line.role == role for line in lines)]
    texts = {"champion": "champion of the session", "previous": "former champion", "challenger": "challenger"}
    chart = TimeChart(
        "Error saved", "sum since the first session; 1 = naive's mean squared error of one session",
        [_skill_line(line) for line in lines], [Level(0.0, "naive")],
        [LegendEntry("line", _ROLES[role], texts[role]) for role in roles], first, last,
        [_mark(move) for move in history.moves if move.before is not None], text=_signed_tick,
    )  # fmt: skip
    return draw(chart, width)


def _skill_line(line: SkillLine) -> Line:
    days = [day_number(session) for session in line.sessions]
    if line.role == "champion":
        end = minus(f"{line.values[-1]:+.2f}")
        return Line(days, line.values, "lstm", 2.2, f"v{line.version} {end}")
    return Line(days, line.values, _ROLES[line.role], 1.2, f"v{line.version}", minor=True)


def _mark(move: Move) -> Mark:
    shape, colour, weight = _MARKS.get(move.basis, ("circle", "ink", 1))
    title = f"{move.date}: v{move.before} to v{move.version}, {BASES.get(move.basis, move.basis)}"
    return Mark(day_number(move.date), f"v{move.version} {move.basis}", title, shape, colour, weight)


def _signed_tick(value: float, decimals: int) -> str:
    return minus(f"{value:+.{decimals}f}") if abs(value) > 1e-12 else "0"


def gates(history: History, width: float) -> Drawing | None:
    """E-value that each open challenger is better, by day."""
    lines, levels = [], {}
    for number, challenger in enumerate(history.challengers):
        rows = [
            (day_number(day.date), each.gate.better.e_value)
            for day in history.days for each in day.challengers
            if each.version == challenger.version and each.gate.sessions
        ]  # fmt: skip
        if rows:
            colour = ("lstm", "ridge", "drift", "actual")[number % 4]
            lines.append(Line([day for day, _ in rows], [value for _, value in rows], colour, 1.8,
                              f"v{challenger.version}"))  # fmt: skip
            needed = NEEDED_E_VALUE * challenger.gate.challengers
            levels[needed] = Level(needed, f"needed {needed:g}")
    return _e_values("E-value that a challenger is better", lines, list(levels.values()), width)


def watches(history: History, width: float) -> Drawing | None:
    """Largest e-value of the living processes of both watches, by day."""
    lines, entries = [], []
    for found, colour, text in (
        ([(day.date, day.loss_watch) for day in history.days], "lstm", "worse than naive"),
        ([(day.date, day.rollback_watch) for day in history.days], "drift", "worse than the former champion"),
    ):
        stretches = _stretches(found)
        lines += [Line(days, values, colour, 1.8, f"{values[-1]:.2g}") for days, values in stretches]
        entries += [LegendEntry("line", colour, text)] if stretches else []
    level = Level(ALARM_E_VALUE, f"alarm {ALARM_E_VALUE:g}")
    return _e_values("E-value that the champion is worse", lines, [level], width, entries)


def _stretches(found: Sequence[tuple[str, Watch | None]]) -> list[tuple[list[int], list[float]]]:
    """Day numbers and e-values of each watch: a watch without a session, or with fewer than before, is a new one."""
    stretches: list[tuple[list[int], list[float]]] = []
    before = 0
    for date, watch in found:
        sessions = watch.sessions if watch is not None else 0
        if watch is not None and sessions:
            if sessions < before or not before:
                stretches.append(([], []))
            stretches[-1][0].append(day_number(date))
            stretches[-1][1].append(e_value_now(watch))
        before = sessions
    return stretches


def _e_values(
    title: str, lines: Sequence[Line], levels: Sequence[Level], width: float, entries: Sequence[LegendEntry] = ()
) -> Drawing | None:  # fmt: skip
    if not lines or max(len(line.days) for line in lines) < 2:
        return None
    first, last = min(line.days[0] for line in lines), max(line.days[-1] for line in lines)
    return draw(TimeChart(title, "no unit, logarithmic", lines, levels, entries, first, last, logarithmic=True), width)


def inside(history: History, width: float) -> Drawing | None:
    """Share of outcomes inside one standard deviation by session, and its trailing mean."""
    sessions, values, means = history.inside
    if len(sessions) < 2:
        return None
    days = [day_number(session) for session in sessions]
    lines = [
        Line(days, means, "lstm", 2.2, percent(means[-1], 0)),
        Line(days, values, "naive", dots=True),
    ]
    entries = [
        LegendEntry("line", "lstm", f"mean of the last {TRAILING_SESSIONS} sessions"),
        LegendEntry("dot", "naive", "one session"),
    ]
    chart = TimeChart(
        "Inside one standard deviation", "share of the session's outcomes", lines,
        [Level(INSIDE_ONE_SD, "normal 68%")], entries, days[0], days[-1],
        text=lambda value, _: percent(value, 0),
    )  # fmt: skip
    return draw(chart, width)


def coverage(history: History, width: float) -> Drawing | None:
    """Tickers with a forecast, and with forecast and outcome, by session."""
    made = {day.session: day.forecasts.get(str(day.champion), 0) for day in history.days if day.session}
    came = {each.session: each.tickers for each in history.outcomes}
    if len({*made, *came}) < 2:
        return None
    lines = []
    for counts, colour, px in ((came, "lstm", 1.8), (made, "naive", 5.0)):
        if counts:
            sessions = sorted(counts)
            lines.append(Line([day_number(each) for each in sessions], [float(counts[each]) for each in sessions],
                              colour, px))  # fmt: skip
    entries = [LegendEntry("line", "naive", "with a forecast"), LegendEntry("line", "lstm", "with an outcome too")]
    first, last = _range([*made, *came])
    return draw(TimeChart("Tickers", "number by session", lines, [Level(0.0, "")], entries, first, last), width)


_CHARTS = {
    "skill": _Chart(
        skill, "Error saved against naive",
        "Squared error of naive minus that of the version, summed over sessions. A rising line has less error than "
        "naive. The thick line follows the version that was champion of each session; the line of another version "
        "starts on it, and is cut where it leaves the chart. Marks: triangle, promotion on skill; circle, refresh, "
        "which is no evidence of skill; diamond, rollback or a move by hand. A line that rises is no evidence either: "
        "the e-values are.",
    ),
    "gates": _Chart(
        gates, "E-values of the open gates",
        "How strongly the sessions so far speak for each open challenger. It starts at 1. If the challenger is not "
        "better, it reaches the dashed line in at most 5% of years over all challengers, however often one looks.",
    ),
    "inside": _Chart(
        inside, "Outcomes inside one standard deviation",
        "Share of returns that came within one standard deviation of the ticker's returns around the champion's "
        "forecast. For normal returns it is 68%; returns with heavy tails have more. The first means are of fewer "
        "sessions.",
    ),
    "drift": _Chart(
        lambda history, width: draw_drift(history, width), "Drift of the features",
        "PSI and KS of each feature as a share of their limits; right of the dashed line is an alarm.",
    ),
    "watches": _Chart(
        watches, "E-values of the watches",
        "How strongly the sessions speak for the claim that the champion is worse than naive, or than the former "
        "champion. The dashed line is the alarm. A new watch begins with a new champion.",
    ),
    "coverage": _Chart(
        coverage, "Tickers with forecast and outcome",
        "Tickers for which the champion made a forecast, by session, and those of them whose outcome came.",
    ),
}  # fmt: skip
"""Name -> chart."""
