"""Job: bars to sequences, one Spark application.  Usage: prepare.py RUN_URI"""

import sys

from cloudlstm.config import RunConfig
from cloudlstm.pipeline import prepare
from cloudlstm.report import evaluate
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers import job


def work(paths: RunPaths, config: RunConfig, journal: Journal) -> None:
    prepare.run(paths, config, journal)
    evaluate.note(paths, config)


if __name__ == "__main__":
    sys.exit(job.main("prepare", work))
