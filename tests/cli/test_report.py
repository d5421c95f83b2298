"""`report`: JSON, copies of its files, and the browser."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.cli import main, tables
from cloudlstm.cli.result import ablation_line
from cloudlstm.config import parse
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.report.models import ReportSummary
from cloudlstm.report.schema import to_json
from cloudlstm.runs import index
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.paths import RunPaths
from evaluation.exogenous_samples import make_exogenous
from evaluation.samples import config, make_extreme_forecasts, make_forecasts, report_of

FILES = {"report.html": b"<html>page</html>", "report.json": b'{"run_id": "core6-1a2b"}', "forecasts.csv": b"ticker\n"}


def a_run(root: str) -> RunPaths:
    paths = RunPaths.of(root, "core6-1a2b")
    with Attempt(paths):
        index.mark(root, paths.run_id)
    for name, content in FILES.items():
        storage.write(paths.report(name), content)
    return paths


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser on a screen was asked to open."""
    found: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda url: not found.append(url))
    return found


def test_the_report_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(f"file://{tmp_path}")
    assert main(["report", f"--root={tmp_path}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run_id": "core6-1a2b"}
    assert main(["report", f"--root={tmp_path}", "--json", "--open"]) == 2


def test_a_report_is_copied_out_of_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(f"file://{tmp_path}/runs")
    folder = tmp_path / "new" / "folder"
    for _ in range(2):  # the same files again are no conflict
        assert main(["report", f"--root={tmp_path}/runs", f"--to={folder}"]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert str(folder) in capsys.readouterr().out


@pytest.mark.parametrize("name", ["report.html", "forecasts.csv"])
def test_a_copy_never_replaces_another_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(f"file://{tmp_path}/runs")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / name).write_text("my own")
    assert main(["report", f"--root={tmp_path}/runs", f"--to={folder}"]) == 2
    assert f"try: --to={folder}/core6-1a2b" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in folder.iterdir()} == {name: "my own"}


def test_a_local_report_is_opened_where_it_lies(tmp_path: Path, opened: list[str]) -> None:
    a_run(f"file://{tmp_path}")
    assert main(["report", f"--root={tmp_path}", "--open"]) == 0
    assert opened == [f"file://{tmp_path}/core6-1a2b/report/report.html"]


def test_a_report_in_a_bucket_is_copied_and_opened(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths = a_run("memory://a-bucket-with-a-report")
    assert main(["report", paths.uri, "--open"]) == 0
    (url,) = opened
    assert Path(url.removeprefix("file://")).read_bytes() == FILES["report.html"]
    assert main(["report", paths.uri, "--open", f"--to={tmp_path}/copy"]) == 0
    assert opened[1] == f"file://{tmp_path}/copy/report.html"


def test_without_a_screen_the_path_is_printed(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    a_run(f"file://{tmp_path}")
    assert main(["report", f"--root={tmp_path}", "--open"]) == 0
    assert opened == []
    assert f"the report is {tmp_path}/core6-1a2b/report/report.html" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--open", "--to=copies", "--json"])
def test_a_run_without_a_report_is_an_error(
    flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = a_run(f"file://{tmp_path}/runs")
    for name in FILES:
        storage.delete(paths.report(name))
    assert main(["report", f"--root={tmp_path}/runs", flag]) == 2
    assert "has no report yet" in capsys.readouterr().err
    assert not (tmp_path / "copies").exists()


def stored(tmp_path: Path, test: Forecasts, *words: str, seeds: int) -> RunPaths:
    """A run with the report on a test split."""
    paths = a_run(f"file://{tmp_path}")
    found = config(f"train.seeds={seeds}", *words)
    storage.write_json(paths.config, found.model_dump(mode="json"))
    storage.write(paths.report("report.json"), to_json(report_of(test, seeds=seeds)))
    return paths


def test_six_models_fit_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_PIPE_COLUMNS", 80)
    for test, left_out in ((make_forecasts(24), ""), (make_extreme_forecasts(24), "RMSE return")):
        stored(tmp_path, test, seeds=3)
        capsys.readouterr()
        assert main(["report", f"--root={tmp_path}"]) == 0
        lines = capsys.readouterr().out.splitlines()
        head = next(number for number, line in enumerate(lines) if line.split()[:1] == ["model"])
        shown = lines[head : head + 8]
        assert [line.split()[0] for line in shown[2:]] == ["naive", "drift", "ridge", "lstm", "ensemble", "calibrated"]
        assert max(map(len, shown)) <= 80
        assert all("…" not in line for line in shown)
        noted = [line for line in lines if line.startswith("columns left out")]
        assert noted == ([f"columns left out at this width: {left_out}"] if left_out else [])


@pytest.mark.parametrize("seeds", [1, 3])
def test_forecasts_of_several_seeds_have_the_ensemble_beside_the_first(
    seeds: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_PIPE_COLUMNS", 80)
    paths = stored(tmp_path, make_forecasts(24), "train.epochs=0", 'train.weights="memory://w/run"', seeds=seeds)
    capsys.readouterr()
    assert main(["report", f"--root={tmp_path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (head,) = [line.split() for line in lines if "typical error" in line]
    assert head[:4] == ["ticker", "close", "lstm", "move"]
    assert ("ensemble" in head) == (seeds == 3)
    row = max(
        storage.read_json(paths.report("report.json"))["forecasts"]["rows"], key=lambda row: abs(row["lstm_return"])
    )
    (cells,) = [line.split() for line in lines if line.split()[:1] == [row["ticker"]]]
    if seeds == 3:
        assert cells[head.index("ensemble")] == f"{row['ensemble_price']:,.2f}"
    assert cells[head.index("ridge")] == f"{row['ridge_price']:,.2f}"


def test_rejected_and_filled_bars_are_told_with_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = a_run(f"file://{tmp_path}")
    storage.write_json(paths.config, parse({"market": {"source": "synthetic"}}).model_dump(mode="json"))
    reasons = [
        {"reason": "empty_row", "rows": 700, "meaning": None},
        {"reason": "text_line", "rows": 21, "meaning": None},
    ]
    quality = {"rows": 21_923, "refused": 721, "filled": 1, "reasons": reasons}
    storage.write_json(paths.report("report.json"), {"models": [], "quality": quality})
    assert main(["report", f"--root={tmp_path}"]) == 0
    told = "cleaning rejected 721 of 21,923 rows (empty_row 700, text_line 21), and filled 1 session\n"
    assert told in capsys.readouterr().out
    storage.write_json(paths.report("report.json"), {"models": [], "quality": quality | {"refused": 0, "filled": 0}})
    assert main(["report", f"--root={tmp_path}"]) == 0
    assert "cleaning" not in capsys.readouterr().out


def test_the_results_say_in_one_line_what_each_group_of_columns_brings() -> None:
    exogenous = make_exogenous()
    summary = ReportSummary.model_validate_json(to_json(report_of(make_forecasts(), exogenous=exogenous)))
    tests = {row.inputs: row.against_none for row in exogenous.ablation if row.against_none}
    parts = ablation_line(summary).split("; ")
    assert [part.split(":")[0] for part in parts] == list(tests) == ["macro", "news", "both"]
    for part, test in zip(parts, tests.values(), strict=True):
        share = test.difference or 0.0
        than = "smaller" if share < 0 else "larger"
        assert part.endswith(f": squared error {abs(share):.2%} {than} than without (DM p 0.230)")
    assert ablation_line(ReportSummary()) == ""
