"""Trainings as `cloudlstm submit` runs them on this machine, with faults in their workers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cloudlstm import storage
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress
from cloudlstm.targets import Plan, launcher
from cloudlstm.targets.local.target import LocalTarget
from training.runs import config_of

Fault = tuple[str, str, str, int]
"""generation/worker, signal, moment, number: see faulty_worker.py."""


def carried_out(paths: RunPaths, faults: Sequence[Fault] = ()) -> list[list[Progress]]:
    """Runs the job "train" of a run; returns the progress that was shown."""
    target = LocalTarget()
    request = json.loads(json.dumps(target.request("train", config_of(paths), paths)))
    for process in request["processes"]:
        process["argv"][1] = str(Path(__file__).with_name("faulty_worker.py"))
        process["env"] |= {"FAULTS": json.dumps(faults), "STRUCK": str(folder_of(paths))}
    shown: list[list[Progress]] = []
    launcher.carry_out(Plan("submit", paths.uri, ({"action": "job", **request},)), target, shown.append)
    return shown


def folder_of(paths: RunPaths) -> Path:
    return Path(paths.uri.removeprefix("file://"))


def fault_time(paths: RunPaths, generation: int) -> float:
    """When the fault of a generation struck, seconds since the epoch."""
    return float((folder_of(paths) / str(generation)).read_text())


def log_of(paths: RunPaths, source: str = "") -> list[str]:
    """The lines that `cloudlstm logs` shows, optionally of one source."""
    return [
        line
        for item in storage.list_objects(paths.logs)
        if f"/{source}" in item.uri
        for line in storage.read(item.uri).decode().splitlines()
    ]
