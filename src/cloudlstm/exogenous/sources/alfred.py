"""ALFRED's vintages: each value with the date on which it was published, also those that were revised later.

ALFRED tells dates, not times. A value counts as known at the end of its date in New York, which is later than any
release of that day. So a value of 08:30 is used from the next session on.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cloudlstm.config import MacroConfig, MarketConfig
from cloudlstm.errors import CloudLSTMError
from cloudlstm.exogenous.sources.alfred_client import Client, Revision
from cloudlstm.exogenous.sources.found import Found
from cloudlstm.exogenous.sources.macro_files import rows_of, value_of
from cloudlstm.exogenous.sources.moments import utc_of
from cloudlstm.exogenous.sources.release_lags import ZONE
from cloudlstm.market.calendar import to_days
from cloudlstm.runs.environment import ALFRED_URL, FRED_API_KEY

_LOG = logging.getLogger(__name__)

FORM_VERSION = 1
"""Increase it whenever answers are converted differently; part of the source's identity."""

_END_OF_DAY = 86_399
_OLDEST_PERIOD = dt.timedelta(days=400)
"""A value is published at most so long after the beginning of its period: yearly series."""
_AFTER = dt.timedelta(days=1)
_NONE = "."


def identity(config: MacroConfig, market: MarketConfig, today: dt.date) -> dict[str, Any]:
    """Returns what is requested; the answers change with it."""
    since, until = _span(config, market, today)
    return {"form": FORM_VERSION, "base_url": os.environ.get(ALFRED_URL, ""), "dates": [str(since), str(until)]}


def read(config: MacroConfig, market: MarketConfig, today: dt.date) -> Found:
    """Fetches the series of the settings.

    A series that the service does not deliver is told, and so is a missing key: neither stops a run.

    Args:
        config: The settings of macro series.
        market: The dates of the run.
        today: Today in New York.
    """
    found = Found()
    key = os.environ.get(FRED_API_KEY, "").strip()
    if not key:
        found.fail(f"exogenous.macro.source=alfred: the environment variable {FRED_API_KEY} is not set")
        return found
    base_url = os.environ.get(ALFRED_URL, "")
    if base_url:
        _LOG.warning("%s replaces ALFRED (%s)", base_url, ALFRED_URL)
    try:
        client = Client(key, base_url)
    except CloudLSTMError as error:
        found.fail(f"exogenous.macro.source=alfred: {error}")
        return found
    since, until = _span(config, market, today)
    for series in config.series:
        try:
            _add(series, client.revisions(series, since, until), found)
        except CloudLSTMError as error:
            found.fail(f"exogenous.macro.source=alfred: {error}")
    return found


def _span(config: MacroConfig, market: MarketConfig, today: dt.date) -> tuple[dt.date, dt.date]:
    """Returns the first period and the last vintage of interest."""
    since = market.start - dt.timedelta(days=config.max_age_days) - _OLDEST_PERIOD
    return since, min(today, market.end + _AFTER)


def _add(series: str, revisions: Sequence[Revision], found: Found) -> None:
    """Adds the vintages of a series. A "." is no value: the value before it stays the newest."""
    first = {each.period for each in revisions if each.value == _NONE} if revisions else set()
    known: set[dt.date] = set()
    kept: list[Revision] = []
    for each in revisions:
        if each.value != _NONE:
            known.add(each.period)
        if each.value != _NONE or each.period in known:
            kept.append(each)
    if empty := len(first - known):
        found.notes.append(f"alfred: {series} has no value of {empty:,} periods")
    value, no_number = value_of(pa.chunked_array([pa.array([each.value for each in kept], pa.string())]), "alfred")
    wrong = np.flatnonzero(no_number)
    raw = [f"{kept[row].period} | {kept[row].vintage} | {kept[row].value}" for row in wrong]
    found.refuse("no_number", raw, "alfred", series)
    good = np.flatnonzero(~no_number)
    if not len(good):
        return
    vintage: list[int] = []
    for place, each in enumerate(kept):
        again = place and kept[place - 1].period == each.period
        vintage.append(vintage[-1] + 1 if again else 0)
    day = np.array([to_days(each.vintage) for each in kept], np.int32)[good]
    second = np.full(len(day), _END_OF_DAY, np.int32)
    period = np.array([to_days(each.period) for each in kept], np.int32)[good]
    utc = utc_of(day, second, ZONE)
    found.rows.append(rows_of(series, period, utc, value[good], np.array(vintage, np.int32)[good], "alfred"))
