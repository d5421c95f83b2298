"""Completion in real shells: a tab is typed, and the shell runs what it has completed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from cloudlstm.cli import main
from cloudlstm.cli.commands import COMMANDS
from cloudlstm.cli.completion import SHELLS, script
from cloudlstm.config import fields

STARTS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
LINES = [
    ("statu", "status"),
    ("submit train.ep", "submit train.epochs="),
    ("submit train.schedule=cos", "submit train.schedule=cosine"),
    ("submit --dry", "submit --dry-run"),
    ("logs --run=core6-1", "logs --run=core6-1a2b"),
    ("logs core6-1", "logs core6-1a2b"),
    ("runs other core6-1", "runs other core6-1a2b"),
    ("submit --config=mine", "submit --config=mine.toml"),
    ("submit --detach market.path=mi", "submit --detach market.path=mine.toml"),
    ("completion fi", "completion fish"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration and one run; the index has a file whose name is a command."""
    (tmp_path / "mine.toml").touch()
    (tmp_path / "runs" / "index").mkdir(parents=True)
    for name in ("core6-1a2b", "demo-9f", "core6-1$(touch hacked)", "core6-1;touch hacked"):
        (tmp_path / "runs" / "index" / name).touch()
    for shell in SHELLS:
        (tmp_path / f"{shell}.script").write_text(script(shell, COMMANDS))
    return tmp_path


def typed(shell: str, line: str, folder: Path) -> str:
    """What `cloudlstm` gets after `cloudlstm LINE`, a tab and Enter in an interactive shell."""
    environment = {key: value for key, value in os.environ.items() if key != "CLOUDLSTM_ROOT"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(STARTS[shell][0], STARTS[shell], environment | {"PS1": "", "TERM": "dumb", "HOME": str(folder)})
    try:
        setup = f". ./{shell}.script; cloudlstm() {{ printf 'GOT''<%s>' \"$*\"; }}; printf 'REA''DY'\n"
        os.write(terminal, setup.encode())
        _until(terminal, "READY")
        os.write(terminal, f"cloudlstm {line}\t\n".encode())
        return _until(terminal, "GOT<", ">").rpartition("GOT<")[2].partition(">")[0].rstrip()
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def _until(terminal: int, *marks: str) -> str:
    """Reads until the marks have appeared one after the other."""
    text = ""
    while True:
        rest = text
        for mark in marks:
            rest = rest.partition(mark)[2] if mark in rest else "missing"
        if rest != "missing":
            return text
        assert select.select([terminal], [], [], 60)[0], f"no answer after: {text}"
        text += os.read(terminal, 4096).decode(errors="replace")


@pytest.mark.parametrize(("line", "completed"), LINES)
@pytest.mark.parametrize("shell", list(STARTS))
def test_a_tab_completes_a_word(shell: str, line: str, completed: str, folder: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} on this machine")
    assert typed(shell, line, folder) == completed
    assert not (folder / "hacked").exists()


@pytest.mark.parametrize(("line", "completed"), LINES)
def test_fish_completes_a_word(line: str, completed: str, folder: Path) -> None:
    assert fish(line, folder) == [completed.rpartition(" ")[2]]


def fish(line: str, folder: Path) -> list[str]:
    """What fish proposes for the last word of `cloudlstm LINE`."""
    if not shutil.which("fish"):
        pytest.skip("no fish on this machine")
    command = f"source fish.script; complete -C 'cloudlstm {line}'"
    environment = {key: value for key, value in os.environ.items() if key != "CLOUDLSTM_ROOT"} | {"HOME": str(folder)}
    done = subprocess.run(
        ["fish", "--no-config", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return [row.partition("\t")[0] for row in done.stdout.splitlines()]


def test_bash_proposes_all_words_that_fit(folder: Path) -> None:
    code = """. ./bash.script; COMP_LINE="$1" COMP_POINT=${#1}; _cloudlstm; printf '%s\\n' "${COMPREPLY[@]}" """
    done = subprocess.run(
        ["bash", "--norc", "-c", code, "bash", "cloudlstm submit train."],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"{name}=" for name in fields.names() if name.startswith("train.")]


def test_the_folder_of_runs_may_be_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """. ./bash.script; _cloudlstm_runs --run="""
    elsewhere = folder / "elsewhere"
    (elsewhere / "index").mkdir(parents=True)
    (elsewhere / "index" / "far-1").touch()
    done = subprocess.run(
        ["bash", "--norc", "-c", code], cwd=folder, env=os.environ | {"CLOUDLSTM_ROOT": str(elsewhere)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "--run=far-1\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == script(shell, COMMANDS)


def test_a_shell_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion"]) == 2
    assert "completion needs the word SHELL (try: cloudlstm completion --help)" in capsys.readouterr().err
    assert main(["completion", "tcsh"]) == 2
    assert "there is no completion for tcsh (try: cloudlstm completion bash, zsh or fish)" in capsys.readouterr().err
