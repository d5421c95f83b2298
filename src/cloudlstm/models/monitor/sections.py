"""The sections of the page in their order: what a reader has to know, charts, and tables."""

from __future__ import annotations

from dataclasses import dataclass

from cloudlstm.models.monitor.corrections import count_table, list_table
from cloudlstm.models.monitor.corrections import facts as change_facts
from cloudlstm.models.monitor.day_table import (
    Usage,
    check_table,
    cost_text,
    coverage_table,
    day_table,
    work_text,
)  # fmt: skip
from cloudlstm.models.monitor.drift import drift_table, last_look, watch_table
from cloudlstm.models.monitor.history import History
from cloudlstm.models.monitor.table import Table
from cloudlstm.models.monitor.versions import detectable_text, gate_table, move_table, version_table


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page.

    Attributes:
        name: Its key on the page.
        title: Its heading.
        lead: What a reader has to know before it.
        charts: Names of its charts.
        tables: Its tables.
        notes: Sentences after them.
    """

    name: str
    title: str
    lead: str
    charts: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


def sections(history: History, usage: Usage) -> list[Section]:
    """All sections."""
    return [
        _skill(history), _versions(history), _calibration(history), _drift(history), _coverage(history),
        _corrections(history), _days(history, usage),
    ]  # fmt: skip


def _some(*texts: str) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _skill(history: History) -> Section:
    lead = (
        "Does the model have less error than naive, the forecast that prices stay? Each session gives the mean squared "
        "error of the forecast log-returns over its tickers. A mean over few sessions shows nothing; a gate decides on "
        "e-values, which stay valid when somebody looks every day."
    )
    none = "" if history.outcomes else "There is no outcome yet, so nothing is known of the model's skill in use."
    gates = "" if history.challengers else "No gate is open."
    return Section(
        "skill", "Skill over time", lead, ("skill", "gates"), tuple(gate_table(history)),
        _some(none, gates, detectable_text(history)),
    )  # fmt: skip


def _versions(history: History) -> Section:
    lead = (
        "Each version is a trained network. A move names the version that is champion from then on. A refresh is no "
        "evidence of skill: the newer version was only not shown to be worse."
    )
    note = (
        "The evidence was measured on the test labels of the run that trained the version; the report of that run "
        "explains it."
    )
    return Section(
        "versions", "Versions and moves", lead, (), (*version_table(history), *move_table(history)), (note,)
    )  # fmt: skip


def _calibration(history: History) -> Section:
    lead = (
        "Are returns as far from the forecast as the model's measure of risk says? If they were normal, 68% would come "
        "within one standard deviation of the ticker's returns."
    )
    none = "" if history.outcomes else "There is no outcome yet."
    return Section("calibration", "Calibration", lead, ("inside",), (), _some(none))


def _drift(history: History) -> Section:
    lead = (
        "Do the features still look like those of the training data, and is the champion still not worse than naive? "
        "Limits come from a simulation without drift: in about 5% of years any feature raises an alarm by chance."
    )
    none = "" if last_look(history) else "Drift of the features has not been measured yet."
    return Section(
        "drift", "Drift", lead, ("drift", "watches"), (*drift_table(history), *watch_table(history)), _some(none)
    )  # fmt: skip


def _coverage(history: History) -> Section:
    lead = "How many tickers had a forecast, for how many did the outcome come, and did the forecasts pass the checks?"
    none = "" if any(day.checks for day in history.days) else "No hard check has run yet."
    tables = (*check_table(history), *coverage_table(history))
    return Section("coverage", "Coverage and checks", lead, ("coverage",), tables, _some(none))


def _corrections(history: History) -> Section:
    lead = (
        "What changed in the store of bars: bars of new sessions, values that the source corrected later, histories "
        "that it rescaled, and tickers that it lacks or whose bars contradict the stored ones, which are kept."
    )
    tables = (*count_table(history), *list_table(history))
    none = "" if tables else "No change is recorded."
    other = change_facts(history.days)
    return Section(
        "corrections", "Data corrections", lead, (), tables, _some(none, f"Last day: {other}." if other else "")
    )  # fmt: skip


def _days(history: History, usage: Usage) -> Section:
    lead = (
        "A day is refused if its data or forecasts failed a check, and late if the next session had opened; it then "
        "makes no forecasts. A missed day was not run."
    )
    notes = _some(cost_text(history, usage), work_text(history.last))
    return Section("days", "Days and cost", lead, (), tuple(day_table(history, usage)), notes)
