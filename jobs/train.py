"""Job: a training worker, the only one or the one of TF_CONFIG; worker 0 also judges.  Usage: train.py RUN_URI"""

import json
import os
import sys

from cloudlstm.config import RunConfig
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers import job


def work(paths: RunPaths, config: RunConfig, journal: Journal) -> None:
    # Here and not above: a doubled job, or one without its package, must not need all this to say so.
    from cloudlstm.training.step import run as train

    if train(paths, config, journal):
        from cloudlstm.report.evaluate import run as evaluate

        evaluate(paths, config, journal)


if __name__ == "__main__":
    index = json.loads(os.environ.get("TF_CONFIG") or "{}").get("task", {}).get("index", 0)
    sys.exit(job.main("train", work, worker=f"worker-{index}"))
