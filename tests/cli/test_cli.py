"""The command line: words that it accepts and rejects; nothing runs before every word is accepted."""

from __future__ import annotations

import http.server
import inspect
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.cli import main, plans
from cloudlstm.cli.commands import COMMANDS
from cloudlstm.cli.flags import command_line
from cloudlstm.cli.progress import figures, summary
from cloudlstm.errors import AccessDeniedError, FetchError
from cloudlstm.market.sources import base
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress
from cloudlstm.targets import Plan, open_target

REPO = Path(__file__).resolve().parents[2]
DEMO = str(REPO / "examples" / "demo.toml")


def run(*words: str, root: Path) -> int:
    return main([*words, f"--root={root}"])


def nothing_in(folder: Path) -> bool:
    return not any(folder.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["submit", f"--config={DEMO}", "--dry-runn"],
        ["submit", f"--config={DEMO}", "--trget=local"],
        ["submit", "market.source=synthetic", "trian.epochs=3"],
        ["submit", "market.source=synthetic", "epochs"],
        ["submit", "market.source=synthetic", "--target=moon"],
        ["submit", "market.source=synthetic", "--dry-run=maybe"],
        ["submit", "market.source=synthetic", "--config"],
        ["submit", "market.source=synthetic", "--run=9lives"],
        ["submit", "--config=nowhere.toml"],
        ["submit", "market.source=synthetic", "market.start=2024-01-01", "market.end=2010-01-01"],
        ["sumbit"],
        ["status", "--run=never-was"],
        ["report"],
        ["logs", "--folow"],
    ],
)
def test_a_usage_error_ends_with_2_and_does_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, root=tmp_path) == 2
    assert nothing_in(tmp_path)
    assert capsys.readouterr().err


def test_a_run_in_memory_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", f"--config={DEMO}", "--root=memory://runs"]) == 2
    assert "memory://" in capsys.readouterr().err


def test_the_error_for_an_unknown_scheme_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", f"--config={DEMO}", "--root=ftp://runs"]) == 2
    assert "s3://" in capsys.readouterr().err


def test_an_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("submit", "market.source=synthetic", "trian.epochs=3", root=tmp_path) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines == ["cloudlstm: unknown key 'trian', did you mean 'train'?"]


def test_several_problems_of_the_settings_have_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("submit", "market.source=synthetic", "train.epochs=x\u202e", "model.units=0", root=tmp_path) == 2
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "cloudlstm: the settings have 2 problems"
    assert sorted(others) == [
        "  model.units must be at least 1, not 0",
        "  train.epochs must be a whole number, not 'x\\u202e'",
    ]


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["sumbit"], "there is no command 'sumbit'; the commands are submit, "),
        (["submit", f"--config={DEMO}", "--dry-runn"], "submit has no flag --dry-runn; its flags are --config, "),
        (["logs", "--folow"], "(try: --follow)"),
        (["doctor", "--rot=x"], "(try: --root)"),
        (["report", "one", "two"], "report has no further word such as two"),
    ],
)
def test_the_error_for_a_mistyped_word_is_one_line(
    words: list[str], output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDLSTM_ROOT", str(tmp_path))
    assert main(words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert output in line


@pytest.mark.parametrize("flag", ["-r", "--run"])
def test_the_short_flag_r_names_the_run(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("logs", flag, "never-was", root=tmp_path) in (0, 2)
    assert "ambiguous" not in capsys.readouterr().err


@pytest.mark.parametrize("verb", list(COMMANDS))
def test_the_help_of_every_command_names_its_flags_and_fits_the_terminal(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--help"]) == 0
    output = capsys.readouterr().out
    assert f"usage: cloudlstm {verb}" in output
    for name, parameter in inspect.signature(COMMANDS[verb]).parameters.items():
        if parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            assert f"--{name.replace('_', '-')}" in output
    assert max(map(len, output.splitlines())) <= 80


def test_a_dry_run_prints_the_whole_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("submit", f"--config={DEMO}", "--dry-run", "train.workers=3", root=tmp_path) == 0
    assert nothing_in(tmp_path)
    plan = json.loads(capsys.readouterr().out)
    assert plan["run"].startswith(f"file://{tmp_path}/demo-")
    jobs = {request["job"]: request for request in plan["requests"] if request["action"] == "job"}
    assert list(jobs) == ["prepare", "train"]
    clusters = [json.loads(process["env"]["TF_CONFIG"]) for process in jobs["train"]["processes"]]
    assert [cluster["task"]["index"] for cluster in clusters] == [0, 1, 2]
    assert len({json.dumps(cluster["cluster"]) for cluster in clusters}) == 1
    assert clusters[0]["cluster"]["worker"] == [f"127.0.0.1:${{port.{index}}}" for index in range(3)]


def test_equal_configurations_name_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = []
    for words in ([], [], ["train.seed=2"]):
        run("submit", f"--config={DEMO}", "--dry-run", *words, root=tmp_path)
        names.append(json.loads(capsys.readouterr().out)["run"])
    assert names[0] == names[1] != names[2]


def test_paths_in_settings_become_uris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["market.source=files", "market.path=bars/*.csv"]
    plan = plans.submit_plan(open_target(None), config=None, overrides=words, root=str(tmp_path), run=None)
    assert plan.requests[0]["document"]["market"]["path"] == f"file://{tmp_path}/bars/*.csv"


@pytest.mark.parametrize(
    ("words", "cause"),
    [(["market.source=files", "market.path=nowhere.csv"], "there is no file at"),
     (["universe.path=nowhere.txt"], "nowhere.txt"),
     (["universe.tickers=AAPL"], "Yahoo Finance cannot be reached"),
     (["market.source=synthetic", "train.weights=nowhere"], "no trained run at")],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_a_submit_that_cannot_get_bars_makes_nothing(
    words: list[str], cause: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_yahoo: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run("submit", *words, root=tmp_path) != 0
    assert cause in capsys.readouterr().err
    assert nothing_in(tmp_path)
    asks_service = "Yahoo" in cause
    assert (run("submit", *words, "--dry-run", root=tmp_path) == 0) == asks_service, "a dry run asks no service"
    assert (cause in capsys.readouterr().err) != asks_service
    assert nothing_in(tmp_path)


def test_a_run_that_has_its_bars_needs_no_service(tmp_path: Path, no_yahoo: None) -> None:
    here = open_target(None)
    plan = plans.submit_plan(here, config=None, overrides=["universe.tickers=AAPL"], root=str(tmp_path), run="mine")
    with pytest.raises(FetchError):
        plans.look(plan, plans.config_of(plan), here)
    storage.write_json(RunPaths(plan.run).manifest("ingest"), {})
    plans.look(plan, plans.config_of(plan), here)


def test_a_source_that_only_the_cloud_reaches_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def look_at_source(*_: object, **__: object) -> None:
        raise AccessDeniedError("no rights to read s3://bars/a.csv")

    monkeypatch.setattr(base, "look_at_source", look_at_source)
    here = open_target(None)
    plan = plans.submit_plan(here, config=DEMO, overrides=[], root=str(tmp_path), run=None)
    with pytest.raises(AccessDeniedError):
        plans.look(plan, plans.config_of(plan), here)
    cloud: Any = SimpleNamespace(name="aws", root="s3://bucket/runs")
    plans.look(plan, plans.config_of(plan), cloud)
    assert "checked on aws, not here: no rights to read s3://bars/a.csv" in capsys.readouterr().err
    plans.look(plan, plans.config_of(plan), cloud, quiet=True)
    assert not capsys.readouterr().err


def test_a_command_to_type_again_names_the_program_as_the_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / ".venv" / "bin" / "cloudlstm"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script), "submit"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert command_line("runs", ()) == [".venv/bin/cloudlstm", "runs"]
    monkeypatch.setenv("PATH", str(script.parent))
    assert command_line("runs", ()) == ["cloudlstm", "runs"]
    monkeypatch.setattr(sys, "argv", ["/usr/bin/python -m"])
    assert command_line("runs", ()) == ["cloudlstm", "runs"]


def test_help_goes_to_standard_output_and_is_complete() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cloudlstm", "--help"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    for verb in ("submit", "status", "logs", "cancel", "report", "runs", "predict", "doctor"):
        assert verb in done.stdout


def test_commands_that_read_runs_say_when_there_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("runs", root=tmp_path) == 0
    assert "no runs in" in capsys.readouterr().out


@pytest.fixture
def no_yahoo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port of this machine at which no server listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("CLOUDLSTM_YAHOO_URL", f"http://127.0.0.1:{free.getsockname()[1]}")


def test_doctor_checks_the_storage_of_the_root(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_yahoo: None
) -> None:
    assert run("doctor", root=tmp_path) == 0
    output = capsys.readouterr().out
    assert "warn  yahoo" in output
    assert "can be written, listed, read and deleted" in output
    assert nothing_in(tmp_path)


def test_doctor_checks_yahoo_only_if_it_is_the_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "market.source=synthetic", root=tmp_path) == 0
    assert "  yahoo  " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "output"), [(200, "ok    yahoo"), (404, "ok    yahoo"), (429, "refuses this address")]
)
def test_for_doctor_every_http_status_of_yahoo_is_an_answer(
    status: int, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        monkeypatch.setenv("CLOUDLSTM_YAHOO_URL", f"http://127.0.0.1:{server.server_port}/")
        assert run("doctor", root=tmp_path) == 0
        thread.join()
    assert output in capsys.readouterr().out


def test_doctor_names_the_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, no_yahoo: None
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("cloudlstm.targets.local.java._find_packaged_java", lambda: None)
    assert run("doctor", root=blocked / "runs") == 1
    output = capsys.readouterr().out
    assert output.count("FAIL") == 2
    assert output.count("fix:") >= 1


def test_a_plan_is_a_value() -> None:
    plan = Plan("submit", "file:///runs/x", ({"action": "mark"},))
    assert json.loads(plan.to_json())["requests"] == [{"action": "mark"}]


def test_progress_of_several_workers_of_a_step_is_not_added_up() -> None:
    output = [Progress("train", f"worker-{index}", 40 + index, 100, "windows", 10.0, 20.0) for index in range(2)]
    (shown,) = summary(output)
    assert (shown.done, shown.total, shown.finished) == (41, 100, False)
    assert figures(shown) == "4.1 windows/s · 14 s left"
