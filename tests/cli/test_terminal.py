"""Output to a terminal or a pipe: text is printed literally, and a closed pipe is not an error."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from cloudlstm import storage
from cloudlstm.cli import main, terminal
from cloudlstm.cli.board import Board, progress_display
from cloudlstm.cli.result import show_results
from cloudlstm.cli.tables import Column, console, fitted, print_line
from cloudlstm.config import parse
from cloudlstm.errors import DataError, to_record
from cloudlstm.runs import index
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress
from cloudlstm.targets import Plan

MARKUP = ["bars/[a-c]*.csv", "[/old]", "X[/B]", "[bold]AAPL[/bold]", "[link=http://x]y[/link]", ":apple:", "a\\[b]"]
"""What rich would take for markup or for an emoji, all of it names that files, tickers and settings can have."""


@pytest.fixture
def root(tmp_path: Path) -> str:
    return f"file://{tmp_path}"


def a_run(root: str, run_id: str = "core6-1a2b", **sections: object) -> RunPaths:
    paths = RunPaths.of(root, run_id)
    with Attempt(paths):
        config = parse({"market": {"source": "synthetic"}} | sections)
        storage.write_json(paths.config, config.model_dump(mode="json"))
        index.mark(root, run_id)
    return paths


@pytest.mark.parametrize("text", MARKUP)
def test_a_stored_error_is_printed_literally(root: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = a_run(root)
    error = DataError(f"no file matches {text}", hint=f"quote {text}")
    storage.write_json(paths.failure("prepare"), to_record(error))
    assert main(["status", f"--root={root}"]) == 0
    captured = capsys.readouterr().out
    assert f"prepare failed: no file matches {text}\n" in captured
    assert f"try: quote {text}\n" in captured


@pytest.mark.parametrize("text", MARKUP)
def test_tickers_are_printed_literally(root: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = a_run(root, train={"epochs": 0})
    row = {"ticker": text, "last_close": 1.0, "lstm_price": 2.0, "lstm_return": 0.7, "ridge_price": 1.0,
           "naive_price": 1.0, "typical_error_price": 0.1}  # fmt: skip
    found = {"rows": [row], "origin_date": "2024-12-31", "target_date": "2025-01-02", "tickers": 1, "ended_earlier": 0}
    storage.write_json(paths.report("report.json"), {"forecasts": found})
    assert show_results(paths) == 0
    assert f" {text} " in capsys.readouterr().out


@pytest.mark.parametrize("text", MARKUP)
def test_settings_and_headlines_are_printed_literally(root: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for run_id, path in (("one", text), ("two", "other.csv")):
        paths = a_run(root, run_id, market={"source": "files", "path": path})
        report = {"models": [], "headline": f"the headline has {text}", "data": {"last_date": text}}
        storage.write_json(paths.report("report.json"), report)
    assert main(["runs", "one", "two", f"--root={root}"]) == 0
    assert text in capsys.readouterr().out
    assert main(["runs", f"--root={root}"]) == 0
    assert text in capsys.readouterr().out
    assert main(["report", "one", f"--root={root}"]) == 0
    assert f"the headline has {text}\n" in capsys.readouterr().out


@pytest.mark.parametrize("text", MARKUP)
def test_cells_titles_and_lines_are_printed_literally(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    table, _ = fitted([Column(text, 1, text=True), Column("b", 2)], [[text, "1"], [Text(text), "2"]], 100)
    for out in (console(), Console(width=100, highlight=False)):
        out.print(table)
        assert capsys.readouterr().out.count(text) == 3
    print_line(console(), text)
    console().print(text)
    assert capsys.readouterr().out == f"{text}\n{text}\n"


def test_the_link_to_a_path_with_a_space_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    from cloudlstm.cli.result import print_link

    place = "s3://bucket/my runs/[old]/report.html"
    print_link(console(), "report", place)
    assert capsys.readouterr().out == f"report  {place}\n"
    file = io.StringIO()
    print_link(Console(file=file, force_terminal=True, color_system="standard"), "report", place)
    assert f";{place}\x1b\\{place}\x1b]8;;" in file.getvalue()


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece of text that goes to the terminal has its vowels marked."""
    monkeypatch.setattr(terminal, "printable_lines", lambda text: text.translate(str.maketrans("aeiou", "AEIOU")))


def test_every_command_prints_through_the_terminal_module(
    root: str, marked: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text is escaped in one place only."""
    paths = a_run(root)
    storage.write_json(paths.report("report.json"), {"models": [], "headline": "a headline", "created": "2026-01-01"})
    storage.write(paths.log("prepare", "driver", 1), b"2026-01-01T00:00:00+0000 INFO a line\nand a trace\n")
    storage.write_json(paths.failure("prepare"), to_record(DataError("a cause", hint="a hint")))
    for words in (["status"], ["logs"], ["report"], ["runs"], ["cancel"], ["--help"], ["runs", "--help"], ["version"],
                  ["sumbit"], ["status", "x"], ["submit", "--dry-run", "market.source=synthetic"],
                  ["delete", "core6-1a2b"], ["doctor", "market.source=synthetic"]):  # fmt: skip
        where = [] if words[0] in ("--help", "version", "sumbit") else [f"--root={root}"]
        main([*words, *where])
        captured = capsys.readouterr()
        text = captured.out + captured.err
        assert text.strip(), words
        assert not set("aeiou") & set(text), (words, text)
    plan = Plan("submit", paths.uri, ())
    with progress_display(plan) as watch:
        watch([Progress("train", "worker-0", 1, 2, "windows", 1.0, 2.0)])
    console().print(Board(paths.uri, 3))
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        main(["logs", f"--root={root}"])
    captured = capsys.readouterr()
    assert captured.err.strip()
    assert not set("aeiou") & set(captured.out + captured.err), captured


AT_THE_END = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
AT_ONCE = AT_THE_END | {"PYTHONUNBUFFERED": "1"}
"""Environments in which Python writes to pipes at the end, where there is little to write, and at once."""

both_ways = pytest.mark.parametrize("env", [AT_ONCE, AT_THE_END], ids=["at once", "at the end"])


def without_reader(*words: str, stderr: bool = False, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit status and standard error of a command whose output goes into a closed pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": writing, "stderr": subprocess.PIPE} if not stderr else {"stdout": writing, "stderr": writing}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "cloudlstm", *words],
            **streams, stdin=subprocess.DEVNULL, check=False, timeout=120, env=env,
        )  # type: ignore[call-overload]  # fmt: skip
    finally:
        os.close(writing)
    return done.returncode, (done.stderr or b"").decode()


@pytest.mark.parametrize(
    "words",
    [("--help",), ("runs", "--help"), ("version",), ("runs",), ("status",), ("logs",), ("report",),
     ("submit", "--dry-run", "market.source=synthetic")],
    ids=" ".join,
)  # fmt: skip
@both_ways
def test_a_closed_pipe_ends_the_command_without_an_error(
    root: str, words: tuple[str, ...], env: dict[str, str]
) -> None:
    paths = a_run(root)
    storage.write_json(paths.report("report.json"), {"models": [], "headline": "a headline"})
    storage.write(paths.log("prepare", "driver", 1), b"a line\n" * 30_000)
    where = () if {"--help", "version"} & set(words) else (f"--root={root}",)
    assert without_reader(*words, *where, env=env) == (0, "")


@both_ways
def test_output_can_be_piped_into_head(root: str, env: dict[str, str]) -> None:
    """Uses the real `head`, several times, because the moment of its exit varies."""
    paths = a_run(root)
    storage.write(paths.log("prepare", "driver", 1), b"a line\n" * 30_000)
    for words in ("--help", "--help", "runs --help", "runs --help", f"logs --root={root}"):
        shell = f"set -o pipefail; {sys.executable} -m cloudlstm {words} | head -1"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False, timeout=120, env=env)
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1), words


def test_a_closed_pipe_does_not_change_the_status_of_an_error(root: str) -> None:
    assert without_reader("status", f"--root={root}", stderr=True) == (2, "")
    assert without_reader("sumbit", stderr=True) == (2, "")


def test_work_continues_when_standard_error_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _: str) -> None:
            raise BrokenPipeError

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr("sys.stderr", Gone())
    with progress_display(Plan("submit", "file:///runs/x", ())) as watch:
        watch([Progress("train", "worker-0", 1, 2, "windows", 1.0, time.time())])


def test_a_broken_pipe_of_another_connection_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise BrokenPipeError("some other pipe")

    monkeypatch.setattr("cloudlstm.cli._run", broken)
    with pytest.raises(BrokenPipeError, match="some other pipe"):
        main(["runs"])


@both_ways
@pytest.mark.parametrize("words", ["--help", "version", "runs --root=ROOT"])
def test_a_closed_or_full_output_is_one_error_line(root: str, words: str, env: dict[str, str]) -> None:
    a_run(root)
    command = f"{sys.executable} -m cloudlstm {words.replace('ROOT', root)}"
    full = "cloudlstm: cannot write the output: No space left on device\n"
    for redirected, status, captured in ((">&-", 0, ""), (">/dev/full", 1, full)):
        shell = f"{command} {redirected}"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False, timeout=120, env=env)
        assert (done.returncode, done.stderr) == (status, captured), redirected


def test_characters_that_the_encoding_lacks_are_escaped(root: str) -> None:
    paths = a_run(root)
    storage.write_json(paths.failure("prepare"), to_record(DataError("no file matches 股價.csv")))
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "cloudlstm", "status", f"--root={root}"],
        capture_output=True, text=True, check=False, env=env, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no file matches \\u80a1\\u50f9.csv" in done.stdout


def test_no_module_of_cli_prints_directly() -> None:
    found = set()
    for path in Path(terminal.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("Console", "print", "sys.stdout.write", "sys.stderr.write"):
                    found.add((path.name, called))
    assert found == {("terminal.py", "sys.stdout.write"), ("terminal.py", "sys.stderr.write")}
