"""Job: bars to sequences, one Spark application.  Usage: prepare.py RUN_URI"""

import sys

from cloudlstm import job, prepare

if __name__ == "__main__":
    sys.exit(job.main("prepare", prepare.run))
