"""Files in FRED's forms: dates and values, without the time at which a value was known.

    DATE,VIXCLS        observation_date,DGS10,DGS2        date,series,value

A point or an empty cell means that there is no value of that date, as on a holiday; it is left out. When a value was
known is assumed by the rules of release_lags.py; a series without a rule is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.config import MacroConfig
from cloudlstm.exogenous.sources import moments, tables
from cloudlstm.exogenous.sources.found import Found
from cloudlstm.exogenous.sources.macro_files import named, rows_of, value_of
from cloudlstm.exogenous.sources.release_lags import RULES, VINTAGE
from cloudlstm.exogenous.sources.tables import Table
from cloudlstm.market.sources.files.column_names import plain
from cloudlstm.text.numbers import counted

_DATES = ("observationdate", "date", "period", "time")
_NAMES = ("series", "seriesid", "indicator", "variable")
_VALUES = ("value", "observationvalue")
_FILE = "exogenous.macro.path"
_KNOWN = "known_"
"""Before the name of a series in a wide file, so that it is no name of ours."""


def read(config: MacroConfig, now: int) -> Found:
    """Reads the files at `exogenous.macro.path`.

    Args:
        config: The settings.
        now: Microseconds since 1970 in UTC; nothing later can be known.
    """
    found = Found()
    wanted = named(config.series)
    for series in config.series:
        if series.upper() not in RULES:
            found.refuse("no_release_rule", [series], "fred", series)
            found.notes.append(
                f"exogenous.macro.series: no rule says when {series} is released; give a table with available_at "
                "(exogenous.macro.source=files), or use exogenous.macro.source=alfred"
            )
    for table in tables.read_all(config.path or "", _match_of(wanted), found, _FILE):
        rows = table.rows
        if "value" in rows.column_names:
            texts = [(text or "").strip().lower() for text in rows.column("series").cast(pa.string()).to_pylist()]
            for lower, series in wanted.items():
                at = pa.array(np.flatnonzero(np.array([text == lower for text in texts], np.bool_)))
                _add(table, series, rows.column("date").take(at), rows.column("value").take(at), now, found)
        else:
            for name in rows.column_names[1:]:
                series = wanted[name.removeprefix(_KNOWN)]
                _add(table, series, rows.column("date"), rows.column(name), now, found)
    return found


def _match_of(wanted: dict[str, str]) -> tables.Match:
    """Returns a match of the long form, and of the wide form with a column for each series."""

    def match(names: Sequence[str]) -> tuple[dict[str, int], list[str]]:
        places = {plain(name): place for place, name in reversed(list(enumerate(names)))}
        first = {
            ours: next((places[name] for name in others if name in places), None)
            for ours, others in (("date", _DATES), ("series", _NAMES), ("value", _VALUES))
        }
        if first["date"] is None:
            return {}, ["date"]
        if first["series"] is not None and first["value"] is not None:
            return {ours: place for ours, place in first.items() if place is not None}, []
        found = {"date": first["date"]}
        found |= {
            f"{_KNOWN}{name.strip().lower()}": place
            for place, name in enumerate(names)
            if name.strip().lower() in wanted
        }
        return found, [] if len(found) > 1 else list(wanted.values())

    return match


def _add(table: Table, series: str, dates: pa.ChunkedArray, values: pa.ChunkedArray, now: int, found: Found) -> None:
    """Adds the values of one series in one file."""
    rule = RULES.get(series.upper())
    if rule is None or not len(dates):
        return
    period = moments.read(dates, "UTC")
    if not pa.types.is_floating(values.type):
        values = pc.utf8_trim_whitespace(values.cast(pa.string()))
    value, no_number = value_of(values, table.source)
    fault = period.fault.copy()
    fault[(fault == "") & no_number] = "no_number"
    utc = np.zeros(len(fault), np.int64)
    good = fault == ""
    utc[good] = rule.available(period.day[good])
    fault[good & (utc > now)] = "in_the_future"
    fault[good & np.isnan(value)] = "none"
    at = np.flatnonzero(fault == "")
    at = _without_doubled(period.day, value, at, fault)
    written = values.cast(pa.string()).to_pylist()
    for reason in sorted({str(each) for each in fault} - {"", "none", "doubled"}):
        of_reason = np.flatnonzero(fault == reason)
        found.refuse(reason, [f"{period.raw[row]} | {written[row]}" for row in of_reason], table.source, series)
    if empty := int((fault == "none").sum()):
        found.notes.append(f"{table.source}: {series} has no value on {counted(empty, 'date')}")
    found.rows.append(rows_of(series, period.day[at], utc[at], value[at], VINTAGE, table.source))


def _without_doubled(
    day: moments.Days, value: np.ndarray[tuple[int], np.dtype[np.float64]], at: np.ndarray, fault: np.ndarray
) -> np.ndarray:
    """Returns rows without doubled ones; two values of one date are marked in `fault`."""
    order = at[np.argsort(day[at], kind="stable")]
    same = np.flatnonzero(day[order][1:] == day[order][:-1])
    for place in same:
        one, other = order[place], order[place + 1]
        if value[one] == value[other]:
            fault[other] = "doubled"
        else:
            fault[[one, other]] = "two_values"
    return np.sort(order[fault[order] == ""])
