"""The steps after ingest: their settings, the places of their objects, and which of them one round makes.

A round writes the objects of a step before its fingerprint is known, which is a hash of what the step before it has
written. So the place, the folder of a step's objects, is named by a hash of the fingerprint of ingest and of the
settings of the steps since. These decide the same bytes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.errors import CorruptObjectError
from cloudlstm.exogenous.columns import columns_of
from cloudlstm.features import features_of_run
from cloudlstm.market.calendar import sessions, to_date
from cloudlstm.market.grid import Grid
from cloudlstm.market.interval import Interval
from cloudlstm.market.members import Members
from cloudlstm.market.universe import read_universe
from cloudlstm.pipeline.stages import Cleaned, Exogenous, Featured, Sequenced, Stage
from cloudlstm.runs import user_code
from cloudlstm.runs.context import RunContext, StepData
from cloudlstm.runs.manifest import Manifest, fingerprint

STEPS = ("clean", "features", "sequences")


class Plan:
    """The steps after ingest for one data set.

    Args:
        context: The run.
        ingest: The fingerprint of ingest.
        last: The date of the last bar of the data set, of bars within a day as a datetime; None without bars. Sessions
            and bars after it are not missing: they may not have happened yet.
        exogenous: The manifest of the step "exogenous"; None if the run does not have it.

    Attributes:
        features: The features of the run.
        settings: Of each step, JSON-ready: with its input, all that its result depends on.
        stages: Of each step, in their order.
        grid: The trading hours, for bars within a day; None for daily bars.
        members: The members of the universe by the table of `universe.path`; None without such a table.
    """

    def __init__(
        self, context: RunContext, ingest: str, last: dt.date | None, exogenous: Manifest | None = None
    ) -> None:
        config, market = context.config, context.config.market
        interval, grid = Interval(market.interval), None
        if interval.daily:
            end = min(market.end, last) if last else market.end
            days = sessions(market.calendar, market.start, end)
            dates: list[Any] = days.tolist()
        else:
            grid = Grid.of(market, last=interval.number_of(last) if last else None)
            days = grid.starts
            end = to_date(int(grid.days[-1])) if len(days) else market.end
            dates = grid.identity()
        self._context, self.grid = context, grid
        self.members = Members.of(read_universe(config.universe, market), end)
        self.features = features_of_run(config)
        self.settings = _settings(config, dates, self.members)
        self.settings["features"] = [self.features.described(), *_own(config), *_joined(config, exogenous)]
        self.settings["sequences"].append(self.features.described())  # readers learn the kinds from their manifest
        data, place = {}, ingest
        for step in STEPS:
            place = fingerprint([__version__, step, place, self.settings[step]])
            data[step] = StepData(context.paths, step, place)
        self.stages: dict[str, Stage] = {
            "clean": Cleaned(data["clean"], config.clean, days, grid),
            "features": Featured(data["features"], self.features, _exogenous(config, exogenous)),
            "sequences": Sequenced(data["sequences"], config.dataset, self.features, self.members, grid),
        }

    def dates_between(self, found: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The session of every bar that a ticker can have, from the first to the last date, and all these sessions.

        Args:
            found: First and last dates of shards, in ISO 8601.

        Returns:
            Days since 1970-01-01, sorted; the first with one entry for each bar of a session.
        """
        if not found:
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        if self.grid is None:
            ends = [dt.date.fromisoformat(date) for date in found]
            days = sessions(self._context.config.market.calendar, min(ends), max(ends))
            return days, days
        numbers = [self.grid.interval.number(date) for date in found]
        starts = self.grid.starts
        of_bars = self.grid.days[(starts >= min(numbers)) & (starts <= max(numbers))]
        return of_bars, np.unique(of_bars)

    def after(self, step: str) -> list[Stage]:
        """The stages that a round makes together with `step`: the later steps, up to one that is or may be finished."""
        found = []
        for later in STEPS[STEPS.index(step) + 1 if step in STEPS else 0 :]:
            if self._may_be_finished(later):
                break
            found.append(self.stages[later])
        return found

    def _may_be_finished(self, step: str) -> bool:
        """True if the step has a manifest for the same ingest and settings."""
        with suppress(CorruptObjectError):
            known = self._context.load_manifest(step)
            return known is not None and self.stages[step].data.place in known.places()
        return False


def _settings(config: RunConfig, dates: list[Any], members: Members | None) -> dict[str, list[Any]]:
    by_membership = [fingerprint(members.identity())] if members else []
    return {
        "clean": [config.clean.model_dump(mode="json"), fingerprint(dates)],
        "sequences": [config.dataset.model_dump(mode="json"), *by_membership],
    }


def _own(config: RunConfig) -> list[Any]:
    """The code of the user's features."""
    return [user_code.identity(config.features.extra)] if config.features.extra else []


def _joined(config: RunConfig, exogenous: Manifest | None) -> list[Any]:
    """What the exogenous columns of the feature table depend on."""
    if exogenous is None:
        return []
    within_a_day = [config.market.interval] if config.market.interval != "1d" else []
    return [exogenous.digest(), config.exogenous.embargo_minutes, config.market.calendar, *within_a_day,
            [asdict(column) for column in columns_of(config.exogenous)]]  # fmt: skip


def _exogenous(config: RunConfig, manifest: Manifest | None) -> Exogenous | None:
    if manifest is None:
        return None
    rows, columns = tuple(manifest.of_kind("exogenous")), columns_of(config.exogenous)
    interval = Interval(config.market.interval)
    return Exogenous(rows, columns, config.market.calendar, config.exogenous.embargo_minutes, interval)
