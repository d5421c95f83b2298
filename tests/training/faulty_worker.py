"""`jobs/train.py` with faults planted at exact moments.  Usage: faulty_worker.py RUN_URI

The environment variable FAULTS lists them: [["generation/worker", "SIGNAL" or "DataError", "moment", number], …]. When
one strikes is noted in the folder STRUCK, in a file named for the generation. The moments:

    start       before anything is imported
    staging     when the first split is to be staged
    joining     when the peers are to be met
    step        when training step `number` has been done
    half        in the middle of writing a checkpoint of step `number` or a later one
    torn        after a checkpoint of step `number` or a later one, which loses its second half
    forecasting                                 before it forecasts its share
    manifest, tidying, reporting                before the chief does that
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path

from cloudlstm.errors import DataError
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest

GENERATION = os.environ["CLOUDLSTM_GENERATION"]
INDEX = json.loads(os.environ.get("TF_CONFIG") or '{"task": {"index": 0}}')["task"]["index"]


def main() -> None:
    # A killed worker loses progress that it has not written. The tests read where it continued, so it writes at once.
    Journal.__init__.__kwdefaults__["every_s"] = 0.1
    for who, name, moment, number in json.loads(os.environ["FAULTS"]):
        if who == f"{GENERATION}/worker-{INDEX}":
            plant(name, moment, number)
    sys.path.insert(0, str(Path(__file__).parent))
    runpy.run_path(str(Path(__file__).parents[2] / "jobs" / "train.py"), run_name="__main__")


def plant(fault: str, moment: str, number: int) -> None:
    def strike() -> None:
        Path(os.environ["STRUCK"], GENERATION).write_text(str(time.time()))
        if fault == "DataError":
            raise DataError("as planted")
        os.kill(os.getpid(), signal.Signals[fault])

    if moment == "start":
        strike()
    elif moment == "staging":
        from cloudlstm.dataset.reader import SequenceSet

        before(SequenceSet, "stage", strike)
    elif moment in ("half", "torn"):
        plant_in_checkpoints(strike, number, torn=moment == "torn")
    elif moment == "tidying":
        from cloudlstm.training.checkpoint import Checkpoints

        before(Checkpoints, "discard", strike)
    elif moment == "reporting":
        from cloudlstm.report import html

        before(html, "render", strike)
    else:
        plant_in_training(strike, moment, number)


def plant_in_training(strike, moment: str, number: int) -> None:
    from cloudlstm.training import loop, member_training, worker

    if moment == "joining":
        before(worker.Cluster, "start", strike)
    elif moment == "forecasting":
        before(member_training.MemberTraining, "_forecast", strike)
    elif moment == "manifest":
        before(Manifest, "save", strike)
    elif moment == "step":
        check = loop.require_finite

        def check_and_strike(losses, done: int, which: str) -> None:
            check(losses, done, which)
            if done < number <= done + len(losses):
                strike()

        loop.require_finite = check_and_strike
    else:
        raise ValueError(moment)


def plant_in_checkpoints(strike, number: int, *, torn: bool) -> None:
    from cloudlstm.storage import file

    write = file.FileStorage.write

    def faulty(self, uri: str, data: bytes, *, if_absent: bool = False) -> None:
        if "/checkpoints/" not in uri or int(uri.rsplit("step-", 1)[1][:9]) < number:
            write(self, uri, data, if_absent=if_absent)
        elif torn:
            write(self, uri, data[: len(data) // 2], if_absent=if_absent)
            strike()
        else:
            with file.new_file(file._path(uri), Path.replace) as target:
                target.write(data[: len(data) // 2])
                target.flush()
                strike()

    file.FileStorage.write = faulty


def before(owner, name: str, strike) -> None:
    known = getattr(owner, name)

    def faulty(*args, **options):
        strike()
        return known(*args, **options)

    setattr(owner, name, faulty)


main()
