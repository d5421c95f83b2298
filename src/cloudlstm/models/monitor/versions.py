"""The versions, the moves of the alias, and the open gates, as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from cloudlstm.models.documents import Challenger, Version
from cloudlstm.models.gate import MOST_SESSIONS, NEEDED_E_VALUE
from cloudlstm.models.monitor.history import History
from cloudlstm.models.monitor.table import Row, Table, table
from cloudlstm.models.monitor.words import BASES, KINDS, joined
from cloudlstm.models.power import CHANCE
from cloudlstm.report.glossary import METRICS
from cloudlstm.report.html import LONG_NAME, metric_text
from cloudlstm.text.numbers import DASH, minus
from cloudlstm.text.printable import shortened

_FIGURES = ("r2_oos", "dm_p", "cw_p", "skill", "rank_ic")
"""Figures of a report that are shown first."""
_MODELS = ("calibrated", "ensemble", "lstm")
"""Models of a report whose figures are shown first."""
_MOST_FIGURES = 3
_METRICS = {metric.name: metric for metric in METRICS}


def version_table(history: History) -> list[Table]:
    """All versions, the newest first."""
    rows = []
    for version in reversed(history.versions):
        kind = KINDS.get(version.kind, version.kind)
        kind = f"{kind} {shortened(version.recipe, LONG_NAME)}" if version.recipe else kind
        kind = f"{kind}, from v{version.parent}" if version.parent is not None else kind
        state = state_of(version, history)
        cells = (f"v{version.number}", kind, version.made, version.seen, evidence_text(version.evidence), state)
        rows.append(Row(cells))
    columns = ("Version", "Kind", "Made", "Labels until", "Evidence of its report", "State")
    return table("Versions, the newest first", columns, rows)


def state_of(version: Version, history: History) -> str:
    """What a version is: champion, previous champion, challenger, or why it ended."""
    day, number = history.last, version.number
    if number == history.champion:
        return "champion"
    if day is not None and day.previous == number:
        return "previous champion, still watched"
    for challenger in history.challengers:
        if challenger.version == number:
            return f"challenger since {challenger.since}, judged on {challenger.judged}"
    ends = [(move.date, _end_text(move.basis, move.version, move.reasons)) for move in history.moves
            if move.before == number]  # fmt: skip
    ends += [
        (each.date, f"{BASES.get(decided.basis, decided.basis)}: {joined(decided.reasons)}")
        for each in history.days for decided in each.decisions
        if decided.version == number and decided.action == "retire"
    ]  # fmt: skip
    if not ends:
        return "no session yet"
    date, text = max(ends, key=lambda end: end[0])
    return f"retired {date}: {text}"


def _end_text(basis: str, after: int, reasons: tuple[str, ...]) -> str:
    """Why a champion ended."""
    if basis == "rollback":
        return f"rollback to v{after}: {joined(reasons)}"
    return f"replaced by v{after} ({BASES.get(basis, basis)})"


def evidence_text(evidence: Mapping[str, Any]) -> str:
    """A few figures of the report of a version: those of its best-known model, or the first ones."""
    model = next((name for name in _MODELS if isinstance(evidence.get(name), Mapping)), "")
    figures = dict(_numbers(evidence[model] if model else evidence))
    order = [name for name in _FIGURES if name in figures] + [name for name in figures if name not in _FIGURES]
    shown = [_figure(name, figures[name]) for name in order[:_MOST_FIGURES]]
    return f"{model}: {'; '.join(shown)}" if model and shown else "; ".join(shown) or DASH


def _figure(name: str, value: float) -> str:
    """A figure with its name as in the report; one that the report does not know with its key."""
    metric = _METRICS.get(name)
    return f"{metric.label} {metric_text(value, metric)}" if metric else f"{name} {minus(f'{value:.3g}')}"


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key} ")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield prefix + str(key), value


def move_table(history: History) -> list[Table]:
    """All moves of the alias "champion", the newest first."""
    rows = [
        Row(
            (
                str(move.number), move.date, DASH if move.before is None else f"v{move.before}", f"v{move.version}",
                BASES.get(move.basis, move.basis), joined(move.reasons) or DASH,
            ),
            move.basis == "rollback",
        )
        for move in reversed(history.moves)
    ]  # fmt: skip
    return table("Moves of the champion, the newest first", ("Move", "Date", "From", "To", "Basis", "Reasons"), rows)


def gate_table(history: History) -> list[Table]:
    """The open gates, and what each could find."""
    columns = (
        "Challenger", "Judged on", "Since", "Sessions", "E-value better", "Its highest", "E-value worse", "Could find"
    )  # fmt: skip
    return table("Open gates", columns, [_gate_row(each, history) for each in history.challengers])


def _gate_row(challenger: Challenger, history: History) -> Row:
    gate = challenger.gate
    found = detectable(challenger.version, history)
    needed = NEEDED_E_VALUE * gate.challengers
    return Row(
        (
            f"v{challenger.version}", challenger.judged, challenger.since, f"{gate.sessions} of {MOST_SESSIONS}",
            f"{gate.better.e_value:.3g}", f"{gate.better.highest:.3g} of {needed:g}",
            f"{gate.worse.highest:.3g} of {NEEDED_E_VALUE:g}", DASH if found is None else f"{found:.2f} sd",
        )
    )  # fmt: skip


def detectable(version: int, history: History) -> float | None:
    """The advantage that the gate of a version could find, from its newest decision that says so."""
    for day in reversed(history.days):
        for decided in day.decisions:
            if decided.version == version and decided.detectable_sd is not None:
                return decided.detectable_sd
    return None


def detectable_text(history: History) -> str:
    """What the column "Could find" means; empty without a number."""
    if all(detectable(each.version, history) is None for each in history.challengers):
        return ""
    return (
        f"Could find: the advantage that this gate promotes on skill within {MOST_SESSIONS} sessions with "
        f"{CHANCE:.0%} probability, in standard deviations (sd) of the daily difference of both losses. A smaller "
        "advantage may stay unseen."
    )
