"""The chain of daily forecasts: every forgery that it can find is found, and the others are known."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm.models.ledger_chain import FIRST, Record, digest, link, verify

DAY = 86_400.0
OPENS = 1_700_000_000.0


def chain(length=8):
    records: list[Record] = []
    for day in range(length):
        opens = OPENS + day * DAY
        content = hashlib.sha256(str(day).encode()).hexdigest()
        record = Record(99, f"2026-11-{day + 1:02d}", opens - 7200.0, opens, "v3", content, "?")
        records.append(link(records[-1] if records else None, record))
    return records


def stored(records):
    return {record.number: record.session_opens_at - 3600.0 for record in records}


def problems(records, times=None, **known):
    found = verify(records, stored(chain(50)) if times is None else times, **known)
    return [(problem.kind, problem.number) for problem in found]


def rewritten(records, place, **changes):
    """The records with one of them changed, and all later ones linked to it again."""
    made = records[:place]
    for record in [replace(records[place], **changes), *records[place + 1 :]]:
        made.append(link(made[-1] if made else None, record))
    return made


def test_the_digest_is_that_of_the_canonical_json():
    record = Record(0, "2026-11-30", 1.5, 2.0, "v1", "ab", FIRST)
    text = (
        '{"date":"2026-11-30","forecasts_sha256":"ab","made_at":1.5,"number":0,'
        f'"previous":"{FIRST}","session_opens_at":2.0,"version":"v1"}}'
    )
    assert digest(record) == hashlib.sha256(text.encode()).hexdigest()
    assert digest(Record(**json.loads(text))) == digest(record)


def test_a_whole_ledger_has_no_problems():
    records = chain()
    opens = {record.date: record.session_opens_at for record in records}
    files = {record.number: record.forecasts_sha256 for record in records}
    assert verify(records, stored(records), forecasts=files, opens_at=opens, noted=[digest(r) for r in records]) == []
    assert verify([], {}) == []
    assert records[0].previous == FIRST
    assert [record.number for record in records] == list(range(8))
    assert records[3].previous == digest(records[2])


def test_a_missed_day_is_no_problem():
    records = chain()
    later = link(records[-1], replace(records[-1], date="2026-12-24"))
    assert verify([*records, later], stored([*records, later])) == []


def test_a_record_that_does_not_come_later_cannot_be_linked():
    records = chain(2)
    for date in ("2026-11-02", "2026-11-01"):
        with pytest.raises(ValueError, match="cannot follow"):
            link(records[-1], replace(records[-1], date=date))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.sampled_from([field.name for field in fields(Record)]), st.data())
def test_any_change_of_any_record_but_the_newest_is_found(place, name, data):
    records = chain()
    old = getattr(records[place], name)
    kind = (
        st.integers(0, 40)
        if name == "number"
        else st.floats(-1e9, 3e9)
        if isinstance(old, float)
        else st.text(max_size=70)
    )
    new = data.draw(kind.filter(lambda value: value != old))
    records[place] = replace(records[place], **{name: new})
    assert problems(records)


@pytest.mark.parametrize("place", range(7))
def test_a_changed_record_is_named(place):
    records = chain()
    records[place] = replace(records[place], forecasts_sha256="f" * 64)
    assert problems(records) == [("changed", place)]


def test_changed_and_lost_forecasts_are_found_also_of_the_newest_record():
    records = chain(3)
    files = {record.number: record.forecasts_sha256 for record in records}
    assert problems(records, forecasts={**files, 2: "0" * 64}) == [("changed", 2)]
    assert problems(records, forecasts={0: files[0], 2: files[2]}) == [("missing", 1)]


@pytest.mark.parametrize(("gone", "found"), [([0], [0]), ([3], [3]), ([2, 3, 4], [2]), ([1, 5], [1, 5])])
def test_missing_records_are_found(gone, found):
    records = [record for record in chain() if record.number not in gone]
    assert problems(records) == [("missing", number) for number in found]


def test_a_gap_of_any_size_is_one_problem():
    records = chain(2)
    records[1] = replace(records[1], number=10**9)
    (found,) = verify(records, stored(records))
    assert (found.kind, found.number, found.text) == ("missing", 1, "records 1 to 999999999 are not there")


def test_reordered_and_doubled_records_are_found():
    records = chain(5)
    assert problems([records[0], records[2], records[1], *records[3:]]) == [("reordered", 1)]
    assert problems([*records, records[2]]) == [("reordered", 2)]
    assert problems([*records, records[4]]) == [("reordered", 4)]
    swapped = [*records]
    swapped[1], swapped[2] = replace(records[2], number=1), replace(records[1], number=2)
    found = verify(swapped, stored(swapped))
    assert {(problem.kind, problem.number) for problem in found} == {
        ("changed", 0), ("changed", 1), ("changed", 2), ("reordered", 2),
    }  # fmt: skip


def test_a_record_that_the_store_got_after_the_opening_is_late():
    records = chain(4)
    times = stored(records)
    assert problems(records, {**times, 2: records[2].session_opens_at}) == [("late", 2)]
    assert problems(records, {**times, 2: records[2].session_opens_at - 0.001}) == []
    assert problems(records, {n: time for n, time in times.items() if n != 2}) == [("late", 2)]
    assert problems(records, {**times, 2: float("nan")}) == [("late", 2)]


def test_a_record_that_says_it_was_made_too_late_is_late():
    records = rewritten(chain(4), 1, made_at=OPENS + DAY + 1.0)
    assert problems(records) == [("late", 1)]


def test_the_opening_is_that_of_the_exchange():
    records = chain(4)
    opens = {record.date: record.session_opens_at for record in records}
    forged = rewritten(records, 1, session_opens_at=opens["2026-11-02"] + 6 * 3600.0)
    times = {**stored(records), 1: opens["2026-11-02"] + 3600.0}
    assert problems(forged, times) == []  # by its own word it was in time
    assert problems(forged, times, opens_at=opens) == [("changed", 1), ("late", 1)]
    del opens["2026-11-03"]
    assert problems(records, opens_at=opens) == [("changed", 2)]


def test_rewriting_the_past_is_late_and_against_a_noted_digest():
    """The owner changes a forecast of the past and links all later records again: the chain is whole."""
    records = chain()
    noted = digest(records[6])
    forged = rewritten(records, 4, forecasts_sha256="f" * 64)
    assert problems(forged) == []  # if the store's times could be set
    now = OPENS + 8 * DAY
    times = {**stored(records), **dict.fromkeys(range(4, 8), now)}
    assert problems(forged, times) == [("late", number) for number in range(4, 8)]
    assert problems(forged, noted=[noted]) == [("missing", 8)]


def test_cut_off_records_are_found_by_a_noted_digest_only():
    records = chain()
    assert problems(records[:5]) == []
    assert problems(records[:5], noted=[digest(records[3])]) == []
    assert problems(records[:5], noted=[digest(records[5])]) == [("missing", 5)]


def test_a_record_is_json():
    record = chain(1)[0]
    assert Record(**json.loads(json.dumps(asdict(record)))) == record
