"""Job: bars to sequences, in one Spark application.  Usage: prepare.py RUN_URI"""

import sys

from cloudlstm.pipeline import prepare
from cloudlstm.report import evaluate
from cloudlstm.runs.context import RunContext
from cloudlstm.workers import job
from cloudlstm.workers.deadline import prepare_hours


def work(context: RunContext) -> None:
    prepare.run(context)
    evaluate.mark_complete(context)


if __name__ == "__main__":
    sys.exit(job.main("prepare", work, hours=lambda config: prepare_hours(config, target=job.is_on_target())))
