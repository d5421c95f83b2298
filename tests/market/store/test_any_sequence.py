"""Any sequence of pieces and updates: bars by the one rule, and tails that equal the end of all bars."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudlstm.market import bars, columns
from cloudlstm.market.calendar import to_date, to_days
from cloudlstm.market.store import pieces, tails
from cloudlstm.market.store import update as module
from cloudlstm.market.store.pieces import Piece
from cloudlstm.market.store.update import update
from cloudlstm.market.store.version import Store, Version
from daily_bars import DAYS, SESSIONS, Vendor, config_of

NAMES = ("", "A", "B", "C")
NO_DAY = 99
"""Stands for a bar without a date."""

rows = st.lists(st.tuples(st.sampled_from([1, 2, 3, 4, 5, NO_DAY]), st.integers(1, 9)), max_size=5)
piece_contents = st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(0, 6), rows), min_size=1)


def table_of(found: list[tuple[str, int, int]]) -> pa.Table:
    """BARS of (ticker, day, value)."""
    values: dict[str, Any] = {name: [float(value) for _, _, value in found] for name in (*bars.PRICES, "adj_close")}
    values |= {"ticker": [name or None for name, _, _ in found], "source": ["test"] * len(found)}
    values |= {"volume": [value for _, _, value in found]}
    values["date"] = [None if day == NO_DAY else to_date(day) for _, day, _ in found]
    schema = pa.schema([*bars.VALUES])
    return bars.conform(pa.table({field.name: pa.array(values[field.name], field.type) for field in schema}), bars.BARS)


def order(row: tuple[str, int, int]) -> tuple[bool, str, int]:
    return (not row[0], row[0], row[1])


@settings(max_examples=80)
@given(st.lists(piece_contents, min_size=1, max_size=5), st.integers(0, 6), st.sets(st.sampled_from(NAMES)))
def test_a_piece_replaces_everything_of_its_tickers_from_its_date_on(
    contents: list[dict[str, tuple[int, list[tuple[int, int]]]]], first: int, wanted: set[str]
) -> None:
    made, expected = [], {name: [] for name in NAMES}  # type: ignore[var-annotated]
    for content in contents:
        inside = []
        for name, (start, found) in content.items():
            added = [(name, day, value) for day, value in found if day >= start]
            expected[name] = [row for row in expected[name] if row[1] < start] + added
            inside += added
        starts = {name: start for name, (start, _) in content.items()}
        table = table_of(sorted(inside, key=order))
        made.append(pieces.decode(pieces.encode(Piece(table, starts)), "a piece"))
    kept = [row for name in NAMES for row in expected[name] if row[1] >= first and row[0] in wanted]
    found_table = pieces.fold(made, first, wanted)
    assert bars.to_parquet(found_table) == bars.to_parquet(table_of(sorted(kept, key=order)))


def end_of(version: Version, n_sessions: int) -> pa.Table:
    """The last sessions of all bars."""
    known = SESSIONS[to_days(version.as_of) >= SESSIONS]
    table = version.bars()
    return table.filter(pa.array(columns.days(table.column("date")) >= known[-n_sessions:][0]))


events = st.lists(
    st.tuples(st.sampled_from(["quiet", "split", "correct", "new", "delist", "missed"]), st.integers(0, 5)),
    min_size=3, max_size=12,
)  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.integers(1, 30), st.integers(0, 2))
def test_any_updates_give_the_bars_of_the_last_file_and_exact_tails(
    monkeypatch: pytest.MonkeyPatch, happens: list[tuple[str, int]], n_sessions: int, every: int
) -> None:
    monkeypatch.setattr(module, "COMPACTED_AFTER", 3)
    monkeypatch.setattr(module, "MOST_RECENT", 5)
    monkeypatch.setattr(tails, "MOST_RECENT", 5)
    monkeypatch.setattr(tails, "RENEWED_AFTER_DAYS", 4)
    vendor, number = Vendor.synthetic(6), 40
    names = list(vendor.tables)
    vendor.first_shown = {names[5]: dt.date.max}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.csv")
        store = Store.of(folder, config_of(path))
        for kind, at in [("quiet", 0), *happens, ("quiet", 0)]:
            if kind == "split" and names[at] in vendor.last:
                continue  # a ticker that has ended does not split; bars before the overlap are not looked at again
            number += 1
            if kind == "split":
                vendor.split(names[at], DAYS[number], 3.0)
            elif kind == "correct":
                vendor.correct(names[at], DAYS[number - 1 - at % 2], 1.5)
            elif kind == "new":
                vendor.first_shown[names[5]] = min(DAYS[number], vendor.first_shown[names[5]])
            elif kind == "delist":
                vendor.last.setdefault(names[at], DAYS[number - 1])
            else:
                number += kind == "missed"
            vendor.publish(DAYS[number], path)
            changes = update(store, config_of(path), DAYS[number])
            assert not changes.quarantined
            version = store.version(DAYS[number])
            if every and number % every == 0:
                assert bars.to_parquet(version.tail(n_sessions)) == bars.to_parquet(end_of(version, n_sessions))
        assert bars.to_parquet(version.tail(n_sessions)) == bars.to_parquet(end_of(version, n_sessions))
        delivered = bars.sort(vendor.bars(DAYS[number])).drop_columns(["source"])
        known = version.bars().drop_columns(["source"])
        assert bars.to_parquet(known) == bars.to_parquet(delivered)


def test_equal_sequences_give_equal_bytes() -> None:
    table = table_of([("A", 1, 1), ("A", 2, 2)])
    one, two = (
        Piece(table, {"A": 1, "B": 2}),
        Piece(pa.concat_tables([table.slice(0, 1), table.slice(1)]), {"B": 2, "A": 1}),
    )
    assert pieces.encode(one) == pieces.encode(two)
    assert np.array_equal(columns.days(pieces.decode(pieces.encode(one), "x").table.column("date")), [1, 2])


def test_a_tail_that_is_older_than_the_known_pieces_is_not_continued(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "MOST_RECENT", 3)
    monkeypatch.setattr(tails, "MOST_RECENT", 3)
    vendor, path = Vendor.synthetic(3), tmp_path / "bars.csv"
    store = Store.of(str(tmp_path), config_of(path))
    for number in range(40, 46):
        vendor.publish(DAYS[number], path)
        assert not update(store, config_of(path), DAYS[number]).corrected, "the overlap is complete"
        if number == 40:
            store.version(DAYS[number]).tail(5)
    version = store.version(DAYS[45])
    assert bars.to_parquet(version.tail(5)) == bars.to_parquet(end_of(version, 5))
    version = store.version(DAYS[42])
    assert bars.to_parquet(version.tail(5)) == bars.to_parquet(end_of(version, 5)), "an old version has its own tail"
