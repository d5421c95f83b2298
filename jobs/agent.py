"""Job: a machine of the trainer group, told by CLOUDLSTM_* what to do; it runs train.py, again where that may help."""

import sys
from pathlib import Path

from cloudlstm.workers import agent

if __name__ == "__main__":
    sys.exit(agent.main(Path(__file__).with_name("train.py")))
