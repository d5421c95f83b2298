"""The run that a process works on, passed to the steps as one value, and one step of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudlstm import storage
from cloudlstm.config import RunConfig
from cloudlstm.runs import attempts, manifest, reuse
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest, ManifestRow
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import ALL_STEPS

_PREPARED = tuple(step.name for step in ALL_STEPS if step.job == "prepare")


@dataclass(frozen=True, slots=True)
class StepData:
    """Names the objects that one step writes for one set of inputs. Workers receive a copy.

    Attributes:
        paths: The run.
        step: The step's name.
        place: Names the folder of the objects; a hash.
    """

    paths: RunPaths
    step: str
    place: str

    def uri(self, name: str) -> str:
        """The URI of the step's object `name`."""
        return self.paths.data(self.step, self.place, name)


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run and the attempt that this process works for.

    Attributes:
        paths: The names of the run's objects.
        config: The settings of the attempt.
        attempt: The number of the attempt; 0 in a process that no launcher started.
        journal: Receives progress.
    """

    paths: RunPaths
    config: RunConfig
    attempt: int
    journal: Journal

    def ensure_not_superseded(self) -> None:
        """Raises RunBusyError if a later attempt has taken over the run."""
        attempts.ensure_not_superseded(self.paths, self.attempt)

    def load_manifest(self, step: str) -> Manifest | None:
        """The manifest of a step; None if the step has not finished."""
        return Manifest.load(self.paths, step)

    def save_manifest(self, finished: Manifest) -> None:
        """Writes the manifest of a step; RunBusyError if a later attempt has taken over the run."""
        self.ensure_not_superseded()
        finished.save(self.paths)

    def step(self, name: str, fingerprint: str, place: str | None = None) -> StepRun:
        """The step `name` of this run for the inputs with this fingerprint.

        Args:
            name: Of the step.
            fingerprint: Hash of its inputs.
            place: Names the folder of its objects; by default the fingerprint.
        """
        return StepRun(self, name, fingerprint, StepData(self.paths, name, place or fingerprint))


@dataclass(frozen=True, slots=True)
class StepRun:
    """One step of a run for one set of inputs.

    Attributes:
        context: The run.
        name: The step's name.
        fingerprint: Hash of the step's inputs.
        data: Where the step writes its objects.
    """

    context: RunContext
    name: str
    fingerprint: str
    data: StepData

    def finished(self) -> Manifest | None:
        """The step's manifest if the step is finished for these inputs and all its objects exist.

        A manifest that says that it is incomplete, because a service did not answer, counts as none.
        A step of the job "prepare" may also be finished in the run that `prepare.reuse` names; then it is copied.
        """
        known = manifest.finished(self.context.paths, self.name, self.fingerprint) or self._reused()
        return None if known is None or known.facts.get("incomplete") else known

    def _reused(self) -> Manifest | None:
        other = self.context.config.prepare.reuse
        if other is None or self.name not in _PREPARED:
            return None
        source = RunPaths(storage.absolute(other).rstrip("/"))
        taken = reuse.take(source, self.context.paths, self.name, self.fingerprint)
        if taken:
            self.context.save_manifest(taken)
        return taken

    def finish(
        self, objects: Sequence[ManifestRow], facts: Mapping[str, Any], *, seconds: float, began: float
    ) -> Manifest:
        """Writes the step's manifest and returns it; from now on the step counts as finished.

        Args:
            objects: What the step wrote.
            facts: What the report shows about the step, JSON-ready.
            seconds: Wall-clock seconds that the step took.
            began: When it began, seconds since the epoch.

        Raises:
            RunBusyError: a later attempt has taken over the run.
        """
        made = Manifest(self.name, self.fingerprint, tuple(objects), seconds, facts, began=began)
        self.context.save_manifest(made)
        return made

    def prune(self, known: Manifest | None = None) -> None:
        """Removes the objects that the step wrote for other inputs.

        Args:
            known: The manifest of the step if an earlier job has written it, perhaps to another place.
        """
        earlier = known.places() if known else set()
        manifest.prune(self.context.paths, self.name, self.data.place, *earlier)

    def report(
        self, done: int, total: int, unit: str, *, finished: bool = False, seconds: float | None = None, **facts: Any
    ) -> None:
        """Reports progress.

        Args:
            done: Units finished.
            total: Units in all; 0 while unknown.
            unit: What is counted, such as "rows".
            finished: True if this worker has finished the step.
            seconds: How long the finished step took, if this worker has written its manifest.
            facts: Further values to show.
        """
        self.context.journal.report(self.name, done, total, unit, finished=finished, seconds=seconds, **facts)
