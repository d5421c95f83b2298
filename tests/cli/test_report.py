"""`report`: JSON, copies of its files, and the browser."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.config import parse
from cloudlstm.runs import index
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.paths import RunPaths

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
