"""Cleaning of bars within a day: segments, gaps, hours, and what the limits mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from bar_factory import walk
from cloudlstm.config import CleanConfig
from cloudlstm.market import bars, columns
from cloudlstm.market.cleaning.clean import Cleaned, clean
from cloudlstm.market.cleaning.quality_gate import evaluate_gate
from cloudlstm.market.grid import Grid
from minute_bars import grid, minute_bars, minutes_of, texts

GRID = grid()


def cleaned(table: pa.Table, own: Grid = GRID, **settings: Any) -> Cleaned:
    return clean(table, CleanConfig(**settings), own.starts, own)


def without(*times: str) -> pa.Table:
    """Bars of all minutes but these."""
    return minute_bars("AAA", GRID.starts[~np.isin(GRID.starts, minutes_of(*times))])


def dates(table: pa.Table) -> list[str]:
    return texts(columns.days(table.column("date")))


def filled(result: Cleaned) -> list[str]:
    return dates(result.bars.filter(result.bars.column("filled")))


def reasons(result: Cleaned) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row, date in zip(result.quarantine.to_pylist(), dates(result.quarantine), strict=True):
        found.setdefault(row["reason"], []).append(date[5:])
    return found


def test_each_session_is_a_segment_unless_sessions_are_bridged() -> None:
    table = minute_bars("AAA", GRID.starts)
    result = cleaned(table)
    assert result.bars.schema.field("date").type == columns.MOMENT
    segment = result.bars.column("segment").to_numpy()
    assert (np.diff(segment) == (np.diff(GRID.days) > 0)).all()
    assert segment[-1] == 5
    bridged = grid(bridge_sessions=True)
    assert set(cleaned(table, bridged).bars.column("segment").to_pylist()) == {0}


def test_a_gap_is_filled_within_its_session_only() -> None:
    times = ("2024-11-25T20:59", "2024-11-26T14:30", "2024-11-27T16:00", "2024-11-27T16:01", "2024-11-27T16:02")
    result = cleaned(without(*times))
    assert filled(result) == ["2024-11-25T20:59", "2024-11-27T16:00", "2024-11-27T16:01"]
    # The first missing minute of a session has no earlier bar in it; three in a row are too many.
    segment = dict(zip(dates(result.bars), result.bars.column("segment").to_pylist(), strict=True))
    assert segment["2024-11-27T16:01"] == segment["2024-11-27T15:59"] != segment["2024-11-27T16:03"]
    bridged = cleaned(without(*times[:2]), grid(bridge_sessions=True))
    assert filled(bridged) == list(times[:2])
    assert set(bridged.bars.column("segment").to_pylist()) == {0}


def test_a_half_day_ends_early_and_a_holiday_has_no_bars() -> None:
    result = cleaned(minute_bars("AAA", GRID.starts))
    assert result.counts["AAA"] == {"rows": 2160, "kept": 2160, "filled": 0}
    extra = minutes_of("2024-11-28T16:00", "2024-11-29T18:30", "2024-11-29T20:59", "2024-11-30T15:00")
    found = reasons(cleaned(minute_bars("AAA", np.sort(np.append(GRID.starts, extra)))))
    assert found == {
        "off_calendar": ["11-28T16:00", "11-30T15:00"],
        "outside_session": ["11-29T18:30", "11-29T20:59"],
    }


def test_extended_hours_are_rejected_and_do_not_count_in_the_gate() -> None:
    early = np.concatenate([GRID.hours.opens[place] - np.arange(120, 0, -1) for place in range(6)])
    result = cleaned(minute_bars("AAA", np.sort(np.append(GRID.starts, early))))
    assert set(reasons(result)) == {"outside_session"}
    assert result.counts["AAA"]["kept"] == 2160
    facts = evaluate_gate([result.counts], ["AAA"], CleanConfig())
    assert facts["refused"] == {"outside_session": 720}
    assert facts["refused_fraction"] == 0.0


def test_bars_between_the_starts_of_an_interval_are_named() -> None:
    five = grid("5m")
    between = minutes_of("2024-11-25T14:32", "2024-11-26T15:01")
    result = cleaned(minute_bars("AAA", np.sort(np.append(five.starts, between))), five)
    assert reasons(result) == {"between_starts": ["11-25T14:32", "11-26T15:01"]}
    tokyo = grid("5m", "XTKS")
    at_lunch = np.sort(np.append(tokyo.starts, minutes_of("2024-11-25T03:00")))
    assert reasons(cleaned(minute_bars("AAA", at_lunch), tokyo)) == {"outside_session": ["11-25T03:00"]}


def with_jump(at: int, size: float, volume: int = 1) -> pa.Table:
    """Calm bars, with one close, and its whole bar, moved for one minute."""
    close = walk(len(GRID.starts), sigma=0.0005)
    close[at] *= np.exp(size)
    traded = np.full(len(close), 1000)
    traded[at] = volume
    return minute_bars("AAA", GRID.starts, close, volume=traded)


def test_an_outlier_is_a_smaller_move_within_a_session_than_between_two() -> None:
    inside = 1000
    overnight = int(np.flatnonzero(np.diff(GRID.days))[0]) + 1
    assert reasons(cleaned(with_jump(inside, 0.05))) == {"outlier": [texts(GRID.starts)[inside][5:]]}
    assert reasons(cleaned(with_jump(inside, 0.05), outlier_min_move=1.2)) == {}
    # A move of 5 % overnight is news. The way back within the session is none: the level before the night returns.
    calm = walk(len(GRID.starts), sigma=0.0005)
    calm[overnight:] *= np.exp(0.05)
    assert reasons(cleaned(minute_bars("AAA", GRID.starts, calm, volume=np.full(len(calm), 1000)))) == {}
    assert reasons(cleaned(with_jump(inside, 0.05, volume=50_000))) == {}, "trading explains it"


def test_no_split_happens_within_a_session() -> None:
    at = {"within": 1000, "between": int(np.flatnonzero(np.diff(GRID.days))[2]) + 1}
    found = {}
    for name, first in at.items():
        close = walk(len(GRID.starts), sigma=0.0005)
        close[first:] /= 2.0
        volume = np.where(np.arange(len(close)) < first, 1000, 2000)
        result = cleaned(minute_bars("AAA", GRID.starts, close, volume=volume))
        found[name] = set(result.counts["AAA"]) - {"rows", "kept", "filled"}
    assert "unmarked_split" in found["between"]
    assert "unmarked_split" not in found["within"]


def test_quiet_hours_are_no_missing_market() -> None:
    close = np.full(len(GRID.starts), 50.0)
    flat = dict.fromkeys(("open", "high", "low"), close)
    quiet = np.zeros(len(close), np.int64)
    traded = np.where(np.arange(len(close)) < 300, quiet, 1000)
    assert reasons(cleaned(minute_bars("AAA", GRID.starts, close, volume=traded, **flat))) == {}
    forever = cleaned(minute_bars("AAA", GRID.starts, close, volume=quiet, **flat), max_stale_bars=1)
    assert len(reasons(forever)["stale"]) == len(close) - 390


def test_an_empty_shard_stays_empty() -> None:
    assert cleaned(bars.empty()).bars.num_rows == 0
