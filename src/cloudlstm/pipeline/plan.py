"""The steps after ingest: their settings, the places of their objects, and which of them one round makes.

A round writes the objects of a step before its fingerprint is known, which is a hash of what the step before it has
written. So the place, the folder of a step's objects, is named by a hash of the fingerprint of ingest and of the
settings of the steps since. These decide the same bytes.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.errors import CorruptObjectError
from cloudlstm.exogenous.columns import columns_of
from cloudlstm.features import features_of_run
from cloudlstm.market.calendar import sessions
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
        last: The date of the last bar of the data set; None without bars. Sessions after it are not missing: they may
            not have happened yet.
        exogenous: The manifest of the step "exogenous"; None if the run does not have it.

    Attributes:
        features: The features of the run.
        settings: Of each step, JSON-ready: with its input, all that its result depends on.
        stages: Of each step, in their order.
        members: The members of the universe by the table of `universe.path`; None without such a table.
    """

    def __init__(
        self, context: RunContext, ingest: str, last: dt.date | None, exogenous: Manifest | None = None
    ) -> None:
        config, market = context.config, context.config.market
        end = min(market.end, last) if last else market.end
        days = sessions(market.calendar, market.start, end)
        self._context = context
        self.members = Members.of(read_universe(config.universe, market), end)
        self.features = features_of_run(config)
        self.settings = _settings(config, days.tolist(), self.members)
        self.settings["features"] = [self.features.described(), *_own(config), *_joined(config, exogenous)]
        self.settings["sequences"].append(self.features.described())  # readers learn the kinds from their manifest
        data, place = {}, ingest
        for step in STEPS:
            place = fingerprint([__version__, step, place, self.settings[step]])
            data[step] = StepData(context.paths, step, place)
        self.stages: dict[str, Stage] = {
            "clean": Cleaned(data["clean"], config.clean, days),
            "features": Featured(data["features"], self.features, _exogenous(config, exogenous)),
            "sequences": Sequenced(data["sequences"], config.dataset, self.features, self.members),
        }

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


def _settings(config: RunConfig, days: list[int], members: Members | None) -> dict[str, list[Any]]:
    by_membership = [fingerprint(members.identity())] if members else []
    return {
        "clean": [config.clean.model_dump(mode="json"), fingerprint(days)],
        "sequences": [config.dataset.model_dump(mode="json"), *by_membership],
    }


def _own(config: RunConfig) -> list[Any]:
    """The code of the user's features."""
    return [user_code.identity(config.features.extra)] if config.features.extra else []


def _joined(config: RunConfig, exogenous: Manifest | None) -> list[Any]:
    """What the exogenous columns of the feature table depend on."""
    if exogenous is None:
        return []
    return [exogenous.digest(), config.exogenous.embargo_minutes, config.market.calendar,
            [asdict(column) for column in columns_of(config.exogenous)]]  # fmt: skip


def _exogenous(config: RunConfig, manifest: Manifest | None) -> Exogenous | None:
    if manifest is None:
        return None
    rows, columns = tuple(manifest.of_kind("exogenous")), columns_of(config.exogenous)
    return Exogenous(rows, columns, config.market.calendar, config.exogenous.embargo_minutes)
