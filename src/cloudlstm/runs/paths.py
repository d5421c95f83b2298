"""The name of every object of a run. No other module builds such a name.

<root>/index/<run id>                        marks that the run exists, and says when it was submitted last
<root>/<run id>/
    config.json                              the resolved configuration of the first submit (create-only)
    attempts/0001.json                       one submit's go at the run (create-only), then .heartbeat.json
    attempts/0001.config.json                the configuration of that submit, which its jobs read (create-only)
    attempts/0001.phase.json                 what its launcher waits for before a job reports progress
    attempts/0001.launcher-2.json            a launcher that went on with it where the first one was lost (create-only)
    attempts/0001.complete.json              the job "prepare" found that the later steps are done for the same inputs
    claims/0001-prepare.json                 a job's claim on its work in that attempt (create-only)
    manifests/<step>.json                    what a finished step made; written last
    data/<step>/<fingerprint>/…              the objects that the manifest names
    data/ingest/<fingerprint>/snapshots/…    what a service answered, ticker by ticker; kept when the step fails
    checkpoints/<fingerprint>/…              resumable training state
    progress/<step>/<worker>.json            rewritten every few seconds
    generations/0001.json                    who the workers on a cloud's machines are (create-only), or how it ended
    members/0001/<address>.json              a machine that waits to join that generation
    logs/<job>/<worker>/00001.log            appended as numbered parts
    failures/<job>.json                      the error with which a job ended
    report/report.json, report.html, forecasts.csv, forecasts.parquet
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudlstm.errors import UsageError

RUN_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
_INDEX = "index"

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
    | report/(report|forecasts|predictions)\.(json|html|csv|parquet)""",
    re.VERBOSE | re.DOTALL,
)
"""What the names below can be. Only such objects are removed with a run; others in its folder are somebody's own."""


def join(base: str, *parts: str) -> str:
    """URI parts joined by single slashes; no slash at the end."""
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


def is_run_id(name: str) -> bool:
    """Whether a run may have this id."""
    return RUN_ID.fullmatch(name) is not None and name != _INDEX


def _launched(attempt: int, launcher: int) -> str:
    return f"{attempt:04d}" if launcher == 1 else f"{attempt:04d}.launcher-{launcher}"


def index(root: str, run_id: str = "") -> str:
    """The marker by which `runs` finds a run below `root` without listing every object of every run."""
    return f"{root.rstrip('/')}/{_INDEX}/{run_id}"


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Names the objects of the run folder at `uri` (no trailing slash)."""

    uri: str

    @classmethod
    def of(cls, root: str, run_id: str) -> RunPaths:
        """The paths of run `run_id` below the storage URI `root`."""
        if run_id == _INDEX:
            raise UsageError("no run can be called index, because the list of runs lies there", hint="another --run")
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
        """The storage URI below which the run lies."""
        return self.uri.rsplit("/", 1)[0]

    def attempt_of(self, uri: str) -> int:
        """The attempt to which an object in `attempts` belongs; 0 if it is none of ours."""
        found = _ATTEMPT.fullmatch(uri.removeprefix(f"{self.uri}/"))
        return int(found["number"]) if found else 0

    def is_attempt(self, uri: str) -> bool:
        """Whether the object at `uri` is the one by which an attempt was opened."""
        found = _ATTEMPT.fullmatch(uri.removeprefix(f"{self.uri}/"))
        return found is not None and not found["kind"]

    def is_ours(self, uri: str) -> bool:
        """Whether the object at `uri` has a name by which this class knows objects of a run."""
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

    def claim(self, attempt: int, job: str) -> str:
        return join(self.uri, f"claims/{attempt:04d}-{job}.json")

    def manifest(self, step: str) -> str:
        return join(self.uri, f"manifests/{step}.json")

    @property
    def manifests(self) -> str:
        return self.uri + "/manifests/"

    def data(self, step: str, fingerprint: str, name: str) -> str:
        """An object made by `step`; the fingerprint keeps the objects of different inputs apart."""
        return join(self.uri, f"data/{step}/{fingerprint}/{name}")

    def snapshots(self, step: str, fingerprint: str) -> str:
        """Where a step that fetches keeps what it was answered, for when it is done again for the same inputs."""
        return self.uri + f"/data/{step}/{fingerprint}/snapshots/"

    def step_data(self, step: str) -> str:
        """Where all objects of a step lie, whatever their fingerprint."""
        return self.uri + f"/data/{step}/"

    def checkpoints(self, fingerprint: str) -> str:
        return self.uri + f"/checkpoints/{fingerprint}/"

    @property
    def all_checkpoints(self) -> str:
        """Where every checkpoint lies, whatever its fingerprint."""
        return self.uri + "/checkpoints/"

    def checkpoint(self, fingerprint: str, step: int, sha256: str) -> str:
        """A checkpoint's name carries the hash of its bytes, so that a damaged one is told from a sound one."""
        return f"{self.checkpoints_of_step(fingerprint, step)}{sha256[:16]}.npz"

    def checkpoints_of_step(self, fingerprint: str, step: int) -> str:
        """How the names of all checkpoints of a step begin."""
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
