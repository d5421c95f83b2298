"""Job: bars to sequences, in one Spark application.  Usage: prepare.py RUN_URI"""

import sys

from cloudlstm.pipeline import prepare
from cloudlstm.report import evaluate
from cloudlstm.runs.context import RunContext
from cloudlstm.workers import job


def work(context: RunContext) -> None:
    prepare.run(context)
    evaluate.mark_complete(context)


if __name__ == "__main__":
    sys.exit(job.main("prepare", work))
