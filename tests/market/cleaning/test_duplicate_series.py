"""Finding tickers with the same bars, across shards and in linear time."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from bar_factory import bars_of, walk, weekdays
from cloudlstm.market import bars
from cloudlstm.market.cleaning import duplicate_series as module
from cloudlstm.market.cleaning.duplicate_series import find_duplicate_series, sketches
from cloudlstm.market.cleaning.shard import Shard

SESSIONS = weekdays(600)


def sketch(*parts: range) -> list[int]:
    return [each for part in parts for each in part]


def test_three_names_of_one_series_are_one_group() -> None:
    one = sketch(range(16))
    assert find_duplicate_series([{"OLD": one, "OTHER": sketch(range(100, 116))}, {"NEW": one}, {"ALSO": one}]) == [
        ["ALSO", "NEW", "OLD"]
    ]


def test_four_hashes_make_a_group_and_three_do_not() -> None:
    one = sketch(range(16))
    assert find_duplicate_series([{"A": one, "B": sketch(range(12, 28))}]) == [["A", "B"]]
    assert find_duplicate_series([{"A": one, "B": sketch(range(13, 29))}]) == []


def test_a_third_ticker_links_two_without_common_hashes() -> None:
    """Like a ticker that was renamed twice, with overlapping histories."""
    shards = [{"A": sketch(range(16)), "C": sketch(range(20, 36)), "B": sketch(range(10, 26))}]
    assert find_duplicate_series(shards) == [["A", "B", "C"]]


def test_a_hash_of_two_members_of_a_group_counts_once() -> None:
    one, other = sketch(range(14), range(100, 102)), sketch(range(20, 34), range(100, 102))
    link, apart = sketch(range(8), range(20, 28)), sketch(range(100, 102), range(200, 214))
    assert find_duplicate_series([{"A": one, "B": other, "C": link, "D": apart}]) == [["A", "B", "C"]]


def test_a_large_group_does_not_hide_a_small_one_with_common_hashes() -> None:
    large = {f"L{number:02d}": sketch(range(16)) for number in range(20)}
    small = {
        name: sketch(range(3), range(50, 51), range(start, start + 12)) for name, start in (("X", 100), ("Y", 200))
    }
    assert find_duplicate_series([large | small]) == [sorted(large), ["X", "Y"]]


def test_at_most_twenty_groups_of_twenty_tickers_are_returned() -> None:
    many = {f"T{number:04d}": sketch(range(16)) for number in range(1000)}
    assert find_duplicate_series([many]) == [[f"T{number:04d}" for number in range(20)]]
    pairs = {
        f"{side}{number:03d}": sketch(range(100 * number, 100 * number + 16)) for number in range(50) for side in "AB"
    }
    assert find_duplicate_series([pairs]) == [[f"A{number:03d}", f"B{number:03d}"] for number in range(20)]


@pytest.mark.parametrize("seed", range(20))
def test_every_pair_with_four_common_hashes_is_in_one_group(seed: int) -> None:
    draw = random.Random(seed)
    drawn = {f"T{number:02d}": sorted(draw.sample(range(120), 16)) for number in range(20)}
    pairs = [{one, other} for one, other in combinations(drawn, 2) if len({*drawn[one]} & {*drawn[other]}) >= 4]
    groups = [set(group) for group in find_duplicate_series([drawn])]
    assert all(any(pair <= group for group in groups) for pair in pairs)
    assert len(set().union(*groups)) == sum(map(len, groups)), "no ticker is in two groups"


@pytest.mark.parametrize("own", [0, 4, 13, 16])
def test_the_cost_grows_linearly_with_the_tickers(own: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts the searches for a group; tickers share all, some or none of their hashes."""
    searches = 0
    of = module._Groups.root

    def counted(self: module._Groups, ticker: str) -> str:
        nonlocal searches
        searches += 1
        return of(self, ticker)

    monkeypatch.setattr(module._Groups, "root", counted)
    costs = []
    for count in (200, 800):
        searches = 0
        find_duplicate_series(
            [{f"T{n:05d}": sketch(range(16 - own), range(100 * (n + 1), 100 * (n + 1) + own)) for n in range(count)}]
        )
        costs.append(searches)
    assert costs[1] < 4.5 * costs[0]


def shard(*tables: pa.Table) -> Shard:
    return Shard.of(bars.sort(pa.concat_tables(tables)), SESSIONS)


def test_duplicate_series_are_found_across_shards():
    close = walk(600)
    new = bars_of("META", SESSIONS, close)
    old = bars_of("FB", SESSIONS[:400], close[:400])
    other = bars_of("OTHER", SESSIONS, walk(600, 1))
    apart = [sketches(shard(new, other)), sketches(shard(old))]
    assert find_duplicate_series(apart) == [["FB", "META"]]
    assert find_duplicate_series([sketches(shard(new, old, other))]) == [["FB", "META"]]
    assert apart[0] | apart[1] == sketches(shard(new, old, other))


def test_similar_series_are_not_duplicates():
    close = walk(600)
    tables = [
        bars_of("AAA", SESSIONS, close),
        bars_of("BBB", SESSIONS, close, volume=np.arange(2000, 2600)),
        bars_of("CCC", SESSIONS, close * 2.0),
        bars_of("DDD", SESSIONS, np.full(600, 10.0), volume=np.zeros(600, int)),
        bars_of("EEE", SESSIONS, np.full(600, 10.0), volume=np.zeros(600, int)),
    ]
    assert find_duplicate_series([sketches(shard(*tables))]) == []
