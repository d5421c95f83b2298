"""Carries out a day of a model in forked processes and kills them: a program of its own, because it has one thread.

It takes the folder of bars and runs, the moment of the day, and a seed, and prints one JSON document. Each process
does what `cloudlstm daily m --now=…` does; all modules are imported before the fork, so that the kills fall into the
work of the day and not into imports.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cloudlstm.cli import main
from cloudlstm.models.paths import ModelPaths
from models.daily.recorded import objects

TIMED, COUNTED = 12, 8
"""Kills at moments that are spread over the duration of the day, and kills when some of its files are there."""


class Days:
    """The same day of the same folder, again and again.

    Args:
        folder: The folder; it is replaced by a copy of its first state before each day.
        now: The moment of the day, in ISO form.
    """

    def __init__(self, folder: Path, now: str) -> None:
        self._folder, self._kept, self._seen = folder, folder.with_name("kept"), folder.with_name("seen.json")
        self._words = ["daily", "m", f"--now={now}", f"--root=file://{folder}/runs"]
        shutil.copytree(folder, self._kept)

    def modules(self) -> list[str]:
        """Carries out the day, and returns the names of the modules that it has imported."""
        self._finish(lambda: sorted(sys.modules))
        names: list[str] = json.loads(self._seen.read_text())
        return names

    def undisturbed(self) -> tuple[float, dict[str, str]]:
        """Carries out the whole day; returns its duration in seconds, and its objects as `finish` does."""
        self._restore()
        began = time.monotonic()
        self._finish(lambda: None)
        duration_s = time.monotonic() - began
        return duration_s, self.finish()

    def finish(self) -> dict[str, str]:
        """Carries out the day to its end; returns the objects of the model and of the bars with their checksums."""
        self._finish(lambda: objects(ModelPaths.of(f"file://{self._folder}/runs", "m")))
        found: dict[str, str] = json.loads(self._seen.read_text())
        return found

    def kill(self, after_s: float, files: int = 0) -> bool:
        """Begins the day and kills it; False if it had ended before.

        Args:
            after_s: Seconds from its beginning, or from the moment at which the files are there, to the kill.
            files: Files of the root that the kill waits for; temporary ones count, too.
        """
        self._restore()
        child = self._start(None)
        while len(self.files()) < files and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            pass
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)  # a child that has ended is there until it is waited for
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    def files(self) -> list[str]:
        """The names of all files of the root."""
        runs = self._folder / "runs"
        return sorted(str(path.relative_to(runs)) for path in runs.rglob("*") if path.is_file())

    def _restore(self) -> None:
        shutil.rmtree(self._folder)
        shutil.copytree(self._kept, self._folder)

    def _finish(self, tell: Callable[[], object]) -> None:
        status = os.waitpid(self._start(tell), 0)[1]
        if status:
            raise RuntimeError(f"the day ended with status {status}")

    def _start(self, tell: Callable[[], object] | None) -> int:
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - Path.iterdir would make objects of them
        if threads != 1:
            raise RuntimeError(f"a process with {threads} threads must not fork")
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            status = main(self._words)
            if tell and not status:
                self._seen.write_text(json.dumps(tell()))
        finally:
            os._exit(status)


def run(folder: Path, now: str, seed: int) -> dict[str, object]:
    """Carries out the day undisturbed, then again and again with a kill; returns what was found after each."""
    days = Days(folder, now)
    before = len(days.files())
    for name in days.modules():
        with suppress(ImportError):  # a few are made by other modules and have no file
            importlib.import_module(name)
    duration_s, undisturbed = days.undisturbed()
    made = len(days.files()) - before
    random.seed(seed)
    timed = [((number + random.random()) / TIMED * duration_s, 0) for number in range(TIMED)]
    counted = [(0.002 * random.random(), before + 1 + number * (made - 1) // COUNTED) for number in range(COUNTED)]
    left, finished = [], []
    for after_s, files in timed + counted:
        wait_s = after_s
        while not days.kill(wait_s, files):  # the day was quicker than the undisturbed one
            wait_s *= 0.8
        left.append(days.files())
        finished.append(days.finish())
    return {"undisturbed": undisturbed, "left": left, "finished": finished}


if __name__ == "__main__":
    place, moment, drawn = sys.argv[1:]
    found = run(Path(place), moment, int(drawn))
    sys.stdout.write(json.dumps(found) + "\n")
