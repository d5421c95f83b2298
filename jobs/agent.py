"""Job: the agent on a trainer machine. It reads CLOUDLSTM_* variables and runs train.py, again after a restart."""

import sys
from pathlib import Path

from cloudlstm.workers import agent

if __name__ == "__main__":
    sys.exit(agent.main(Path(__file__).with_name("train.py")))
