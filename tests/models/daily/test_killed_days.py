"""A day that is killed with SIGKILL at any moment is finished by the same command, with the same bytes.

The page of the model, the files of `usage` and the markers of the index may differ: they hold times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from cloudlstm.cli import main
from cloudlstm.models import registry
from models.daily import killing_process
from models.daily.recorded import FIRST_DAY, evenings, write_market
from models.daily.untrained import add_version, make_model


def test_a_day_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    """The day promotes a challenger, lets another one enter, and settles the forecasts of the day before."""
    folder = tmp_path / "own"
    (_, first), (day, second) = evenings(FIRST_DAY, 2)
    paths = make_model(f"file://{folder}/runs", "m", write_market(folder / "bars", tickers=2), refresh_after=1)
    add_version(paths, 2, "warm")
    assert main(["daily", "m", f"--now={first.isoformat()}", f"--root={paths.root}"]) == 0
    add_version(paths, 3)  # enters the competition on the day that is killed

    program = Path(killing_process.__file__)
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    threads["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    done = subprocess.run(
        [sys.executable, str(program), str(folder), second.isoformat(), "5"],
        env=os.environ | threads | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    undisturbed = found["undisturbed"]
    assert f"/models/m/daily/{day}.json" in undisturbed
    assert (registry.newest_move(paths).basis, registry.newest_move(paths).version) == ("refresh", 2)
    assert "/models/m/aliases/champion/0003.json" not in undisturbed
    assert len(found["finished"]) == killing_process.TIMED + killing_process.COUNTED
    for again in found["finished"]:
        assert again == undisturbed
    assert len({len(files) for files in found["left"]}) > 2, "the kills fell into the same part of the day"
