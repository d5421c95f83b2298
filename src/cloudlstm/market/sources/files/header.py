"""Finds the header of a file, which may have lines before it, and the columns of bars that it names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.sources.files import column_names
from cloudlstm.market.sources.files.side_by_side import Series, joined_names, two_rows

LINES_SEARCHED = 60
"""Lines in which a header is searched."""

DATE_LIKE = re.compile(
    r"^['\"]?(\d{1,4}[-/.]\s?\d{1,2}[-/.]\s?\d{1,4}|\d{8}\b|\d{10}(\d{3}){0,3}(\.0)?$|\d{1,2}[-. ]\w{3,9}[-. ,]+\d{2,4}"
    r"|\w{3,9}\.? \d{1,2},? \d{4}|\d{2,4}年)"
)
"""Begins like a date, in almost any form."""
_TIME_LIKE = re.compile(r"^\d{1,2}:\d{2}")
_NUMBER_LIKE = re.compile(r"^[^\w]{0,3}\d[\d.,' ]*[kKmMbB%]?$")
_FEWEST_KNOWN = 2
NO_BARS = "bars have a date, open, high, low, close and volume; closes alone are not enough"


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a file.

    Attributes:
        names: The file's names of its columns.
        series: The series in it; one, unless its header names several tickers.
        lines: Lines before the first row of bars.
        skipped: Lines before the header.
        guessed: The column that holds the dates although its name does not say so; "" if none.
        delimiter: The delimiter of a text file; "" for others.
    """

    names: tuple[str, ...]
    series: tuple[Series, ...]
    lines: int = 1
    skipped: int = 0
    guessed: str = ""
    delimiter: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the settings say about the columns of files.

    Attributes:
        mapping: `market.columns`.
        names: `market.header`, the names of the columns of files without a header line; empty if they have one.
        optional: Columns that a file need not have.
    """

    mapping: Mapping[str, str]
    names: tuple[str, ...]
    optional: tuple[str, ...]


def find_header(rows: Sequence[Sequence[str]], expected: Expected, uri: str) -> Header:
    """Finds the header among the first rows of a file.

    Args:
        rows: The cells of the first lines.
        expected: What the settings say.
        uri: The file, for error messages.

    Raises:
        UnreadableSourceError: if there is none; the hint names the settings for all missing columns.
    """
    if expected.names:
        header = named_columns(expected.names, rows[:1], expected, uri)
        return Header(header.names, header.series, 0, 0, header.guessed)
    best, most = 0, 0
    for place, row in enumerate(rows):
        series, lines = two_rows(rows[place:])
        if series:
            require_no_mapping(expected, uri)
            return Header(tuple(row), series, place + lines, place)
        found, _ = column_names.match(row, expected.mapping)
        if len(found) > most and len(found) >= _FEWEST_KNOWN:
            best, most = place, len(found)
        if _is_complete(found, row, rows[place + 1 : place + 2], expected):
            _require_no_bars(rows[:place], place, uri)
            header = named_columns(row, rows[place + 1 : place + 2], expected, uri)
            return Header(header.names, header.series, place + 1, place, header.guessed)
    if not most and _holds_values(rows[0]):
        raise UnreadableSourceError(
            f"{uri}: the first line holds values, not names: {', '.join(rows[0])[:80]}",
            hint=f"market.header={_guessed_header(rows[0])}, the names of its columns in order",
        )
    return named_columns(rows[best], rows[best + 1 : best + 2], expected, uri)  # raises, with all that is missing


def named_columns(names: Sequence[str], first: Sequence[Sequence[str]], expected: Expected, uri: str) -> Header:
    """Finds the columns of bars by the names of a file's columns.

    Args:
        names: The names.
        first: The first row of values, or nothing.
        expected: What the settings say.
        uri: The file, for error messages.

    Raises:
        UnreadableSourceError: if a required column is missing, or if two names fit a column equally.
    """
    found, unclear = column_names.match(names, expected.mapping)
    guessed = ""
    if "date" not in found and (place := _date_place(names, first, found)) is not None:
        found["date"], guessed = place, names[place]
    missing = [column for column in column_names.ALIASES if column not in found and _is_needed(column, expected)]
    shown = ", ".join(name.strip()[:24] or "''" for name in names[:20])
    if missing:
        if pairs := joined_names(names):
            require_no_mapping(expected, uri)
            return Header(tuple(names), pairs)
        wrong = [
            f"{expected.mapping[column]!r} (for {column})" if column in expected.mapping else column
            for column in missing
        ]
        hint = column_names.suggestions(missing, names, found)
        if missing == ["volume"]:
            hint += ", or market.missing_volume=zero if it has no volume, as for an index"
        elif not any(name in found or name in expected.mapping for name in ("open", "high", "low")):
            hint = NO_BARS
        raise UnreadableSourceError(f"{uri} has no column {', '.join(wrong)}; it has {shown}", hint=hint)
    if unclear:
        column, places = next(iter(unclear.items()))
        alike = " and ".join(repr(names[place]) for place in places)
        words = [f"market.columns.{column}={shlex.quote(names[place])}" for place in places]
        raise UnreadableSourceError(
            f"{uri}: {len(places)} columns can be {column}: {alike}",
            hint=" or ".join(dict.fromkeys(words)) if len(set(words)) > 1 else "give its columns different names",
        )
    return Header(tuple(names), (Series(None, found),), guessed=guessed)


def require_no_mapping(expected: Expected, uri: str) -> None:
    """Raises UnreadableSourceError if `market.columns` names columns of a file with tickers side by side."""
    if expected.mapping:
        raise UnreadableSourceError(
            f"{uri} has tickers side by side, to which market.columns does not apply",
            hint=f"leave out market.columns.{next(iter(expected.mapping))}",
        )


def _is_needed(column: str, expected: Expected) -> bool:
    if column in expected.mapping and expected.mapping[column] != column_names.NONE:
        return True
    return column not in expected.optional


def _is_complete(
    found: Mapping[str, int], row: Sequence[str], first: Sequence[Sequence[str]], expected: Expected
) -> bool:
    missing = [column for column in column_names.REQUIRED if column not in found and _is_needed(column, expected)]
    return not missing or (missing == ["date"] and _date_place(row, first, found) is not None)


def _date_place(names: Sequence[str], first: Sequence[Sequence[str]], found: Mapping[str, int]) -> int | None:
    """Returns the position of the first column with a date that is not known as another one, whatever its name."""
    values = first[0] if first else ()
    free = [place for place in range(min(len(names), len(values))) if place not in found.values()]
    return next((place for place in free if DATE_LIKE.match(values[place].strip())), None)


def _holds_values(row: Sequence[str]) -> bool:
    return sum(bool(_NUMBER_LIKE.match(cell.strip())) for cell in row) >= min(4, len(row) - 1) > 0


def _require_no_bars(rows: Sequence[Sequence[str]], place: int, uri: str) -> None:
    """Raises UnreadableSourceError if lines before the header look like bars."""
    if any(_holds_values(row) and any(DATE_LIKE.match(cell.strip()) for cell in row) for row in rows):
        raise UnreadableSourceError(
            f"{uri}: its column names are in line {place + 1}, below lines that look like bars",
            hint="split the file, or move the header to its first line",
        )


def _guessed_header(row: Sequence[str]) -> str:
    """Returns names for the columns of a row of values, as far as they can be guessed; "-" for the others."""
    names = ["-"] * len(row)
    dates = [place for place, cell in enumerate(row) if DATE_LIKE.match(cell.strip())]
    numbers = [place for place, cell in enumerate(row) if place not in dates[:1] and _NUMBER_LIKE.match(cell.strip())]
    others = [place for place in range(len(row)) if place not in dates and place not in numbers]
    texts = [place for place in others if row[place].strip() and not _TIME_LIKE.match(row[place].strip())]
    for column, place in zip(("open", "high", "low", "close", "volume"), numbers, strict=False):
        names[place] = column
    for column, places in (("date", dates), ("ticker", texts)):
        if places:
            names[places[0]] = column
    return ",".join(names)
