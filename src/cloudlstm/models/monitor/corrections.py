"""What changed in the store of bars, as counts by day and as a list. Shows whatever keys a day has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cloudlstm.models.documents import Day
from cloudlstm.models.monitor.history import History
from cloudlstm.models.monitor.table import Row, Table, table
from cloudlstm.text.numbers import count, optional
from cloudlstm.text.printable import shortened

RECENT_DAYS = 30
MOST_ROWS = 40
"""Most rows of a table."""
_LONG = 200
_KEYS = {
    "sessions": "new sessions",
    "appended": "tickers with bars of new sessions only",
    "new": "tickers that were not stored",
    "corrected": "tickers with late corrections",
    "corrections": "corrected values",
    "restated": "tickers fetched anew, since the source rescaled them",
    "gone": "tickers that the source lacks",
    "quarantined": "tickers whose bars contradict the stored ones",
    "failed": "tickers without an answer of the source",
    "rounded": "tickers that differ by rounding only",
}
"""Keys of the store of bars that are shown first -> words; other keys are shown as they are."""
_CORRECTION = {"ticker", "date", "column", "old", "new"}
"""Fields of a corrected value."""


def counts(bars: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers in the changes of a day by key; of a list its length. Other values are left out."""
    found: dict[str, float] = {}
    for key, value in bars.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= counts(value, f"{name}.")
        elif isinstance(value, list | tuple):
            found[name] = float(len(value))
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[name] = float(value)
    return found


def count_table(history: History) -> list[Table]:
    """Counts by key: on the last day, over the last days, and over all days."""
    by_day = [counts(day.bars) for day in history.days]
    keys = sorted({key for each in by_day for key in each}, key=lambda key: (_rank(key), key))
    rows = [
        Row((_words(key), *(_number(sum(each.get(key, 0.0) for each in part)) for part in _parts(by_day))))
        for key in keys[:MOST_ROWS]
    ]
    columns = ("Changes of bars", "Last day", f"Last {RECENT_DAYS} days", "All days")
    return table(f"Number of each kind of change; {len(by_day)} days in all", columns, rows)


def _parts(by_day: list[dict[str, float]]) -> tuple[list[dict[str, float]], ...]:
    return by_day[-1:], by_day[-RECENT_DAYS:], by_day


def _rank(key: str) -> int:
    known, first = list(_KEYS), key.partition(".")[0]
    return known.index(first) if first in known else len(known)


def _words(key: str) -> str:
    return _KEYS.get(key, key.replace("_", " "))


def _number(value: float) -> str:
    return count(value) if value == int(value) else optional(value)


def list_table(history: History) -> list[Table]:
    """The entries of all lists, the newest first; a list of names is one entry."""
    entries = [(day.date, key, text) for day in reversed(history.days) for key, text in _entries(day.bars)]
    rows = [Row((date, _words(key), shortened(text, _LONG))) for date, key, text in entries[:MOST_ROWS]]
    more = f"; the newest {MOST_ROWS} of {count(len(entries))}" if len(entries) > MOST_ROWS else ""
    return table(f"Single changes, the newest first{more}", ("Day", "Kind", "Change"), rows)


def _entries(bars: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in bars.items():
        if isinstance(value, Mapping):
            yield from _entries(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            names = [each for each in value if not isinstance(each, Mapping)]
            if names:
                yield f"{prefix}{key}", _text(names)
            yield from ((f"{prefix}{key}", _text(each)) for each in value if isinstance(each, Mapping))


def _text(value: Any) -> str:
    """An entry as text: the fields of an object, or the value."""
    if isinstance(value, Mapping):
        if value.keys() == _CORRECTION:
            change = f"{_value(value['old'])} to {_value(value['new'])}"
            return f"{value['ticker']} {value['date']}, {value['column']}: {change}"
        return ", ".join(f"{key}: {_text(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return optional(value)


def _value(value: Any) -> str:
    return "missing" if value is None else optional(value)


def facts(days: Sequence[Day]) -> str:
    """The other values of the last day's changes, such as a time or an identifier; empty if there are none."""
    if not days:
        return ""
    plain = [(key, value) for key, value in days[-1].bars.items() if isinstance(value, str) or value is True]
    return shortened("; ".join(f"{_words(key)}: {'yes' if value is True else value}" for key, value in plain), _LONG)
