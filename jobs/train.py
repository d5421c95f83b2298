"""Job: one training worker; worker 0 also judges the forecasts.  Usage: train.py RUN_URI  (TF_CONFIG says which worker)"""

import json
import os
import sys

from cloudlstm import job


def work(layout, config, journal):  # type: ignore[no-untyped-def]
    from cloudlstm.evaluation import evaluate
    from cloudlstm.training import worker

    if worker.run(layout, config, journal):
        evaluate.run(layout, config, journal)


if __name__ == "__main__":
    index = json.loads(os.environ.get("TF_CONFIG") or "{}").get("task", {}).get("index", 0)
    sys.exit(job.main("train", work, worker=f"worker-{index}"))
