"""What a source has found: rows, refused rows with a reason, and notes in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from cloudlstm.exogenous.table import EXOGENOUS, HEADLINES, REFUSED
from cloudlstm.text.numbers import counted
from cloudlstm.text.printable import printable

REASONS = {
    "unreadable_file": "the file cannot be read",
    "no_column": "the file lacks a column that is needed",
    "broken_row": "the row has more or fewer cells than the header",
    "no_ticker": "no ticker, or a text that is no ticker",
    "no_headline": "no headline",
    "no_series": "no name of a series",
    "no_date": "no date, or a text that is no date",
    "relative_date": "a time relative to the day of the download, such as `9 DAYS AGO`",
    "ambiguous_date": "day and month can be exchanged, and no other date of the file decides",
    "no_time": "a date without a time of day, where the time is needed",
    "no_time_zone": "a time without a time zone, and no time zone is set",
    "unknown_time_zone": "the name of the time zone is not known, or has several meanings",
    "in_the_future": "known later than now",
    "before_its_period": "known before its period began; only values of the past are used",
    "no_number": "the value is no number",
    "bad_vintage": "the vintage is no whole number from 0",
    "two_values": "two different values of one period at one time",
    "no_release_rule": "no rule says when the publisher releases the series",
}
"""Codes of the reasons for which rows are refused, and what they mean."""

HEADLINE_KEYS = ("entity", "available_at", "headline")
"""What makes a headline one headline."""

_MOST_RAW = 200
"""Longest text of a refused row, in characters."""


@dataclass
class Found:
    """What a source has found.

    Attributes:
        rows: Tables of EXOGENOUS rows.
        headlines: Tables of HEADLINES rows.
        refused: Tables of REFUSED rows.
        notes: What a user should know, as sentences.
        incomplete: True if something could not be had that a later call may get: the same question has other answers.
    """

    rows: list[pa.Table] = field(default_factory=list)
    headlines: list[pa.Table] = field(default_factory=list)
    refused: list[pa.Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    incomplete: bool = False

    def refuse(
        self,
        reason: str,
        raw: Sequence[str | None],
        source: str,
        series: Sequence[str | None] | str = "",
        entity: Sequence[str | None] | str = "",
    ) -> None:
        """Adds refused rows.

        Args:
            reason: One of `REASONS`.
            raw: The texts of the rows as they were read.
            source: Where they come from.
            series: The series of each row, or of all.
            entity: The ticker of each row, or of all.
        """
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is no reason")
        if not len(raw):
            return
        columns = [
            _texts(series, len(raw)),
            _texts(entity, len(raw)),
            [printable(text or "")[:_MOST_RAW] for text in raw],
            [reason] * len(raw),
            [source] * len(raw),
        ]
        self.refused.append(pa.table([pa.array(column, pa.string()) for column in columns], schema=REFUSED))

    def add(self, other: Found) -> None:
        """Adds what another source has found."""
        self.rows += other.rows
        self.headlines += other.headlines
        self.refused += other.refused
        self.notes += other.notes
        self.incomplete |= other.incomplete

    def fail(self, note: str) -> None:
        """Adds a note that something could not be had now."""
        self.notes.append(note)
        self.incomplete = True

    def all_rows(self) -> pa.Table:
        """All EXOGENOUS rows, sorted by series, entity, period, time and vintage."""
        return _sorted(self.rows, EXOGENOUS, ("series", "entity", "period", "available_at", "vintage", "source"))

    def all_headlines(self) -> pa.Table:
        """All HEADLINES rows, sorted by ticker, time and text; a headline that two files hold once."""
        keys = (*HEADLINE_KEYS, "period", "source")
        return once(_sorted(self.headlines, HEADLINES, keys), HEADLINE_KEYS)

    def all_refused(self) -> pa.Table:
        """All REFUSED rows, sorted by source, reason, series, entity and text."""
        return _sorted(self.refused, REFUSED, ("source", "reason", "series", "entity", "raw"))

    def refusal_notes(self) -> Iterator[str]:
        """Yields one sentence for each source and reason, with the number of rows and an example."""
        table = self.all_refused()
        sources, reasons, raws = (table.column(name).to_pylist() for name in ("source", "reason", "raw"))
        counts = Counter(zip(sources, reasons, strict=True))
        first: dict[tuple[str, str], str] = {}
        for source, reason, raw in zip(sources, reasons, raws, strict=True):
            first.setdefault((source, reason), raw)
        for (source, reason), count in counts.items():
            what = f"{source}: {counted(count, 'row')} refused ({reason}: {REASONS[reason]})"
            yield f"{what}, such as {first[source, reason]!r}"


def once(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Returns the first row of each combination of values in the columns `keys`; the order of rows stays."""
    numbered = table.append_column("row", pa.array(np.arange(table.num_rows)))
    first = numbered.group_by(list(keys)).aggregate([("row", "min")]).column("row_min")
    return table.take(pa.array(np.sort(first.to_numpy()).astype(np.int64)))


def _texts(value: Sequence[str | None] | str, count: int) -> list[str]:
    return [value] * count if isinstance(value, str) else [text or "" for text in value]


def _sorted(tables: Iterable[pa.Table], schema: pa.Schema, keys: Sequence[str]) -> pa.Table:
    table = pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()
    return table.sort_by([(key, "ascending") for key in keys])
