"""A simulated cloud in a folder: its steps and machines write the same objects as real ones.

The launcher uses ScriptedSpark and ScriptedGroup, and may be killed; the test advances the cloud (Engine). Both use the
same files. It rejects what a cloud rejects (a group above its maximum, an unknown step) and what a launcher must never
do (scale out without a deadline).
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import ObjectNotFoundError, RunBusyError, TargetError, TargetUnavailableError
from cloudlstm.runs import attempts
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import STEPS
from cloudlstm.targets.base import JobState, Request
from cloudlstm.targets.services import Application, ClusterStage, ClusterStatus, GroupStatus, Machine, SparkWork
from cloudlstm.targets.spark_job import OPENED
from cloudlstm.workers import rendezvous
from cloudlstm.workers.rendezvous import Generation
from targets.kill_point import KillPoint

MOST = 3
HOURS = 1
"""Longest life of a machine in hours."""


@dataclass(frozen=True)
class CloudKind:
    """Differences between clouds.

    Attributes:
        own_ids: Whether steps have ids of the launcher's choice, which nothing else may have, as on Google Cloud.
        scheduled: Whether the group has a deadline, as on AWS; elsewhere its machines have theirs.
    """

    own_ids: bool
    scheduled: bool


AWS, GCP = CloudKind(own_ids=False, scheduled=True), CloudKind(own_ids=True, scheduled=False)

_STATES = {"PENDING": JobState.RUNNING, "RUNNING": JobState.RUNNING, "COMPLETED": JobState.DONE,
           "FAILED": JobState.FAILED, "CANCELLED": JobState.CANCELLED}  # fmt: skip


def _assignment(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = storage.read_json(f"file://{folder}/bucket/trainers/group/assignment.json")
    return found


def _write(path: Path, document: Any) -> None:
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    fresh.write_text(json.dumps(document))
    fresh.replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the lock of the group."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


class ScriptedSpark:
    """The launcher's client of the steps; a submission's answer is lost with probability `odds`."""

    def __init__(self, folder: Path, kill_point: KillPoint, kind: CloudKind, odds: float = 0.0, seed: int = 0) -> None:
        self._folder, self._kill_point, self._odds = folder / "steps", kill_point, odds
        self._kind = kind
        self._random = random.Random(seed)
        self._folder.mkdir(parents=True, exist_ok=True)

    def cluster(self) -> ClusterStatus:
        return ClusterStatus("c", "WAITING", "", "1", ClusterStage.READY, remedy="")

    def start(self) -> None:
        raise AssertionError("the cluster never ends")

    def request(self, work: SparkWork) -> Request:
        job, paths = work.job, work.paths
        return {"name": f"{paths.run_id} {job} ${{attempt}}", "arguments": [OPENED, "${package.uri}", paths.uri]} | (
            {"id": f"s-{paths.run_id}-${{attempt}}-{OPENED}"} if self._kind.own_ids else {}
        )

    def name_and_arguments(self, request: Request) -> tuple[str, tuple[str, ...]]:
        return request["name"], tuple(request["arguments"])

    def submit(self, request: Request) -> str:
        with self._kill_point.operation():
            number = f"s-{len(list(self._folder.glob('s-*.json'))):04d}-{random.randrange(10**6):06d}"
            step = {"id": number, **request, "state": "PENDING"}
            number, path = step["id"], self._folder / f"{step['id']}.json"
            if not path.exists():
                _write(path, step)
            elif _read(path) | {"state": ""} != step | {"state": ""}:
                raise TargetError(f"Already exists: {number}")
        if self._random.random() < self._odds:
            raise TargetUnavailableError("the answer was lost")
        return number

    def find(self, run: str | None) -> list[Application]:
        with self._kill_point.operation():
            found = [_application(_read(path)) for path in sorted(self._folder.glob("s-*.json"), reverse=True)]
        return [each for each in found if run in (None, each.arguments[-1])]

    def look(self, application: str) -> Application:
        with self._kill_point.operation():
            path = self._folder / f"{application}.json"
            if not path.exists():
                raise TargetError(f"Step id '{application}' is not valid")
            return _application(_read(path))

    def cancel(self, application: str) -> None:
        with self._kill_point.operation():
            (self._folder / f"{application}.cancel").touch()

    def log_tail(self, application: str) -> list[str]:
        return ["no output"]


def _application(record: dict[str, Any]) -> Application:
    arguments = tuple(record["arguments"])
    return Application(record["id"], record["name"], arguments, _STATES[record["state"]], record["state"])


class ScriptedGroup:
    """The launcher's client of the group."""

    def __init__(self, folder: Path, kill_point: KillPoint, kind: CloudKind) -> None:
        self._path, self._kill_point, self._kind = folder / "group.json", kill_point, kind

    def size_request(self, size: int) -> Request:
        return {"size": size}

    def deadline_request(self, when: str) -> Request | None:
        return {"deadline": when} if self._kind.scheduled else None

    def send(self, request: Request) -> None:
        with self._kill_point.operation(), _locked(self._path.parent):
            state = _read(self._path)
            if request.get("size", 0) > MOST:
                raise TargetError("above max value")
            if request.get("size") and not state.get("deadline") and self._kind.scheduled:
                raise AssertionError("the group grows without a deadline")
            if request.get("size") and _assignment(self._path.parent)["deadline"] < time.time():
                raise AssertionError("the group grows, and nothing tells its machines when to end")
            _write(self._path, state | dict(request))

    def forget_deadline(self) -> None:
        if not self._kind.scheduled:
            return
        with self._kill_point.operation(), _locked(self._path.parent):
            state = _read(self._path)
            assert state["size"] == 0, "machines without a deadline"
            state.pop("deadline", None)
            _write(self._path, state)

    def look(self) -> GroupStatus:
        with self._kill_point.operation():
            state = _read(self._path)
        machines = tuple(Machine(each, "zone", "kind", ready=True) for each in state["machines"])
        return GroupStatus(state["size"], MOST, machines)

    def launch_error(self, since: float) -> str:
        return "no capacity"


@dataclass
class Engine:
    """The cloud itself; the test advances it with `tick`.

    Attributes:
        folder: Folder of its files.
        kind: Which cloud it simulates.
        late_s: Seconds by which its clock is ahead.
        working: Run -> running step; two at a time would be a duplicate.
        prepared: Run -> number of completed prepare steps.
        trained: Run -> number of completed trainings.
    """

    folder: Path
    kind: CloudKind = AWS
    late_s: float = 0.0
    working: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, int] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    _ages: dict[str, int] = field(default_factory=dict)
    _laid_out: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ends: dict[str, float] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        (self.folder / "steps").mkdir(parents=True, exist_ok=True)
        _write(self.folder / "group.json", {"size": 0, "machines": []})

    def tick(self) -> None:
        """Advances the cloud by one tick."""
        for path in sorted((self.folder / "steps").glob("s-*.json")):
            self._step(path)
        self._group()

    @property
    def _now(self) -> float:
        return time.time() + self.late_s

    @property
    def group(self) -> dict[str, Any]:
        state: dict[str, Any] = _read(self.folder / "group.json")
        return state

    def steps(self, run: str) -> list[dict[str, Any]]:
        found = [_read(path) for path in sorted((self.folder / "steps").glob("s-*.json"))]
        return [each for each in found if each["arguments"][-1] == run]

    def _step(self, path: Path) -> None:
        record = _read(path)
        run, name = record["arguments"][-1], record["id"]
        if record["state"] not in ("PENDING", "RUNNING"):
            return
        age = self._ages[name] = self._ages.get(name, 0) + 1
        if path.with_suffix(".cancel").exists():
            self.working.pop(run, None) if self.working.get(run) == name else None
            _write(path, record | {"state": "CANCELLED"})
        elif age == 2:
            _write(path, record | {"state": "RUNNING"})
            try:
                if not attempts.claim(RunPaths(run), int(record["name"].rsplit(" ", 1)[1]), "prepare-driver-0"):
                    _write(path, record | {"state": "COMPLETED"})
                    return
            except RunBusyError:
                _write(path, record | {"state": "FAILED"})
                return
            assert run not in self.working, f"{name} works beside {self.working[run]}"
            self.working[run] = name
        elif age == 5:
            self.working.pop(run, None)
            try:
                attempts.ensure_not_superseded(RunPaths(run), int(record["name"].rsplit(" ", 1)[1]))
                self.prepared[run] = self.prepared.get(run, 0) + 1
                _finish(RunPaths(run), "prepare")
            except RunBusyError:
                _write(path, record | {"state": "FAILED"})
                return
            _write(path, record | {"state": "COMPLETED"})

    def _group(self) -> None:
        with _locked(self.folder):
            machines = self._machines()
        for gone in self._laid_out.keys() - set(machines):
            del self._laid_out[gone]
        with suppress(ObjectNotFoundError):
            assignment = _assignment(self.folder)
            if float(assignment["deadline"]) > self._now:
                for each in machines:
                    self._laid_out.setdefault(each, assignment)
                    self._ends[each] = min(self._ends[each], float(assignment["deadline"]))
        self._train(machines)

    def _machines(self) -> list[str]:
        """Brings the group to its size; returns its machines."""
        state = self.group
        deadline = state.get("deadline")
        if deadline and time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._now)) >= deadline:
            state |= {"size": 0}
            state.pop("deadline")
        there = [each for each in state["machines"] if self._ends[each] > self._now]
        left = len(state["machines"]) - len(there)  # each by its own timer, and the group gets smaller by it
        state |= {"size": max(state["size"] - left, 0)}
        machines = there[: state["size"]]
        machines += [f"m-{next(self._ids)}" for _ in range(state["size"] - len(machines))]
        for each in machines:
            self._ends.setdefault(each, self._now + HOURS * 3600)
        if state != self.group or machines != state["machines"]:
            _write(self.folder / "group.json", state | {"machines": machines})
        return machines

    def _train(self, machines: list[str]) -> None:
        """All machines of an assignment form a generation; some ticks later training is done."""
        assigned = [self._laid_out[each] for each in machines if each in self._laid_out]
        if not assigned or len(assigned) < int(assigned[0]["workers"]):
            return
        assert all(each["lease"] == assigned[0]["lease"] for each in assigned), (
            "machines of two assignments at work together"
        )
        paths, attempt = RunPaths(assigned[0]["run"]), int(assigned[0]["attempt"])
        newest = rendezvous.newest(paths)
        last = rendezvous.read(paths, newest) if newest else None
        try:
            attempts.ensure_not_superseded(paths, attempt)
        except RunBusyError:
            return
        if last is None or last.attempt != attempt:
            rendezvous.write(paths, Generation(newest + 1, attempt, tuple(f"{each}:8470" for each in machines)))
            self._ages[paths.uri] = 0
        elif not last.outcome:
            self._ages[paths.uri] += 1
            if self._ages[paths.uri] == 4:
                self.trained[paths.uri] = self.trained.get(paths.uri, 0) + 1
                _finish(paths, "train")
                storage.write_json(paths.report("report.json"), {})
                rendezvous.write(paths, Generation(newest + 1, attempt, outcome=rendezvous.DONE))


def _finish(paths: RunPaths, job: str) -> None:
    for step in STEPS:
        if step.job == job:
            Manifest(step.name, "print", (), 0.0, {}, began=0.0).save(paths)
