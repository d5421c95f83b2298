"""A training worker in its own process.  Usage: one_worker.py RUN_URI [SIGNAL STEP]

With SIGNAL and STEP it sends itself the signal after that step; the steps of several networks are counted on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from cloudlstm.training.membership import Membership


def end_with_parent() -> None:
    """The launcher holds the other end of standard input."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    threading.Thread(target=end_with_parent, daemon=True).start()
    from cloudlstm.training import forecast_only, loop, step

    forecast_only._MOST_WINDOWS = 0  # TensorFlow forecasts, also few windows
    if len(sys.argv) > 2:
        number, at_step = signal.Signals[sys.argv[2]], int(sys.argv[3])
        check, before, last = loop.require_finite, 0, 0

        def check_and_end(losses, done, which):
            nonlocal before, last
            check(losses, done, which)
            if which == "training":
                before += last if done < last else 0  # another network has begun
                last = done + len(losses)
                if before + done <= at_step < before + last:
                    os.kill(os.getpid(), number)

        loop.require_finite = check_and_end
    paths = RunPaths(sys.argv[1])
    index = Membership.from_environment().index
    with Journal(paths, "train", f"worker-{index}") as journal:
        step.run(RunContext(paths, parse(storage.read_json(paths.config)), 0, journal))
    return 0


if __name__ == "__main__":
    sys.exit(main())
