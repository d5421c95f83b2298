"""Verifies a model against its store: hash chain of the ledger, forecasts, modification times, delivered forecasts."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.market.calendar import opening, sessions, to_date
from cloudlstm.models import delivery, ledger, registry
from cloudlstm.models.ledger_chain import Problem, digest, verify
from cloudlstm.models.paths import ModelPaths


@dataclass(frozen=True, slots=True)
class Verified:
    """Result of a verification; JSON-ready.

    Attributes:
        records: Number of records.
        problems: What is wrong with the ledger.
        gaps: Sessions between the first and the last record that have none. A missed day leaves one as well.
        newest: Digest of the newest record, to be noted where the owner of the store cannot change it.
        delivered: What is wrong with latest.json and its Parquet file, as sentences.
    """

    records: int
    problems: tuple[Problem, ...]
    gaps: tuple[str, ...]
    newest: str
    delivered: tuple[str, ...] = ()

    @property
    def wrong(self) -> int:
        """Number of all problems."""
        return len(self.problems) + len(self.delivered)


def verify_model(paths: ModelPaths, noted: Sequence[str] = ()) -> Verified:
    """Checks the ledger of a model, and then what was delivered, unless the ledger itself is wrong.

    Args:
        paths: The model.
        noted: Digests of newest records that somebody has noted elsewhere.
    """
    found = verify_ledger(paths, noted)
    if any(each.kind in ("changed", "missing") for each in found.problems):
        return found  # what is delivered follows from the ledger
    return replace(found, delivered=tuple(delivery.problems(paths)))


def verify_ledger(paths: ModelPaths, noted: Sequence[str] = ()) -> Verified:
    """Reads all records and forecasts of a model and checks them.

    Args:
        paths: The model.
        noted: Digests of newest records that somebody has noted elsewhere.
    """
    times = {item.uri: item.modified for item in storage.list_objects(paths.ledger)}
    records = ledger.records_of(paths)
    if not records:
        return Verified(0, tuple(verify([], {}, noted=noted)), (), "")
    calendar = parse(dict(registry.recipe_of(paths).config)).market.calendar
    first, last = (dt.date.fromisoformat(each.date) for each in (records[0], records[-1]))
    days = [to_date(int(day)).isoformat() for day in sessions(calendar, first - dt.timedelta(days=7), last)]
    opens: dict[str, float] = {}
    for record in records:
        if record.date in days:
            opens[record.date] = opening(calendar, dt.date.fromisoformat(record.date))
    stored, found = {}, {}
    for record in records:
        uri = paths.forecasts(record.date, record.forecasts_sha256)
        stored[record.number] = times[paths.record(record.date)]
        if uri in times:
            found[record.number] = hashlib.sha256(storage.read(uri)).hexdigest()
    problems = verify(records, stored, forecasts=found, opens_at=opens, noted=noted)
    dates = {record.date for record in records}
    gaps = tuple(day for day in days if records[0].date <= day <= records[-1].date and day not in dates)
    return Verified(len(records), tuple(problems), gaps, digest(records[-1]))
