"""`runs`: the list, the comparison, and their tables at any width of the terminal."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from cloudlstm import storage
from cloudlstm.cli import main, runs, tables
from cloudlstm.cli.tables import Column, print_table
from cloudlstm.config import parse
from cloudlstm.config.overrides import flat
from cloudlstm.errors import DataError, to_record
from cloudlstm.evaluation.rows import ModelScores
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths, index


def test_the_least_important_columns_are_left_out_first_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column("run", 9, text=True), Column("extra", 1), Column("figure", 5)]
    rows = [["core6-0123abcd", "12345", "1.2345"]]
    print_table(Console(width=80), columns, rows)
    assert "extra" in capsys.readouterr().out
    print_table(Console(width=28), columns, rows)
    narrow = capsys.readouterr().out
    assert "12345" not in narrow
    assert "columns left out at this" in narrow
    assert "1.2345" in narrow
    assert "core6-0123abcd" in narrow


def test_a_less_important_column_takes_the_room_that_is_too_small_for_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    columns = [Column("run", 9, text=True), Column("a wide column", 5), Column("slim", 1)]
    print_table(Console(width=28), columns, [["core6-0123abcd", "1", "2"]])
    output = capsys.readouterr().out
    assert output.split()[:2] == ["run", "slim"]
    assert "a wide column" in output


def a_run(root: str, name: str, *overrides: str, rmse: float | None = None, error: str = "") -> str:
    """A run folder as a submit leaves it."""
    config = parse({"name": name, "market": {"source": "synthetic"}}, overrides).model_dump(mode="json")
    paths = RunPaths.of(root, name)
    storage.write_json(paths.config, config)
    storage.write_json(index(root, name), {"run": name})
    with Attempt(paths):
        pass
    if error:
        storage.write_json(paths.failure("prepare"), to_record(DataError(error)))
    if rmse is not None:
        row = dict.fromkeys(ModelScores.model_fields) | {
            "model": "lstm", "rmse_price": rmse, "skill": 1 - rmse / 2, "dm_p": 0.0001, "directional_accuracy": 0.5,
            "labels": 1000, "zero_forecasts": 0, "ic_dates": 0,
        }  # fmt: skip
        report = {"models": [row], "universe": ["A", "B"], "data": {"last_date": "2024-12-31", "hash": "h"}}
        storage.write_json(paths.report("report.json"), report)
        facts = {"best_epoch": 2, "epochs": 3, "windows_per_s": 4321.0, "workers": 2, "validation_loss": 1.01}
        Manifest(step="train", fingerprint="f", objects=(), seconds=75.0, facts=facts).save(paths)
    return name


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(tables, "_PIPE_COLUMNS", 200)
    place = f"file://{tmp_path}"
    a_run(place, "alpha", "train.seed=1", rmse=1.5)
    a_run(place, "beta", "train.seed=2", "model.units=64", rmse=1.25)
    a_run(place, "gamma")
    return place


def test_runs_lists_settings_and_results(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs.show_runs(root, ["cloudlstm", "runs", f"--root={root}"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    output = "done 2 2024-12-31 64 x 50 2 of 3 1.2500 +0.3750 4.32 k 75 s 2"
    assert lines["beta"].split()[3:] == output.split()
    assert "stopped" in lines["gamma"]


def test_a_comparison_shows_only_settings_that_differ(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "alph", "beta", f"--root={root}"]) == 0
    rows = {line[:20].strip(): line.split()[-2:] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert rows["model.units"] == ["128", "64"]
    assert rows["train.seed"] == ["1", "2"]
    assert rows["RMSE $"] == ["1.5000", "1.2500"]
    assert rows["DM p"] == ["<0.001", "<0.001"]
    assert "train.epochs" not in rows
    assert "R² o.o.s." not in rows  # no run has it


@pytest.mark.parametrize(("words", "output"), [(["a", "beta"], "more than one"), (["delta"], "no run delta")])
def test_an_ambiguous_run_id_is_rejected(
    root: str, words: list[str], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", *words, f"--root={root}"]) == 2
    assert output in capsys.readouterr().err


def test_settings_are_compared_by_value() -> None:
    assert flat({"a": {"b": {"c": 1}}, "d": [1], "e": {}}) == {"a.b.c": 1, "d": [1], "e": {}}


LONG = [f"/data/{'a-long-folder-name/' * 3}{name}.parquet" for name in ("prices-2014-2017", "prices-2018-2026")]


def test_a_comparison_shows_every_run_and_every_value_in_80_columns(
    root: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_PIPE_COLUMNS", 80)
    assert min(map(len, LONG)) >= 70
    names = ["us-broad-predict-0123abcd", "us-broad-predict-4567abcd", "us-broad-predict-89ababcd"]
    for name, path in zip(names, [*LONG, LONG[0]], strict=True):
        a_run(root, name, "market.source=files", f"market.path={path}", rmse=1.5)
    assert main(["runs", *names, f"--root={root}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    headings = " ".join(line for line in lines if "us-broad" in line and "/data/" not in line)
    assert [headings.count(name) for name in names] == [1, 1, 1]
    for name, path in zip(names, [*LONG, LONG[0]], strict=True):
        assert sum(name in line and line.endswith(path) for line in lines) == 1
    assert max(len(line) for line in lines if "/data/" not in line) <= 80
    assert sum(line.strip().startswith("RMSE $") for line in lines) == 2


def test_a_list_names_the_columns_that_it_leaves_out(
    root: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_PIPE_COLUMNS", 80)
    assert main(["runs", f"--root={root}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (note,) = [line for line in lines if line.startswith("columns left out at this width: ")]
    left_out = note.partition(": ")[2].split(", ")
    assert "workers" in left_out
    titles = next(line for line in lines if "RMSE $" in line)
    assert not any(title in titles for title in left_out)


def test_side_by_side_offers_only_runs_with_results(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(root, "newest")
    assert main(["runs", f"--root={root}"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("side by side")]
    assert sorted(shlex.split(line)[-2:]) == ["alpha", "beta"]


def test_a_failed_run_has_its_cause_in_the_list(
    root: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(root, "delta", error="no file matches bars/2014-2017/*.csv")
    assert main(["runs", f"--root={root}", "--failed"]) == 0
    output = capsys.readouterr().out
    assert "no file matches bars/2014-2017/*.csv " in output
    assert "alpha" not in output
    monkeypatch.setattr(tables, "_PIPE_COLUMNS", 80)
    assert main(["runs", f"--root={root}"]) == 0
    assert "no file matches bar…" in capsys.readouterr().out
    assert main(["runs", "delta", f"--root={root}"]) == 0
    assert "delta failed: no file matches bars/2014-2017/*.csv" in capsys.readouterr().out


def test_a_list_may_be_limited(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", f"--root={root}", "--limit=1"]) == 0
    output = capsys.readouterr().out
    assert "not listed: 2 earlier runs" in output
    assert main(["runs", f"--root={root}", "--limit=0"]) == 2
    assert main(["runs", "alpha", f"--root={root}", "--limit=1"]) == 2


def test_a_run_of_predict_has_no_scores_of_its_own(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(root, "alpha-predict", "train.epochs=0", f"train.weights={root}/alpha", rmse=1.75)
    assert main(["runs", f"--root={root}"]) == 0
    assert "1.7500" not in capsys.readouterr().out
    assert main(["runs", "alpha-predict", "beta", f"--root={root}"]) == 0
    output = capsys.readouterr().out
    assert "1.7500" not in output
    assert "alpha-predict only predicts" in output


@pytest.mark.parametrize(("terminal", "colour"), [(False, False), (True, True)])
def test_the_note_about_colours_is_printed_only_in_colour(
    root: str, terminal: bool, colour: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
    assert main(["runs", "alpha", "beta", f"--root={root}"]) == 0
    assert ("are in colour" in capsys.readouterr().out) == colour
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["runs", "alpha", "beta", f"--root={root}"]) == 0
    assert "are in colour" not in capsys.readouterr().out


def test_the_list_as_json(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(root, "delta", error="no file matches \x7f\x1b")
    assert main(["runs", f"--root={root}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["root"] == root
    found = {row["run"]: row for row in document["runs"]}
    assert set(found) == {"alpha", "beta", "gamma", "delta"}
    assert found["beta"]["rmse_price"] == 1.25
    assert found["beta"]["state"] == "done"
    assert found["beta"]["submitted"].endswith("+00:00")
    assert found["gamma"]["rmse_price"] is None
    assert found["delta"]["cause"] == "no file matches \x7f\x1b"


def test_the_comparison_as_json(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "beta", "alpha", f"--root={root}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["run"] for row in document["runs"]] == ["beta", "alpha"]
    assert document["settings_that_differ"]["train.seed"] == {"beta": 2, "alpha": 1}
    assert "train.epochs" not in document["settings_that_differ"]
