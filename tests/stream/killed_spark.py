"""Runs the job "stream" on Spark, and kills all of it with SIGKILL at a chosen moment: driver, JVM and Python workers.

    python killed_spark.py MOMENT WORDS-OF-THE-JOB...

MOMENT is `before:N` or `after:N` for the n-th step of the driver (an object is written or deleted), `offsets` or
`commits` for the moment when Spark's checkpoint gets its next file of that folder, or `never`. The last line of the
output before a kill has the processes that are killed: their numbers and names.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from cloudlstm.stream import serve
from cloudlstm.stream.spark.runner import MicroBatches
from process_tree import descendants
from stream.market import RandomModels
from targets.kill_point import KillPoint

JOB = Path(__file__).resolve().parents[2] / "jobs" / "stream.py"


def kill_all() -> None:
    """Kills this process and all that it has started, the JVM first; shows their command lines before."""
    found = []
    for pid in sorted(descendants(os.getpid())):
        with suppress(OSError):
            found.append((pid, Path(f"/proc/{pid}/comm").read_text().strip()))
            os.write(2, Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ") + b"\n")
    os.write(1, (" ".join(f"{pid}:{name}" for pid, name in found) + "\n").encode())
    for pid, _ in sorted(found, key=lambda each: each[1] != "java"):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


class KillAll(KillPoint):
    """A kill point that kills the JVM and the workers, too."""

    counts = False

    def kill(self) -> None:
        kill_all()


def kill_at_step(number: int, *, after: bool) -> None:
    """Kills all at the n-th step from the first micro-batch on."""
    handle, point = MicroBatches.handle, KillAll(number, after=after)

    def counted(self: MicroBatches, rows: Any) -> None:
        if not point.counts:
            point.over_storage("write", "delete")
            point.counts = True
        handle(self, rows)

    MicroBatches.handle = counted  # type: ignore[method-assign]


def kill_at_file(folder: Path) -> None:
    """Kills all when the folder has a file with a higher number than now."""
    before = newest(folder)

    def watch() -> None:
        while newest(folder) <= before:
            time.sleep(0.002)
        kill_all()

    threading.Thread(target=watch, daemon=True).start()


def newest(folder: Path) -> int:
    """The highest number of a file of Spark's checkpoint; -1 without one."""
    return max((int(each.name) for each in folder.glob("[0-9]*") if each.name.isdigit()), default=-1)


def main() -> None:
    moment, *words = sys.argv[1:]
    when, _, number = moment.partition(":")
    root = next(word for word in words if word.startswith("--root=")).removeprefix("--root=file://")
    if number:
        kill_at_step(int(number), after=when == "after")
    elif when != "never":
        kill_at_file(Path(root) / "streams" / "killed" / "spark" / when)
    serve.open_models = lambda *_: RandomModels()  # type: ignore[assignment, misc]
    sys.argv = [str(JOB), *words]
    runpy.run_path(str(JOB), run_name="__main__")


if __name__ == "__main__":
    main()
