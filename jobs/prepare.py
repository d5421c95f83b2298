"""Job: bars to sequences, one Spark application.  Usage: prepare.py RUN_URI"""

import sys

from cloudlstm import completion, job, prepare
from cloudlstm.config import RunConfig
from cloudlstm.journal import Journal
from cloudlstm.layout import RunLayout


def work(layout: RunLayout, config: RunConfig, journal: Journal) -> None:
    prepare.run(layout, config, journal)
    completion.note(layout, config)


if __name__ == "__main__":
    sys.exit(job.main("prepare", work))
