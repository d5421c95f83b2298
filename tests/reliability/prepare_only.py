"""`cloudlstm submit` without its second job.  Usage: prepare_only.py CONFIG RUN_URI [setting=value …]"""

from __future__ import annotations

import sys

from cloudlstm.config import load
from cloudlstm.errors import CloudLSTMError
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import Plan, launcher
from cloudlstm.targets.local.target import LocalTarget

if __name__ == "__main__":
    paths, target = RunPaths(sys.argv[2]), LocalTarget()
    config = load(sys.argv[1], sys.argv[3:])
    requests = (
        {"action": "settings", "uri": paths.config, "document": config.model_dump(mode="json")},
        {"action": "job", **target.request("prepare", config, paths)},
    )
    try:
        launcher.carry_out(Plan("submit", paths.uri, requests), target, lambda _: None)
    except CloudLSTMError as error:
        sys.stderr.write(f"cloudlstm: {error}\n")
        sys.exit(error.exit_code)
