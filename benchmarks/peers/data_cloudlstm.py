"""cloudlstm: the job "prepare" with all that it does for a run: checksums, manifests, quarantine, gate, progress.

    begin=files     from the user's files: ingest, clean, features
    begin=shards    from shards that an earlier run of the step ingest wrote: clean, features
    engine=...      what runs the steps: local or spark

The job also writes sequences, which the other contenders do not. Their share of the seconds, as the job books them, is
taken off the job's time and CPU time; `facts` has all.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from contender import Clock, Done, Task, main

from cloudlstm.config import RunConfig, parse
from cloudlstm.pipeline.engine import Engine, open_engine
from cloudlstm.pipeline.prepare import run_on
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.local.java import find_java

STEPS = ("ingest", "clean", "features", "sequences")
_OPEN = ExitStack()


def config(task: Task) -> RunConfig:
    """The configuration of a run over the files."""
    return parse({"name": "bench", "market": {"source": "files", "path": str(task.input)}})


@cache
def opened(name: str, threads: int) -> Engine:
    """The engine; the warm-up starts it, so its start is not part of the time."""
    if name == "spark":
        os.environ.setdefault("JAVA_HOME", str(find_java().home))
    settings = {"prepare": {"engine": name, "processes": threads}, "spark": {"master": f"local[{threads}]"}}
    return _OPEN.enter_context(open_engine(parse({"name": "bench", **settings}), app_name="bench"))


def prepare(task: Task) -> dict[str, Manifest]:
    """Runs the job in the task's output folder; returns its manifests."""
    paths, engine = RunPaths(task.output.as_uri()), opened(task.settings.get("engine", "local"), task.threads)
    with Journal(paths, "prepare", "driver") as journal:
        run_on(engine, RunContext(paths, config(task), 0, journal))
    return {step: manifest for step in STEPS if (manifest := Manifest.load(paths, step))}


def work(task: Task) -> Done:
    """Runs the job; for begin=shards it runs before, and then all steps but ingest once more."""
    if task.settings.get("begin") == "shards":
        prepare(task)
        for step in STEPS[1:]:
            Path(RunPaths(str(task.output)).manifest(step)).unlink()
    with Clock() as clock:
        manifests = prepare(task)
    booked = {step: manifest.seconds for step, manifest in manifests.items()}
    share = 1 - booked["sequences"] / clock.seconds
    facts = {"job_s": round(clock.seconds, 3), "steps_s": {step: round(seconds, 3) for step, seconds in booked.items()}}
    return Done(clock.seconds * share, clock.cpu_s and clock.cpu_s * share, facts)


if __name__ == "__main__":
    with _OPEN:
        main(work, "cloudlstm")
