"""Runs the contenders of a group in turn: in every round each one once, in its own process.

The first round is not timed: it watches memory, which costs time, and warms the disk's cache. In every round the output
of a contender is compared with the output of cloudlstm of the same round before its time counts. A contender that fails
or differs is left out of the later rounds, and its error is kept.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contenders import Contender, Group
from environments import NotInstalledError, python_of
from machine import cores

from cloudlstm.workers.memory import PeakMemory

HERE = Path(__file__).resolve().parent
LIMIT_S = 600.0
"""Longest time of a program."""


class FailedError(Exception):
    """A program failed, or its output differs."""


@dataclass
class Record:
    """What is known of a contender: a list has one value for each timed round."""

    contender: Contender
    python: Path | None = None
    error: str = ""
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float | None] = field(default_factory=list)
    before_s: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    last: dict[str, Any] = field(default_factory=dict)
    checked: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """JSON-ready."""
        named = {"name": self.contender.name, "column": self.contender.column}
        if self.error:
            return named | {"error": self.error}
        known = [each for each in self.cpu_s if each is not None]
        return named | {
            "seconds": [round(each, 3) for each in self.seconds],
            "cpu_s": [round(each, 2) for each in known] if len(known) == len(self.cpu_s) else None,
            "start_s": round(statistics.median(self.before_s), 2),
            "peak_gib": round(self.peak_bytes / 2**30, 3),
            "checked": self.checked,
            "versions": self.last["versions"],
            "facts": self.last["facts"],
        }


def measure(group: Group, folder: Path, size: int, rounds: int) -> tuple[int, list[dict[str, Any]]]:
    """Runs all contenders of a group; returns the units of the work and a document for each contender.

    Args:
        group: The group.
        folder: An empty folder for inputs and outputs.
        size: The size of the input.
        rounds: Timed rounds.

    Raises:
        FailedError: cloudlstm failed, so there is nothing to compare with.
    """
    units = write_input(group, folder / "input", size)
    if group.warm_size:
        write_input(group, folder / "warm", group.warm_size)
    records = [Record(each) for each in group.contenders]
    for record in records:
        try:
            record.python = python_of(record.contender.environment)
        except NotInstalledError as error:
            record.error = f"not installed: {error}"
    for number in range(rounds + 1):
        reference = None
        for record in records if number % 2 == 0 else [records[0], *reversed(records[1:])]:
            if record.error:
                continue
            output = folder / "output"
            shutil.rmtree(output, ignore_errors=True)
            shutil.rmtree(output.with_name("output-warm"), ignore_errors=True)
            try:
                found, before_s, peak = run(record, group, folder, output, watch=number == 0)
                reference = check(record, group, output, reference)
            except (FailedError, ValueError) as error:
                if record is records[0]:
                    raise FailedError(f"{record.contender.name}: {error}") from error
                record.error = str(error)
                print(f"  {record.contender.name}: {error}", flush=True)
                continue
            record.last = found
            if number == 0:
                record.peak_bytes = peak
                continue
            record.seconds.append(found["seconds"])
            record.cpu_s.append(found["cpu_s"])
            record.before_s.append(before_s)
            print(f"  round {number}  {record.contender.name:<36} {found['seconds']:8.2f} s", flush=True)
    return units, [record.document() for record in records]


def write_input(group: Group, folder: Path, size: int) -> int:
    """Runs the program that writes an input; returns its number of units."""
    program, name = group.input
    command = [sys.executable, str(HERE / program), f"--output={folder}", f"--{name}={size}"]
    return int(_last_line(command, cores())["units"])


def run(record: Record, group: Group, folder: Path, output: Path, *, watch: bool) -> tuple[dict[str, Any], float, int]:
    """Runs a contender; returns what it printed, its seconds before and after the work, and its peak PSS."""
    contender = record.contender
    command = [
        str(record.python), str(HERE / contender.program), f"--input={folder / 'input'}", f"--output={output}",
        f"--threads={cores()}", *([f"--warm={folder / 'warm'}"] if group.warm_size else []), *contender.settings,
    ]  # fmt: skip
    began = time.perf_counter()
    with PeakMemory() if watch else nullcontext() as peak:
        found = _last_line(command, cores())
    return found, time.perf_counter() - began - found["seconds"], (peak.bytes or 0) if peak else 0


def check(record: Record, group: Group, output: Path, reference: Any) -> Any:
    """Compares an output with cloudlstm's; returns cloudlstm's output.

    Raises:
        ValueError: they differ.
    """
    contender = record.contender
    if not contender.compared:
        return reference
    found = group.check.read(output)
    if reference is None:
        return found
    record.checked = group.check.compare(reference, found, contender.tolerance or group.check.TOLERANCE)
    return reference


def _last_line(command: list[str], threads: int) -> dict[str, Any]:
    """Runs a program and parses the last line that it prints.

    Raises:
        FailedError: it ended with an error, or too late.
    """
    variables = {
        "OMP_NUM_THREADS": str(threads),
        "POLARS_MAX_THREADS": str(threads),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    try:
        done = subprocess.run(
            command, env=os.environ | variables, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"it took more than {LIMIT_S:.0f} s") from None
    if done.returncode:
        raise FailedError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
