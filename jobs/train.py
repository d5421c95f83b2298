"""Job: one training worker, identified by TF_CONFIG; worker 0 also evaluates.  Usage: train.py RUN_URI"""

import json
import os
import sys

from cloudlstm.runs.context import RunContext
from cloudlstm.runs.environment import FORECASTS_ONLY
from cloudlstm.workers import job


def work(context: RunContext) -> None:
    # Imported here: a duplicate job, or one without its packages, must end with a message of its own.
    from cloudlstm.training.step import run as train

    if train(context):
        from cloudlstm.report.evaluate import run as evaluate

        evaluate(context)


def load() -> None:
    import cloudlstm.report.evaluate

    if not os.environ.get(FORECASTS_ONLY):
        import cloudlstm.training.worker  # noqa: F401 - with TensorFlow


if __name__ == "__main__":
    membership = json.loads(os.environ.get("TF_CONFIG") or "{}")
    index, workers = membership.get("task", {}).get("index", 0), membership.get("cluster", {}).get("worker", [])
    code = job.main("train", work, worker=f"worker-{index}", load=load)
    if len(workers) > 1:  # TensorFlow tells its peers that it ends
        sys.exit(code)
    job.end_at_once(code)
