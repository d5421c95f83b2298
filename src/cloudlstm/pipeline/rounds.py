"""Rounds over shards: one round makes the results of several steps.

A step whose input is made in the same round finds it in memory: nothing is read back, and no worker waits for the end
of a step. Each step still writes its own objects, and its manifest when the steps before it have theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from cloudlstm.pipeline.engine import Engine, ReportUnits
from cloudlstm.pipeline.shard_io import TaskResult
from cloudlstm.pipeline.stages import Chain, Stage, rows_of_first
from cloudlstm.runs.context import RunContext, StepData
from cloudlstm.runs.folder import remove


class Rounds:
    """Runs rounds, and keeps the results of the steps that they have made ahead.

    Args:
        engine: What runs the tasks.
        context: The run.

    Attributes:
        engine: What runs the tasks.
    """

    def __init__(self, engine: Engine, context: RunContext) -> None:
        self.engine, self._context = engine, context
        self._ahead: dict[StepData, list[TaskResult]] = {}
        self._booked: dict[str, float] = {}

    def run(
        self, stages: Sequence[Stage], read: Callable[[Any], pa.Table], items: Sequence[Any], report: ReportUnits
    ) -> list[TaskResult]:
        """Carries each item through the stages; returns the results of the first, and keeps those of the others.

        Args:
            stages: The steps, in their order.
            read: Returns the rows of an item.
            items: One item a shard.
            report: Receives the rows of the finished shards.
        """
        self._ahead.clear()
        self.engine.start(len(items))
        began = time.monotonic()
        done = self.engine.map(Chain(read, stages), list(enumerate(items)), units=rows_of_first, report=report)
        seconds = time.monotonic() - began
        by_stage = [[results[place] for results in done] for place in range(len(stages))]
        of_tasks = [sum(result.seconds for result in results) for results in by_stage]
        for stage, results, share in zip(stages, by_stage, of_tasks, strict=True):
            self._ahead[stage.data] = results
            self._booked[stage.data.step] = seconds * share / max(sum(of_tasks), 1e-9)
        first = stages[0].data
        self._booked[first.step] -= seconds
        return self._ahead.pop(first)

    def take(self, data: StepData) -> list[TaskResult] | None:
        """The results of a step if an earlier round has made them."""
        return self._ahead.pop(data, None)

    def is_made(self, data: StepData) -> bool:
        """True if `take` would return results."""
        return data in self._ahead

    def booked_s(self, step: str) -> float:
        """Seconds to add to the time of a step: its share of a round that ran in the time of an earlier step.

        The share is that of its tasks' time. For the step in whose time the round ran, the shares of the others are
        subtracted.
        """
        return self._booked.pop(step, 0.0)

    def discard(self) -> None:
        """Removes what was made ahead, because an earlier step has failed."""
        self._context.ensure_not_superseded()
        for data in self._ahead:
            remove(self._context.paths, data.uri("") + "/")
        self._ahead.clear()
        self._booked.clear()
