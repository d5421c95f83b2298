"""`cloudlstm audit`: files, flags, exit status, output at 80 columns, and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from audit.faults import FAULTS, base
from cloudlstm.cli import main


def planted(name: str) -> pa.Table:
    return pa.table(next(fault for fault in FAULTS if fault.plant.__name__ == name).plant(base()))


@pytest.fixture(params=["csv", "parquet"])
def write(request: pytest.FixtureRequest, tmp_path: Path):
    def to_file(table: pa.Table, name: str = "table") -> str:
        path = tmp_path / f"{name}.{request.param}"
        (pc.write_csv if request.param == "csv" else pq.write_table)(table, path)
        return str(path)

    return to_file


def test_a_clean_table_has_exit_status_0(write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", write(pa.table(base().table()))]) == 0
    output = capsys.readouterr().out
    assert "0 alarms, 0 warnings" in output
    assert "behaves like returns, so R² above 1.0% is suspicious; horizon 1" in " ".join(output.split())
    assert "no other vintage (--revised)" in " ".join(output.split())


def test_a_leak_has_exit_status_1_and_fits_80_columns(write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", write(planted("centred_mean"))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.split() == ["alarm", "look-ahead", "smooth"] for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "it is the mean of close over 7 rows centred on its row" in text
    assert "do: Use the mean of the last 7 rows." in text


def test_json_has_the_same_findings(write, capsys: pytest.CaptureFixture[str]) -> None:
    place = write(planted("unpurged"))
    assert main(["audit", place, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == f"file://{place}"
    assert document["roles"] == {"entity": "ticker", "time": "date", "target": "target", "split": "split",
                                 "price": "close"}  # fmt: skip
    assert (document["horizon"], document["horizon_from"]) == (10, "the target is the return of close")
    found = [each for each in document["findings"] if each["level"] == "alarm"]
    assert document["alarms"] == len(found) == 1
    assert (found[0]["check"], found[0]["numbers"]) == ("split", {"rows": 9 * 12, "horizon": 10, "gap": 0})
    assert {each["name"]: each["state"] for each in document["checks"]}["revised"] == "not done"


def test_columns_can_be_named(write, capsys: pytest.CaptureFixture[str]) -> None:
    table = planted("affine_copy").rename_columns(["who", "when", "last", "a", "b", "c", "goal", "score"])
    words = ["--entity=who", "--time=when", "--target=goal", "--price=last"]
    place = write(table)
    assert main(["audit", place, *words, "--features=a,b,c"]) == 0
    assert main(["audit", place, *words, "--features=score"]) == 1
    capsys.readouterr()
    assert main(["audit", place, *words, "--features=a,score", "--accept=target-copy:score,skill", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["features"] == ["a", "score"]


def test_another_vintage(write, capsys: pytest.CaptureFixture[str]) -> None:
    table = base().table()
    old = write(pa.table(table), "old")
    new = write(pa.table(table | {"vol_20": table["vol_20"] * 1.01}), "new")
    assert main(["audit", new, f"--revised={old}"]) == 1
    assert "revised, column vol_20" in capsys.readouterr().out
    assert main(["audit", new, f"--revised={new}"]) == 0


def test_a_table_of_publications(write, capsys: pytest.CaptureFixture[str]) -> None:
    table = base().table()
    days = table["date"][::12]
    score = np.random.default_rng(0).normal(0, 1, len(days))
    late = pa.array([f"{day}T20:30:00Z" for day in days.to_pylist()])
    rows = write(pa.table({"series": ["S"] * len(days), "period": days, "available_at": late, "value": score}), "rows")
    place = write(pa.table(table | {"score": np.repeat(score, 12)}))
    assert main(["audit", place, f"--exogenous={rows}"]) == 0
    assert main(["audit", place, f"--exogenous={rows}", "--calendar=XTKS"]) == 1
    assert "unpublished, column score" in capsys.readouterr().out
    assert main(["audit", place, "--calendar=XTSK", f"--exogenous={rows}"]) == 2
    assert "no exchange calendar 'XTSK'" in capsys.readouterr().err


def test_the_end_of_training(write, capsys: pytest.CaptureFixture[str]) -> None:
    table = planted("unpurged").drop_columns(["split"])
    end = table["date"][350 * 12].as_py()
    assert main(["audit", write(table), f"--train-end={end}", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [each["numbers"]["rows"] for each in found if each["check"] == "split"] == [9 * 12]


@pytest.mark.parametrize(
    ("words", "message", "status"),
    [
        (["--target=tarket"], "has no column tarket (--target)", 2),
        (["--time=ticker"], "are no dates or times", 1),
        (["--horizon=x"], "--horizon needs a whole number from 1, not x", 2),
        (["--max-r2=2"], "--max-r2 is a share between 0 and 1, not 2", 2),
        (["--train-end=soon"], "--train-end is a date, not soon", 2),
        (["--prize=close"], "audit has no flag --prize", 2),
        (["--revised=/nowhere.csv"], "/nowhere.csv", 1),
    ],
)
def test_errors_are_told_in_one_line(
    words: list[str], message: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pc.write_csv(pa.table(base(dates=50).table()), tmp_path / "t.csv")
    assert main(["audit", str(tmp_path / "t.csv"), *words]) == status
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_a_missing_file_and_a_missing_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(tmp_path / "none.csv")]) == 1
    assert "none.csv" in capsys.readouterr().err
    assert main(["audit"]) == 2
    assert "audit needs the word FILE" in capsys.readouterr().err
