"""One day of a model: bars, outcomes, checks, decisions, forecasts. The same day again gives the same objects.

The document of the day is written last. A day that was killed before that begins again: what it has written (bars,
outcomes, a move of the alias, forecasts) is found and kept. So a day needs no clean-up.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa

from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import DataError, UsageError
from cloudlstm.market.calendar import last_closed_session, opening, sessions_after, to_date, to_days
from cloudlstm.models import competition, drift, ledger, registry
from cloudlstm.models.checks import failures
from cloudlstm.models.competition import Standing
from cloudlstm.models.documents import Day, Decided, Due, Outcome, OverBudget, Recipe, Status, Version
from cloudlstm.models.due import due, recent
from cloudlstm.models.exogenous_rows import Score
from cloudlstm.models.last_bars import LastBars, last_bars
from cloudlstm.models.ledger_chain import Record, digest
from cloudlstm.models.networks import Networks
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.tail import Windows
from cloudlstm.models.watch import Watch
from cloudlstm.runs import documents, numbered

_LATE = dt.timedelta(minutes=30)
"""Bars of many exchanges come up to 20 minutes late."""
_WAIT_SESSIONS = 5
"""Sessions in which the outcomes of all tickers are waited for; then those that are known count."""
_PENDING_SESSIONS = 80
"""Sessions in which an outcome is waited for: the longest horizon, and some without a bar."""


def last_session(config: RunConfig, now: dt.datetime) -> dt.date:
    """The last session whose bars are final at a moment."""
    return last_closed_session(config.market.calendar, now - _LATE)


Choose = Callable[[Sequence[Due], str, str], tuple[list[Due], list[OverBudget]]]
"""Trainings that are due, the day, URI of the manifest -> those that are paid, and the others; see budget.py."""


def run_day(
    paths: ModelPaths, now: dt.datetime, clock: Callable[[], dt.datetime] | None = None, score: Score | None = None,
    choose: Callable[[str], Choose] | None = None,
) -> Day:  # fmt: skip
    """Carries out the day of the last session that has closed; returns the stored day if it was done before.

    Args:
        paths: The model.
        now: The moment; with a time zone.
        clock: Tells the moment at which the forecasts are stored, since a fetch may take long; None for `now`.
        score: Scores headlines, if the settings have news; None: the columns of news are missing.
        choose: Day -> what chooses the trainings that are paid; None: all are.

    Raises:
        UsageError: A later day was done already, or the model has bars within a day.
    """
    recipe = registry.recipe_of(paths)
    config = parse(dict(recipe.config))
    if config.market.interval != "1d":
        raise UsageError(
            f"model {paths.name} has bars of {config.market.interval}, and a day of a model has daily bars",
            hint=f"cloudlstm stream NAME --model={paths.name} forecasts with it while bars arrive",
        )
    session = last_session(config, now)
    date = session.isoformat()
    known = registry.day_dates(paths)
    if date in known:
        return registry.day_of(paths, date)
    if known and known[-1] > date:
        raise UsageError(f"model {paths.name} has a day {known[-1]}, and the last session is {date}")
    before = registry.day_of(paths, known[-1]) if known else None
    versions = {each.number: each for each in registry.versions_of(paths)}
    widest = max(each.window_bars for each in versions.values())
    bars = last_bars(paths, recipe.bars, config, session, widest, now, score)
    pays = choose(date) if choose else _all
    day = _DayWork(paths, recipe, config, versions, bars, clock or (lambda: now), before).run(pays)
    numbered.create(paths.day(date), asdict(day))
    registry.mark(paths)
    return documents.read(Day, paths.day(date))


def _all(trainings: Sequence[Due], *_: str) -> tuple[list[Due], list[OverBudget]]:
    return list(trainings), []


class _DayWork:
    """The work of one day.

    Args:
        paths: The model.
        recipe: Its recipe.
        config: The settings of its run.
        versions: Its versions by number.
        bars: The last bars.
        clock: Tells the moment at which the forecasts are stored.
        before: The day before; None for the first.
    """

    def __init__(
        self,
        paths: ModelPaths,
        recipe: Recipe,
        config: RunConfig,
        versions: Mapping[int, Version],
        bars: LastBars,
        clock: Callable[[], dt.datetime],
        before: Day | None,
    ) -> None:
        self._paths, self._recipe, self._config = paths, recipe, config
        self._versions, self._bars, self._clock, self._before = versions, bars, clock, before
        self._tail, self._sessions = bars.tail, bars.sessions
        self._date = to_date(self._tail.as_of).isoformat()
        next_session = sessions_after(config.market.calendar, np.array([self._tail.as_of], np.int32))
        self._next = to_date(int(next_session[0]))
        self._networks = Networks(paths, self._versions, self._tail, config.dataset.horizon_bars)

    def run(self, pays: Choose) -> Day:
        """Does everything but writing the day's document."""
        outcomes = self._settle()
        standing = competition.advance(self._standing(), outcomes, self._counts)
        standing, decided = self._enter(standing)
        champion = standing.champion
        after = to_days(dt.date.fromisoformat(self._before.date)) if self._before else self._tail.as_of - 1
        rows = {number: self._networks.forecast(number) for number in _forecasting(standing)}
        checks = {number: self._networks.checks(own, rows[champion], after) for number, own in rows.items()}
        failed = {number: failures(found) for number, found in checks.items()}
        more: list[Decided] = []
        if not failed[champion]:  # nothing is decided or trained on bad data
            standing, more = competition.decide(standing, self._recipe.policy, failed, self._networks.bound)
            self._move(more)
        drifting = self._networks.drift(champion)
        good = {number: own for number, own in rows.items() if not failed[number]}
        status, reasons, record = self._append(good, standing, failed[champion] or failed[standing.champion])
        started = recent(self._before.started if self._before else {}, self._sessions)
        serving = self._versions[standing.champion]
        alarms = _alarms(standing, drifting)
        trainings = [] if status == "refused" else due(
            self._recipe, serving, started, self._date, self._sessions, alarms
        )  # fmt: skip
        trainings, over = pays(trainings, self._date, self._bars.manifest)
        for each in trainings:
            started[each.name] = (*started.get(each.name, ()), self._date)
        if standing.loss_watch is None:
            standing = replace(standing, loss_watch=self._networks.watch(standing.champion))
        made = {str(number): good[number].num_rows for number in _forecasting(standing) if number in good and record}
        return Day(
            date=self._date,
            before=self._before.date if self._before else None,
            missed=self._missed(),
            status=status,
            reasons=tuple(reasons),
            bars=asdict(self._bars.changes),
            manifest=self._bars.manifest,
            outcomes=tuple(outcomes),
            checks=tuple(asdict(each) for each in checks[champion]),
            drift=tuple(asdict(each) for each in drifting),
            champion=standing.champion,
            previous=standing.previous,
            challengers=standing.challengers,
            loss_watch=standing.loss_watch,
            rollback_watch=standing.rollback_watch,
            decisions=tuple(decided + more),
            due=tuple(trainings),
            started=started,
            seen_versions=max(self._versions),
            session=record.date if record else "",
            record=digest(record) if record else "",
            forecasts=made,
            work={"tail_rows": self._tail.rows, "forecasts": sum(made.values())},
            notes=self._bars.notes,
            over_budget=tuple(over),
        )

    def _settle(self) -> list[Outcome]:
        """Stores the outcomes that became known, and returns them; the oldest first."""
        since = to_date(int(self._sessions[-min(_PENDING_SESSIONS, len(self._sessions))])).isoformat()
        settled = registry.settled_sessions(self._paths, since, self._before.date) if self._before else set()
        wait = _WAIT_SESSIONS + self._config.dataset.horizon_bars
        waiting = to_date(int(self._sessions[-min(wait, len(self._sessions))])).isoformat()
        labels: dict[int, Windows] = {}
        found = []
        for session in ledger.sessions_of(self._paths):
            if session in settled or not since <= session <= self._date:
                continue
            record = ledger.record_of(self._paths, session)
            bars = self._versions[int(record.version)].window_bars
            labels.setdefault(bars, self._tail.outcomes(bars))
            if outcome := ledger.settle(self._paths, record, labels[bars], complete=session >= waiting):
                found.append(outcome)
        return found

    def _standing(self) -> Standing:
        """The state of the competition before this day. Somebody may have moved the alias since the day before."""
        move = registry.newest_move(self._paths)
        if move.date == self._date and move.basis in _BY_DAY and move.before is not None:
            serving = move.before  # this day made it before it was killed, and will make it again
        else:
            serving = move.version
        if self._before is None:
            return Standing(serving, None, (), self._networks.watch(serving), None)
        last = self._before
        standing = Standing(last.champion, last.previous, last.challengers, last.loss_watch, last.rollback_watch)
        if serving != last.champion:
            staying = tuple(each for each in last.challengers if each.version != serving)
            rollback = None if move.basis == "rollback" else self._try_watch(serving, last.champion)
            previous = None if rollback is None else last.champion
            standing = Standing(serving, previous, staying, last.loss_watch, rollback)
        return standing

    def _try_watch(self, version: int, reference: int) -> Watch | None:
        try:
            return Watch(self._networks.bound(version, reference))
        except DataError:
            return None

    def _enter(self, standing: Standing) -> tuple[Standing, list[Decided]]:
        """Lets new versions compete from the next session on."""
        seen = self._before.seen_versions if self._before else standing.champion
        entering, decided = [], []
        for number in sorted(self._versions):
            if number <= seen or number == standing.champion:
                continue
            try:
                bound = self._networks.bound(number, standing.champion)
            except DataError as error:
                equal = "equal loss differences" in error.message
                warm = self._versions[number].kind == "warm"
                reason = _NO_BETTER if equal and warm else error.message
                decided.append(Decided(number, "retire", "equal" if equal else "checks", (reason,)))
                continue
            kind = self._versions[number].kind
            since = self._next.isoformat()
            entering.append(competition.enter(number, kind, self._recipe.policy, since, bound))
            decided.append(Decided(number, "enter", entering[-1].judged, (f"competes from {since} on",)))
        return replace(standing, challengers=(*standing.challengers, *entering)), decided

    def _move(self, decided: Sequence[Decided]) -> None:
        """Moves the champion's alias, unless this day has done it before it was killed."""
        for each in decided:
            if each.action in ("promote", "rollback"):
                newest = registry.newest_move(self._paths)
                basis = "rollback" if each.action == "rollback" else each.basis
                if (newest.version, newest.date, newest.basis) != (each.version, self._date, basis):
                    registry.move(self._paths, each.version, self._date, basis, each.reasons)

    def _append(
        self, rows: Mapping[int, pa.Table], standing: Standing, failed: Sequence[str]
    ) -> tuple[Status, Sequence[str], Record | None]:
        """Puts the forecasts into the ledger, unless the champion's failed a check or it is too late."""
        if failed:
            return "refused", failed, None
        opens_at = opening(self._config.market.calendar, self._next)
        made = self._clock().timestamp()
        if made >= opens_at:
            return "late", [f"the session of {self._next} had opened before the forecasts were made"], None
        table = pa.concat_tables([rows[number] for number in _forecasting(standing) if number in rows])
        session = self._next.isoformat()
        return "done", (), ledger.append(self._paths, table, session, opens_at, made, standing.champion)

    def _counts(self, session: str) -> bool:
        """True for every h-th session, whose forecasts do not overlap."""
        place = int(np.searchsorted(self._sessions, to_days(dt.date.fromisoformat(session))))
        return place % self._config.dataset.horizon_bars == 0

    def _missed(self) -> tuple[str, ...]:
        if self._before is None:
            return ()
        last = to_days(dt.date.fromisoformat(self._before.date))
        between = self._sessions[(self._sessions > last) & (self._sessions < self._tail.as_of)]
        return tuple(to_date(int(each)).isoformat() for each in between)


_NO_BETTER = "no epoch of its training had a smaller validation error than the weights that it started from"
_BY_DAY = ("skill", "refresh", "rollback")
"""Why a day moves the alias."""


def _forecasting(standing: Standing) -> list[int]:
    """The versions that forecast: the champion, the previous one while it is watched, and the challengers."""
    others = {each.version for each in standing.challengers} | ({standing.previous} if standing.previous else set())
    return [standing.champion, *sorted(others - {standing.champion})]


def _alarms(standing: Standing, drifting: Sequence[drift.FeatureDrift]) -> list[str]:
    """Sentences of the alarms that call for a cold challenger."""
    alarms = []
    if standing.loss_watch is not None and standing.loss_watch.alarm:
        alarms.append(f"the champion is worse than naive: e-value {standing.loss_watch.highest:.3g}")
    if names := [each.name for each in drifting if each.alarm]:
        alarms.append(f"the inputs have drifted: {', '.join(names)}")
    return alarms
