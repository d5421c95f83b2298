"""The hash chain of daily forecasts: finds records that were changed, removed, reordered or stored too late.

A record names the forecasts of one session by their SHA-256, and the record before it by its own. So a change of any
forecast or record changes every later record. That a record was there before the session opened is shown by the time
at which the store says that it was written; the time in the record is the writer's word only. As the record contains
the digest of the forecasts, they too were fixed at that time.

What an owner of the bucket can still do, unseen by `verify`:

- Write several ledgers before the sessions open, and later show the one that did best, or none.
- Cut off the newest records and say that no forecasts were made since. Rewriting them instead gives them times that
  are too late.
- Leave out the forecasts of a day in advance. The chain has no gap then; a comparison of its dates with the sessions
  of the exchange shows the day.
- Begin a new ledger after a bad time.
- Set modification times, where the store lets its owner do so: a disk does, S3 and Cloud Storage do not. Who operates
  the store can do everything.

The digest of the newest record, noted each day where the owner cannot change it (a mail, a public page), finds cut-off
and rewritten records, whatever times the store has: `verify(noted=…)`. It does not prevent several ledgers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from cloudlstm.text.numbers import duration

_DAY_S = 86400

FIRST = "0" * 64
"""The previous digest of the first record."""


@dataclass(frozen=True, slots=True)
class Record:
    """Forecasts of one session; JSON-ready.

    Attributes:
        number: 0 for the first record, then one more each.
        date: Session that is forecast, as 2026-11-30.
        made_at: When the forecasts were made, by the writer's clock, in seconds since the epoch.
        session_opens_at: When the session opens, in seconds since the epoch.
        version: Version of the model.
        forecasts_sha256: SHA-256 of the Parquet file of the forecasts, hexadecimal.
        previous: Digest of the record before; 64 zeros for the first.
    """

    number: int
    date: str
    made_at: float
    session_opens_at: float
    version: str
    forecasts_sha256: str
    previous: str = FIRST


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a ledger.

    Attributes:
        kind: "changed", "missing", "reordered" or "late".
        number: Number of the record; of a missing one, the number that it had.
        text: What was found.
    """

    kind: Literal["changed", "missing", "reordered", "late"]
    number: int
    text: str


def digest(record: Record) -> str:
    """SHA-256 of the record as JSON with sorted keys and no spaces, hexadecimal."""
    text = json.dumps(asdict(record), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def link(previous: Record | None, record: Record) -> Record:
    """Returns the record with the number and the digest that make it follow `previous`; None: it is the first.

    Raises:
        ValueError: Its date is not after that of the previous record.
    """
    if previous is None:
        return replace(record, number=0, previous=FIRST)
    if record.date <= previous.date:
        raise ValueError(f"a record for {record.date} cannot follow that for {previous.date}")
    return replace(record, number=previous.number + 1, previous=digest(previous))


def verify(
    records: Sequence[Record],
    stored_times: Mapping[int, float],
    *,
    forecasts: Mapping[int, str] | None = None,
    opens_at: Mapping[str, float] | None = None,
    noted: Sequence[str] = (),
) -> list[Problem]:
    """Returns everything that is wrong with a ledger, by number of record; empty if nothing is.

    Args:
        records: All records, in the order in which the store lists them.
        stored_times: Number of each record -> when the store says that it was last written, in seconds since the epoch.
        forecasts: Number of each record -> SHA-256 of the forecasts that are in the store now; None: not compared.
        opens_at: Date -> when its session opens by the exchange's calendar; None: the record's own word counts.
        noted: Digests of newest records that somebody outside has noted. Without them, cut-off records and a change of
            the newest record are not found.
    """
    found: list[Problem] = []
    highest = -1
    for record in records:
        if record.number <= highest:
            text = f"record {record.number} ({record.date}) comes after record {highest}"
            found.append(Problem("reordered", record.number, text))
        highest = max(highest, record.number)
    before: Record | None = None
    for record in sorted(records, key=lambda record: record.number):
        found += _chain_problems(before, record)
        found += _forecasts_problems(record, forecasts)
        found += _time_problems(record, stored_times, opens_at)
        before = record
    digests = {digest(record) for record in records}
    for each in noted:
        if each not in digests:
            text = f"no record has the noted digest {each[:12]}…: newest records were cut off or changed"
            found.append(Problem("missing", highest + 1, text))
    return sorted(found, key=lambda problem: problem.number)


def _chain_problems(before: Record | None, record: Record) -> list[Problem]:
    """Problems of a record's place after the record with the next lower number."""
    expected = 0 if before is None else before.number + 1
    if record.number > expected:
        last = record.number - 1
        text = f"record {expected} is not there" if last == expected else f"records {expected} to {last} are not there"
        return [Problem("missing", expected, text)]
    if before is None or record.number < expected:  # the first, or a number that comes twice
        if record.number == 0 and record.previous != FIRST:
            return [Problem("changed", 0, "the first record names a record before it")]
        return []
    found = []
    if record.previous != digest(before):
        text = f"record {before.number} ({before.date}) is not the one that record {record.number} followed"
        found.append(Problem("changed", before.number, text))
    if record.date <= before.date:
        text = f"record {record.number} is for {record.date}, and the record before it for {before.date}"
        found.append(Problem("reordered", record.number, text))
    return found


def _forecasts_problems(record: Record, forecasts: Mapping[int, str] | None) -> list[Problem]:
    """A problem if the forecasts in the store are not those of the record."""
    if forecasts is None or forecasts.get(record.number) == record.forecasts_sha256:
        return []
    if record.number not in forecasts:
        return [Problem("missing", record.number, f"the forecasts for {record.date} are not there")]
    return [Problem("changed", record.number, f"the forecasts for {record.date} are not those of the record")]


def _time_problems(
    record: Record, stored_times: Mapping[int, float], opens_at: Mapping[str, float] | None
) -> list[Problem]:
    """Problems of the times of a record."""
    found = []
    opens = record.session_opens_at
    if opens_at is not None:
        known = opens_at.get(record.date)
        if known is None:
            return [Problem("changed", record.number, f"{record.date} is no session of the exchange")]
        if known != opens:
            text = f"the record says that the session of {record.date} opens {opens - known:+.0f} s from when it does"
            found.append(Problem("changed", record.number, text))
        opens = known
    for name, time in (("stored", stored_times.get(record.number)), ("made", record.made_at)):
        if time is None:
            found.append(Problem("late", record.number, f"the store has no time for the record for {record.date}"))
        elif not time < opens:
            text = f"the record for {record.date} was {name} {_lateness(time - opens)} after its session opened"
            found.append(Problem("late", record.number, text))
    return found


def _lateness(seconds: float) -> str:
    return duration(seconds) if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:.0f} days"
