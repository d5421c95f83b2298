"""What an update does with each ticker, from the overlap of its stored bars with those of the source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from cloudlstm.market import bars, columns, universe
from cloudlstm.market.calendar import to_date, to_days
from cloudlstm.market.store import pieces, sessions
from cloudlstm.market.store.changes import Changes, Refusal, Restatement
from cloudlstm.market.store.compare import Difference, Factors, differences
from cloudlstm.market.store.fetch import Delivery, Events, Fetch
from cloudlstm.market.store.pieces import NAMELESS, Piece
from cloudlstm.market.store.version import Version

OVERLAP = 10
"""An update reads the bars from so many sessions before the last known one on."""

_SPLIT_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class Decisions:
    """The result of an update.

    Attributes:
        piece: The bars that it adds; None if nothing has changed.
        behind: Ticker -> the last day up to which its bars are known, for those that were not brought up to date.
        changes: What has changed, without what the pieces tell.
    """

    piece: Piece | None
    behind: Mapping[str, str]
    changes: Changes


@dataclass(slots=True)
class _Sorted:
    """Tickers by what is done with them."""

    starts: dict[str, int] = field(default_factory=dict)  # first day that the new piece replaces
    restated: dict[str, Restatement] = field(default_factory=dict)
    corrected: dict[str, Difference] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rounded: int = 0
    appended: int = 0


def decide(previous: Version, fetch: Fetch, accept: Collection[str]) -> Decisions:
    """Reads the source and compares it with the version before.

    Args:
        previous: The version before.
        fetch: Reads the source.
        accept: Tickers whose history is fetched anew in any case.
    """
    config, known = fetch.config, previous.manifest
    start = to_days(config.market.start)
    requested = fetch.requested()
    stored = {*known.tickers, NAMELESS}
    wanted = stored - set(config.universe.exclude) if requested is None else stored & {*requested, NAMELESS}
    through = {name: to_days(previous.as_of) for name in stored}
    through |= {name: to_days(_date(day)) for name, day in known.behind.items()}
    overlaps = {
        day: max(start, sessions.first_of_last(known.calendar, to_date(day), OVERLAP + 1))
        for day in {*through.values()}
    }
    starts = {name: overlaps[through[name]] for name in wanted}
    delivery = fetch.since(requested, starts)
    if delivery.events is None:
        universe.resolve_universe(
            requested, delivery.tickers | set(known.tickers), config.market.path or config.market.source,
            may_lack=config.clean.max_missing_fraction,
        )  # fmt: skip
    present, fresh = _tickers_with(delivery.bars, through)
    new = sorted(delivery.tickers - stored)
    gone = sorted(wanted - present - delivery.failed.keys() - {NAMELESS} - set(accept))
    compared = wanted - set(gone) - delivery.failed.keys()
    through |= _last_stored(previous, compared, starts, through)
    _, fresh = _tickers_with(delivery.bars, through)
    old, now = _overlap(previous, delivery, compared, starts, through)

    found = _Sorted(failed=dict(delivery.failed))
    differing = differences(old, now)
    for name in sorted(compared):
        difference = differing.get(name)
        if name in accept:
            found.restated[name] = Restatement(name, 1.0, 1.0, "the history is accepted as the source has it now")
        elif difference is not None:
            _judge(difference, delivery, found, through[name], fresh=name in fresh)
        elif name in fresh:
            found.starts[name] = through[name] + 1
            found.appended += 1
    found.starts |= dict.fromkeys(new, start)

    tables = [pieces.starting(pieces.only(delivery.bars, found.starts.keys()), found.starts, start)]
    again = _histories(fetch, found, start)
    tables.append(again.bars)
    piece = Piece(pieces.joined(tables), found.starts) if found.starts else None
    not_updated = {*found.quarantined, *(found.failed.keys() & stored), *(stored - wanted)}
    changes = Changes(
        as_of=fetch.as_of.isoformat(), previous=known.as_of, sessions=0,
        rows_read=delivery.rows_read + again.rows_read, rows_compared=now.num_rows,
        requests=delivery.requests + again.requests, appended=found.appended, rounded=found.rounded, new=tuple(new),
        corrected=tuple(sorted(found.corrected)),
        corrections=tuple(each for name in sorted(found.corrected) for each in found.corrected[name].corrections),
        restated=tuple(found.restated[name] for name in sorted(found.restated)), gone=tuple(gone),
        quarantined=refusals(found.quarantined), failed=refusals(found.failed),
    )  # fmt: skip
    behind = {name: to_date(through[name]).isoformat() for name in sorted(not_updated)}
    return Decisions(piece, behind, changes)


def refusals(reasons: Mapping[str, str]) -> tuple[Refusal, ...]:
    """Returns tickers with their reasons, sorted."""
    return tuple(Refusal(name, reasons[name]) for name in sorted(reasons))


def _date(day: str) -> dt.date:
    return dt.date.fromisoformat(day)


def _tickers_with(table: pa.Table, through: Mapping[str, int]) -> tuple[set[str], set[str]]:
    """Returns the tickers that have bars, and those that have bars after the day up to which theirs are known."""
    code, names = pieces.names_of(table)
    day = columns.days(table.column("date"))
    dated = day != columns.NO_DATE
    last = np.array([through.get(name, columns.NO_DATE) for name in names], np.int64)
    present, fresh = (np.unique(code[rows]).tolist() for rows in (dated, dated & (day > last[code])))
    return {names[number] for number in present}, {names[number] for number in fresh}


def _last_stored(
    previous: Version, tickers: Collection[str], starts: Mapping[str, int], through: Mapping[str, int]
) -> dict[str, int]:
    """Returns the last stored day of the tickers whose bars end before their `through`.

    Bars that come late for the days after it are new bars, and contradict nothing.
    """
    table = pieces.only(previous.tail(OVERLAP + 1), set(tickers) - previous.manifest.behind.keys() - {NAMELESS})
    code, names = pieces.names_of(table)
    day = columns.days(table.column("date"))
    dated = day != columns.NO_DATE
    last = np.full(len(names), -1, np.int64)
    np.maximum.at(last, code[dated], day[dated])
    found = dict(zip(names, last.tolist(), strict=True))
    return {name: end for name, end in found.items() if starts[name] <= end < through[name]}


def _overlap(
    previous: Version,
    delivery: Delivery,
    tickers: Collection[str],
    starts: Mapping[str, int],
    through: Mapping[str, int],
) -> tuple[pa.Table, pa.Table]:
    """Returns the stored and the delivered bars of the overlap of each ticker, and those without a date."""
    behind = previous.manifest.behind.keys() & set(tickers)
    tables = [pieces.only(previous.tail(OVERLAP + 1), set(tickers) - behind)]
    if behind:
        tables.append(previous.bars(behind))
    stored = pieces.starting(pieces.joined(tables), starts, columns.NO_DATE)
    delivered = pieces.only(delivery.bars, tickers)
    code, names = pieces.names_of(delivered)
    day = columns.days(delivered.column("date"))
    last = np.array([through.get(name, 0) for name in names], np.int64)
    known = (day <= last[code]) | (day == columns.NO_DATE)
    return stored, delivered if known.all() else delivered.filter(pa.array(known))


def _judge(difference: Difference, delivery: Delivery, found: _Sorted, through: int, *, fresh: bool) -> None:
    """Decides about a ticker whose overlap differs."""
    name, factors = difference.ticker, difference.factors
    events = None if delivery.events is None else delivery.events.get(name, Events())
    rounding = events is not None and factors is not None and factors.price == factors.adjusted == 1.0
    if difference.first is None or rounding:
        if fresh or not rounding:
            found.starts[name] = through + 1
        found.rounded += rounding
        found.appended += fresh
        return
    cause = None if factors is None or name == NAMELESS else _cause(factors, events)
    if factors is not None and cause:
        found.restated[name] = Restatement(name, factors.price, factors.adjusted, cause)
    elif name == NAMELESS or 2 * difference.differing <= difference.dates:
        found.corrected[name] = difference
        found.starts[name] = difference.first
    else:
        found.quarantined[name] = _reason(difference, remote=events is not None)


def _cause(factors: Factors, events: Events | None) -> str | None:
    """Returns what explains the factors; None if nothing does.

    A source without events is its own whole history, and explains itself if it has rescaled all of the overlap.
    """
    if events is None:
        return "the source has rescaled its bars" if factors.whole else None
    split = events.split_after(factors.last)
    if split != 1.0 and abs(split * factors.price - 1.0) <= _SPLIT_ROUNDING:
        return f"a split of {split:g} is reported"
    if split == 1.0 and factors.price == 1.0 and events.pays_after(factors.last):
        return "a dividend is reported"
    return None


def _reason(difference: Difference, *, remote: bool) -> str:
    """Returns why a ticker is put into quarantine."""
    if not difference.common:
        return "the source has bars in the overlap, and no date of them is stored"
    reason = f"{difference.differing} of {difference.dates} dates of the overlap differ"
    factors = difference.factors
    if factors is None or not remote:
        return reason
    by = f"prices by the factor {factors.price:g}" if factors.price != 1.0 else f"adj_close by {factors.adjusted:g}"
    return f"{reason}, {by}, and the source reports no split or dividend that explains it"


def _histories(fetch: Fetch, found: _Sorted, start: int) -> Delivery:
    """Reads the histories of the restated tickers; those that a remote source does not deliver count as failed."""
    if not found.restated:
        return Delivery(bars.empty(), frozenset(), 0)
    names = sorted(found.restated)
    again = fetch.since(names, dict.fromkeys(names, start))
    for name in names:
        if name in again.failed:
            found.failed[name] = again.failed[name]
            del found.restated[name]
        else:
            found.starts[name] = start
    return replace(again, bars=pieces.only(again.bars, found.restated.keys()))
