"""Our programs run small, with a peer of this environment beside each, and their outputs are equal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest


def test_features_equal_those_of_pandas_and_a_changed_one_is_found(peers: Path, tmp_path: Path) -> None:
    import data_check
    import data_cloudlstm
    import data_input
    import data_pandas
    from contender import Task

    rows = data_input.write(tmp_path / "bars", tickers=6, files=2)
    ours = Task(tmp_path / "bars", tmp_path / "ours", 1, {"begin": "shards"})
    theirs = Task(tmp_path / "bars", tmp_path / "theirs", 1)
    theirs.output.mkdir()
    with data_cloudlstm._OPEN:
        done = data_cloudlstm.work(ours)
    data_pandas.work(theirs)
    booked = done.facts["steps_s"]
    assert booked["ingest"] > 0
    assert done.seconds == pytest.approx(done.facts["job_s"] - booked["sequences"], abs=0.01)

    a, b = data_check.read(ours.output), data_check.read(theirs.output)
    found = data_check.compare(a, b)
    assert found["compared"] > 0.95
    assert found["rows"] < rows  # the vendor's faults are gone
    for column in ("ma21", "daily_return"):
        changed = b[column].to_numpy().copy()
        changed[1000] += 1e-6
        place = b.schema.get_field_index(column)
        with pytest.raises(ValueError, match=f"{column} differs"):
            data_check.compare(a, b.set_column(place, column, pa.array(changed)))
    with pytest.raises(ValueError, match="can be compared"):
        data_check.compare(a, b.slice(0, b.num_rows // 2))


def test_our_loader_and_tf_data_deliver_the_same_windows(peers: Path, tmp_path: Path) -> None:
    import loader_check
    import loader_input

    units = loader_input.write(tmp_path / "input", tickers=1)
    program = (
        "import sys, pathlib, contender, loader_cloudlstm, loader_tfdata\n"
        "for module, name in ((loader_cloudlstm, 'ours'), (loader_tfdata, 'theirs')):\n"
        "    output = pathlib.Path(sys.argv[1], name)\n"
        "    output.mkdir()\n"
        "    module.work(contender.Task(pathlib.Path(sys.argv[1], 'input'), output, 1))\n"
    )
    variables = {"PYTHONPATH": f"{peers}:{os.environ.get('PYTHONPATH', '')}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=os.environ | variables, check=True)
    ours, theirs = loader_check.read(tmp_path / "ours"), loader_check.read(tmp_path / "theirs")
    assert len(ours) == units
    loader_check.compare(ours, theirs)
    theirs[7, 1] += 1.0
    with pytest.raises(ValueError, match="differ"):
        loader_check.compare(ours, theirs)
    with pytest.raises(ValueError, match="windows instead of"):
        loader_check.compare(ours, theirs[1:])


def test_our_training_reports_its_time_and_losses(peers: Path, tmp_path: Path) -> None:
    import training_check

    np.save(tmp_path / "labels.npy", np.zeros(2 * 256, np.float32))  # tells the number of steps
    command = [sys.executable, str(peers / "training_cloudlstm.py"), f"--input={tmp_path}", "--threads=1"]
    command += [f"--output={tmp_path / 'out'}", "tickers=1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["seconds"] > 0
    losses = training_check.read(tmp_path / "out")
    assert training_check.compare(losses, losses)["largest_difference"] == 0
    with pytest.raises(ValueError, match="a loss differs"):
        training_check.compare(losses, losses * [1.0, 1.01])
    with pytest.raises(ValueError, match="steps instead of"):
        training_check.compare(losses, losses[:1])
