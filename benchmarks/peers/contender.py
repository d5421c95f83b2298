"""The frame of a contender's program. It runs in the contender's environment and needs only the standard library.

    python data_polars.py --input=FOLDER --output=FOLDER --threads=2 [--warm=FOLDER] [name=value ...]

A program defines `work(task)`, which reads `task.input` and writes below `task.output`. With --warm the same work is
first done on a small input, so that imports, compilers and worker processes are there before the time begins. The last
line that a program prints is JSON: the seconds of the work, its CPU seconds, and the versions of the packages.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """What a contender is asked to do.

    Attributes:
        input: A folder to read.
        output: A folder of its own.
        threads: Cores that it may use.
        settings: Further settings, as text.
    """

    input: Path
    output: Path
    threads: int
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What a contender did.

    Attributes:
        seconds: How long it took.
        cpu_s: The CPU seconds of all its processes; None where they are not known.
        facts: Further values for the results, JSON-ready.
    """

    seconds: float
    cpu_s: float | None = None
    facts: dict[str, object] = field(default_factory=dict)


class Clock:
    """Measures the seconds of a block, and the CPU seconds of this process and its descendants in it."""

    def __enter__(self) -> Clock:
        self._cpu, self._began = cpu_seconds(os.getpid()), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        cpu = cpu_seconds(os.getpid())
        self.cpu_s = None if cpu is None or self._cpu is None else cpu - self._cpu

    def done(self, **facts: object) -> Done:
        """What the block did."""
        return Done(self.seconds, self.cpu_s, facts)


def cpu_seconds(pid: int) -> float | None:
    """The CPU seconds of a process tree so far, those of ended children included; None without /proc."""
    try:
        spent = [int(each) for each in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
        children = [
            child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
        ]
    except (OSError, ValueError):
        return None
    return sum(spent) / os.sysconf("SC_CLK_TCK") + sum(cpu_seconds(int(child)) or 0.0 for child in children)


def _version(name: str) -> str:
    """The version of an imported package; the metadata of an editable install may be older than its code."""
    found = getattr(sys.modules.get(name), "__version__", None)
    return found if isinstance(found, str) else version(name)


def main(work: Callable[[Task], Done | None], *packages: str) -> None:
    """Runs a contender's program.

    Args:
        work: The work. It returns what it did if it measured a part of itself; else all of it is measured.
        packages: The distributions whose versions are reported.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--warm", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("settings", nargs="*", help="name=value")
    args = parser.parse_args()
    settings = dict(each.split("=", 1) for each in args.settings)
    task = Task(args.input.resolve(), args.output.resolve(), args.threads, settings)
    task.output.mkdir(parents=True, exist_ok=True)
    if args.warm:
        warm = replace(task, input=args.warm.resolve(), output=task.output.with_name(f"{task.output.name}-warm"))
        warm.output.mkdir(exist_ok=True)
        work(warm)
    with Clock() as clock:
        done = work(task)
    found = asdict(done or clock.done()) | {"versions": {name: _version(name) for name in packages}}
    print(json.dumps(found), flush=True)
