"""The contract of a topic: what is written is read again, and what is no bar is refused with a reason."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm.market.bars import to_parquet
from cloudlstm.stream import bars, messages
from stream.market import bar, market, table

GOOD = {"schema": 1, **{k: v for k, v in bar("AAPL", 0, 0).items() if k != "sent"}}


def decode(values: list[Any], keys: list[bytes | None] | None = None) -> messages.Decoded:
    raw = [json.dumps(value).encode() if isinstance(value, dict) else value for value in values]
    return messages.decode(raw, keys, lambda number: f"message {number}")


def test_bars_are_read_as_they_were_written() -> None:
    wanted = table(market(tickers=3, sessions=1))
    pairs = messages.encode(wanted)
    found = messages.decode([value for _, value in pairs], [key for key, _ in pairs], str)
    assert not found.refused
    for name in bars.BARS.names:
        if name != "sent":
            assert found.bars[name].to_pylist() == wanted[name].to_pylist()
    assert np.isnan(found.bars["sent"].to_numpy()).all()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "it has no value"),
        (b"", "it is no JSON"),
        (b"{", "it is no JSON"),
        (b"[1]", "it is no JSON object"),
        (b'\xff\xfe{"a"', "it is no JSON"),
        ({**GOOD, "schema": 2}, "its schema is 2, and this version of cloudlstm reads up to 1"),
        ({**GOOD, "schema": "x"}, "its schema is no number"),
        ({k: v for k, v in GOOD.items() if k != "close"}, "it lacks close"),
        ({**GOOD, "close": None}, "it lacks close"),
        ({**GOOD, "close": "12"}, "its close is no number"),
        ({**GOOD, "close": math.nan}, "its close is no number"),
        ({**GOOD, "volume": math.inf}, "its volume is no number"),
        ({**GOOD, "volume": 10**400}, "its volume is no number"),
        ({**GOOD, "volume": -1}, "its volume is below zero"),
        ({**GOOD, "low": 0.0}, "a price is not above zero"),
        ({**GOOD, "high": 70.0, "low": 60.0}, "its open or close is far outside the range from low to high"),
        ({**GOOD, "high": 99.0, "low": 99.5}, "its high is below its low"),
        ({**GOOD, "high": 501.0, "low": 100.0}, "its high is more than 5 times its low"),
        ({**GOOD, "minute": 1_700_000_000_000}, "its minute is not in seconds"),
        ({**GOOD, "minute": 1.5}, "its minute is no whole number"),
        ({**GOOD, "minute": -60}, "its minute is not in seconds"),
        ({**GOOD, "ticker": ""}, "its ticker is not valid; a ticker has"),
        ({**GOOD, "ticker": "<script>"}, "its ticker is not valid; a ticker has"),
        ({**GOOD, "final": "yes"}, "its final is neither"),
        ({**GOOD, "sent": "now"}, "its sent is no number"),
        ({**GOOD, "sent": 10**400}, "its sent is no number"),
        ({**GOOD, "sent": -math.inf}, "its sent is no number"),
        ({**GOOD, "source": "\ud800"}, "its source is no text"),
        ({**GOOD, "ticker": "\ud800"}, "its ticker is not valid; a ticker has"),
    ],
)
def test_a_poisoned_message_is_refused_and_the_others_are_read(value: Any, reason: str) -> None:
    found = decode([GOOD, value, {**GOOD, "ticker": "MSFT"}])
    assert found.bars["ticker"].to_pylist() == ["AAPL", "MSFT"]
    assert [(each.where, each.reason[: len(reason)]) for each in found.refused] == [("message 1", reason)]


def test_a_poisoned_message_among_many_costs_only_itself() -> None:
    many = [{**GOOD, "ticker": f"T{number}"} for number in range(3000)]
    values: list[Any] = [*many[:1234], b"no bar", *many[1234:]]
    found = decode(values)
    assert [each.where for each in found.refused] == ["message 1234"]
    assert found.bars["ticker"].to_pylist() == [each["ticker"] for each in many]


def test_defaults_and_unknown_fields() -> None:
    found = decode([{k: v for k, v in GOOD.items() if k not in ("schema", "final", "source")} | {"more": {"a": [1]}}])
    assert not found.refused
    assert found.bars["final"].to_pylist() == [True]
    assert found.bars["source"].to_pylist() == [""]


def test_the_key_is_the_ticker_whatever_its_case() -> None:
    values = [GOOD, GOOD, GOOD, {**GOOD, "ticker": "aapl"}]
    found = decode(values, [b"AAPL", b"aapl", b"MSFT", None])
    assert found.bars["ticker"].to_pylist() == ["AAPL"] * 3
    assert [each.where for each in found.refused] == ["message 2"]
    assert "its key 'MSFT' is not its ticker 'AAPL'" in found.refused[0].reason


def test_several_objects_in_one_message_move_no_other_message() -> None:
    one = json.dumps(GOOD).encode()
    found = decode([one + one, b" ", {**GOOD, "ticker": "MSFT"}], [b"AAPL", b"AAPL", b"MSFT"])
    assert found.bars["ticker"].to_pylist() == ["MSFT"]
    assert len(found.refused) == 2


numbers = st.one_of(st.floats(allow_nan=True, allow_infinity=True, width=64), st.integers(-(2**70), 2**70), st.none())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(bars.VALUES, numbers)), min_size=1, max_size=5))
def test_the_fast_reader_and_the_careful_one_agree(rows: list[dict[str, Any]]) -> None:
    values = [json.dumps({**GOOD, **row}).encode() for row in rows]
    fast = messages.decode(values, None, str)
    careful = [messages._read(value, None)[0] for value in values]
    assert fast.bars.num_rows == sum(each is not None for each in careful)
    kept = [each for each in careful if each is not None]
    for name in bars.VALUES:
        assert fast.bars[name].to_pylist() == [float(each[name]) for each in kept]


_odd = (
    None, True, 0, -1, 10**400, -(10**400), 2**63, 1e299, math.nan, math.inf, "", "A", "\ud800", "A\udfff", "\0", [], {}
)  # fmt: skip
_single = st.sampled_from(_odd)
_any_json = st.recursive(
    st.one_of(_single, st.floats(), st.integers(), st.text(st.characters(codec=None))),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
_names = st.sampled_from(["schema", *bars.BARS.names, "other"])
_fields = st.one_of(
    st.dictionaries(_names, _single, min_size=1, max_size=1), st.dictionaries(_names, _any_json, max_size=3)
)
_values = st.one_of(
    st.none(), st.binary(max_size=30), _fields.map(lambda own: json.dumps({**GOOD, **own}).encode()),
    _any_json.map(lambda value: json.dumps(value).encode()),
    _fields.map(lambda own: json.dumps({**GOOD, **own}, ensure_ascii=False).encode("utf-16", "surrogatepass")),
)  # fmt: skip


def each_is_a_bar_or_refused(pairs: Sequence[tuple[bytes | None, bytes | None]]) -> None:
    """Whatever a message is, it becomes a bar or a refusal, and both can be written; a good one beside it is read."""
    good = json.dumps(GOOD).encode()
    found = messages.decode([*(value for value, _ in pairs), good], [*(key for _, key in pairs), b"AAPL"], str)
    assert found.bars.num_rows + len(found.refused) == len(pairs) + 1
    assert str(len(pairs)) not in [each.where for each in found.refused]
    assert bars.usable(found.bars).all()
    to_parquet(found.bars)
    to_parquet(bars.refused_table(found.refused))
    alone = [messages.decode([value], [key], str) for value, key in pairs]
    assert sum(each.bars.num_rows for each in alone) == found.bars.num_rows - 1, "the same, whatever stands beside it"


@pytest.mark.parametrize("name", ["schema", *bars.BARS.names])
def test_no_odd_value_of_a_field_stops_the_others(name: str) -> None:
    for value in _odd:
        each_is_a_bar_or_refused([(json.dumps({**GOOD, name: value}).encode(), None)])
        each_is_a_bar_or_refused([(json.dumps({**GOOD, name: value}).encode(), None), (b"no bar", None)])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(_values, st.one_of(st.none(), st.binary(max_size=4), st.just(b"AAPL"))), min_size=1, max_size=5)
)
def test_no_message_stops_the_others(pairs: list[tuple[bytes | None, bytes | None]]) -> None:
    each_is_a_bar_or_refused(pairs)
