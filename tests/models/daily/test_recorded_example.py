"""The example of recorded bars: its settings fit the files that its script writes."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow.csv

from cloudlstm.config import parse

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_recorded_market_goes_on_after_the_first_run(tmp_path: Path) -> None:
    words = [sys.executable, str(EXAMPLES / "recorded_market.py"), f"file://{tmp_path}/market"]
    subprocess.run(words, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, check=True)
    config = parse(tomllib.loads((EXAMPLES / "recorded.toml").read_text()))
    assert config.market.source == "files"
    files = sorted(tmp_path.glob(str(config.market.path)))
    assert len(files) == 4
    for file in files:
        bars = pyarrow.csv.read_csv(file)
        dates = bars["date"].to_pylist()
        assert dates[0] == config.market.start
        assert {dt.date(2024, 6, 27), dt.date(2024, 6, 28), dt.date(2024, 7, 1)} <= set(dates)
        assert config.market.end == dt.date(2024, 6, 27)  # the evening before the first day of the page
