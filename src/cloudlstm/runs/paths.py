"""The names of all objects of a run. Only this module builds them.

<root>/index/<run id>                        marks that the run exists, with the time of its last submit
<root>/bars/                                 see `market/store`
<root>/benchmarks/                           see `benchmark/paths.py`
<root>/models/                               see `models/paths.py`
<root>/scores/                               see `exogenous/scoring/cache.py`
<root>/streams/                              see `stream/paths.py`
<root>/<run id>/
    config.json                              the resolved configuration of the first submit (create-only)
    attempts/0001.json                       one submit of the run (create-only), then .heartbeat.json
    attempts/0001.config.json                the configuration of that submit, read by its jobs (create-only)
    attempts/0001.phase.json                 the state of a job before it reports progress
    attempts/0001.launcher-2.json            the launcher that continued it after the first one was lost (create-only)
    attempts/0001.usage-train.json           time and price of a job's machines on a cloud
    attempts/0001.complete.json              the later steps are finished for the same inputs
    attempts/0001.receipt.json               what the results were made from, when all steps are finished
    claims/0001-prepare.json                 a job's claim on its work in that attempt (create-only)
    manifests/<step>.json                    the list of a finished step's objects; written last
    data/<step>/<fingerprint>/…              the objects of the manifest
    data/ingest/<fingerprint>/snapshots/…    downloaded bars by ticker; kept when the step fails
    checkpoints/<fingerprint>/…              training state, to resume from
    progress/<step>/<worker>.json            rewritten every few seconds
    generations/0001.json                    the workers on a cloud's machines (create-only), or the outcome
    members/0001/<address>.json              a machine that is ready for that generation
    logs/<job>/<worker>/00001.log            log lines, in numbered parts
    failures/<job>.json                      the error of a failed job
    report/report.json, report.html, forecasts.csv, forecasts.parquet, ridge.npz
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudlstm.errors import UsageError

RUN_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
_INDEX = "index"
_BENCHMARKS = "benchmarks"
_MODELS = "models"
_BARS = "bars"
_SCORES = "scores"
_STREAMS = "streams"
_RESERVED = {
    _INDEX: "the list of runs",
    _BENCHMARKS: "the folder of benchmarks",
    _MODELS: "the folder of models",
    _BARS: "the folder of bars",
    _SCORES: "the folder of scores of headlines",
    _STREAMS: "the folder of streams",
}
"""Names in a root that are no runs."""

_ATTEMPT = re.compile(r"attempts/(?P<number>\d{4,})(?P<kind>(\.[\w-]+)*)\.json")
_OURS = re.compile(
    r"""config\.json
    | attempts/\d{4,}(\.[\w-]+)*\.json
    | claims/\d{4,}-[\w-]+\.json
    | manifests/\w+\.json
    | data/\w+/[0-9a-f]{16}/.+
    | checkpoints/[0-9a-f]{1,16}/step-[\w-]+\.npz
    | progress/\w+/[\w.-]+\.json
    | generations/\d{4,}\.json
    | members/\d{4,}/[\w.:-]+\.json
    | logs/\w+/[\w.:-]+/\d{5,}\.log
    | failures/\w+\.json
    | report/(report|forecasts|predictions|ridge)\.(json|html|csv|parquet|npz)""",
    re.VERBOSE | re.DOTALL,
)
"""The names that this module builds. `delete` removes only such objects; other files belong to the user."""


def join(base: str, *parts: str) -> str:
    """Joins URI parts with single slashes, without a slash at the end."""
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


def is_run_id(name: str) -> bool:
    """True if a run may have this id."""
    return RUN_ID.fullmatch(name) is not None and name not in _RESERVED


def _launched(attempt: int, launcher: int) -> str:
    return f"{attempt:04d}" if launcher == 1 else f"{attempt:04d}.launcher-{launcher}"


def benchmarks(root: str) -> str:
    """The folder of all benchmarks below `root`."""
    return join(root, _BENCHMARKS)


def models(root: str) -> str:
    """The folder of all models below `root`."""
    return join(root, _MODELS)


def bars(root: str) -> str:
    """The folder of all stores of bars below `root`."""
    return join(root, _BARS)


def scores(root: str) -> str:
    """The folder of all scores of headlines below `root`."""
    return join(root, _SCORES)


def streams(root: str) -> str:
    """The folder of all streams below `root`."""
    return join(root, _STREAMS)


def index(root: str, run_id: str = "") -> str:
    """The marker of a run below `root`, so that `runs` need not list every object of every run."""
    return f"{root.rstrip('/')}/{_INDEX}/{run_id}"


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Names the objects of the run folder at `uri` (no trailing slash)."""

    uri: str

    @classmethod
    def of(cls, root: str, run_id: str) -> RunPaths:
        """The paths of run `run_id` below the storage URI `root`."""
        if run_id in _RESERVED:
            raise UsageError(
                f"no run can be called {run_id}: {_RESERVED[run_id]} has this name", hint="another --run"
            )  # fmt: skip
        if not is_run_id(run_id):
            raise UsageError(
                f"run id {run_id!r} is not lower-case letters, digits and hyphens beginning with a letter",
                hint="for example core6-seed1",
            )
        return cls(join(root, run_id))

    @property
    def run_id(self) -> str:
        return self.uri.rsplit("/", 1)[1]

    @property
    def root(self) -> str:
        """The storage URI above the run."""
        return self.uri.rsplit("/", 1)[0]

    def attempt_of(self, uri: str) -> int:
        """The attempt of an object in `attempts`; 0 for other files."""
        found = _ATTEMPT.fullmatch(uri.removeprefix(f"{self.uri}/"))
        return int(found["number"]) if found else 0

    def is_attempt(self, uri: str) -> bool:
        """True if the object at `uri` opened an attempt."""
        found = _ATTEMPT.fullmatch(uri.removeprefix(f"{self.uri}/"))
        return found is not None and not found["kind"]

    def is_ours(self, uri: str) -> bool:
        """True if this class builds the name of the object at `uri`."""
        return _OURS.fullmatch(uri.removeprefix(f"{self.uri}/")) is not None

    @property
    def config(self) -> str:
        return join(self.uri, "config.json")

    @property
    def attempts(self) -> str:
        return self.uri + "/attempts/"

    def attempt(self, number: int, launcher: int = 1) -> str:
        return join(self.uri, f"attempts/{_launched(number, launcher)}.json")

    def heartbeat(self, attempt: int, launcher: int = 1) -> str:
        return join(self.uri, f"attempts/{_launched(attempt, launcher)}.heartbeat.json")

    def settings(self, attempt: int) -> str:
        return join(self.uri, f"attempts/{attempt:04d}.config.json")

    def phase(self, attempt: int) -> str:
        return join(self.uri, f"attempts/{attempt:04d}.phase.json")

    def cancelled(self, attempt: int) -> str:
        return join(self.uri, f"attempts/{attempt:04d}.cancelled.json")

    def complete(self, attempt: int) -> str:
        return join(self.uri, f"attempts/{attempt:04d}.complete.json")

    def receipt(self, attempt: int) -> str:
        return join(self.uri, f"attempts/{attempt:04d}.receipt.json")

    def usage(self, attempt: int, job: str) -> str:
        return join(self.uri, f"attempts/{attempt:04d}.usage-{job}.json")

    def claim(self, attempt: int, job: str) -> str:
        return join(self.uri, f"claims/{attempt:04d}-{job}.json")

    def manifest(self, step: str) -> str:
        return join(self.uri, f"manifests/{step}.json")

    @property
    def manifests(self) -> str:
        return self.uri + "/manifests/"

    def data(self, step: str, place: str, name: str) -> str:
        """An object of `step`; the place, a hash, separates the objects of different inputs."""
        return join(self.uri, f"data/{step}/{place}/{name}")

    def snapshots(self, step: str, fingerprint: str) -> str:
        """Where ingest keeps downloaded bars for a repeated step with the same inputs."""
        return self.uri + f"/data/{step}/{fingerprint}/snapshots/"

    def step_data(self, step: str) -> str:
        """The folder of all objects of a step, for every fingerprint."""
        return self.uri + f"/data/{step}/"

    def checkpoints(self, fingerprint: str) -> str:
        return self.uri + f"/checkpoints/{fingerprint}/"

    @property
    def all_checkpoints(self) -> str:
        """The folder of all checkpoints, for every fingerprint."""
        return self.uri + "/checkpoints/"

    def checkpoint(self, fingerprint: str, step: int, sha256: str) -> str:
        """A checkpoint; its name contains the hash of its bytes, so that a corrupt one is recognised."""
        return f"{self.checkpoints_of_step(fingerprint, step)}{sha256[:16]}.npz"

    def checkpoints_of_step(self, fingerprint: str, step: int) -> str:
        """The prefix of all checkpoints of a training step."""
        return join(self.uri, f"checkpoints/{fingerprint}/step-{step:09d}-")

    def progress(self, step: str, worker: str) -> str:
        return join(self.uri, f"progress/{step}/{worker}.json")

    @property
    def progresses(self) -> str:
        return self.uri + "/progress/"

    @property
    def generations(self) -> str:
        return self.uri + "/generations/"

    def generation(self, number: int) -> str:
        return join(self.uri, f"generations/{number:04d}.json")

    def members(self, generation: int) -> str:
        return self.uri + f"/members/{generation:04d}/"

    def member(self, generation: int, address: str) -> str:
        return join(self.uri, f"members/{generation:04d}/{address}.json")

    def log(self, job: str, worker: str, part: int) -> str:
        return join(self.uri, f"logs/{job}/{worker}/{part:05d}.log")

    @property
    def logs(self) -> str:
        return self.uri + "/logs/"

    def failure(self, job: str) -> str:
        return join(self.uri, f"failures/{job}.json")

    def report(self, name: str) -> str:
        return join(self.uri, f"report/{name}")
