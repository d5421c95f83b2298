"""Style of both scripts, and the script of Spark nodes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bootstrap.machine import BOOTSTRAP, Machine, program_of_this_machine

SCRIPTS = [*sorted(BOOTSTRAP.glob("*.sh")), BOOTSTRAP.parent / ".ci" / "run"]
PYTHON = "#!/bin/sh\necho {}\n"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    shellcheck = program_of_this_machine("shellcheck")
    if shellcheck is None:
        pytest.skip("there is no shellcheck")
    done = subprocess.run([shellcheck, "--norc", script], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_strict_and_short(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert len(lines) < 420
    assert script.stat().st_size < 15_000  # of the 16 KiB of user data, with six more lines
    assert script.stat().st_mode & 0o111


def node(machine: Machine, python: Path) -> subprocess.CompletedProcess[str]:
    return machine.run(str(python), script=BOOTSTRAP / "spark-node.sh")


def test_a_node_with_the_interpreter_needs_nothing(tmp_path: Path) -> None:
    machine, python = Machine(tmp_path), tmp_path / "python3.11"
    python.write_text(PYTHON.format("3.11"))
    python.chmod(0o755)
    assert node(machine, python).returncode == 0
    assert machine.calls() == []


def test_a_node_of_emr_installs_the_interpreter(tmp_path: Path) -> None:
    machine, python = Machine(tmp_path), tmp_path / "python3.11"
    machine.program("sudo", '"$@"\n')
    machine.program("dnf", f"printf '#!/bin/sh\\necho 3.11\\n' >{python}; chmod +x {python}\n")
    assert node(machine, python).returncode == 0
    assert machine.calls("dnf") == ["dnf install --assumeyes --quiet --setopt=timeout=10 --setopt=retries=2 python3.11"]
    assert node(machine, python).returncode == 0
    assert len(machine.calls("dnf")) == 1


@pytest.mark.parametrize("folder", ["bin", "default/bin"])
def test_a_node_of_dataproc_uses_the_interpreter_of_the_image(tmp_path: Path, folder: str) -> None:
    machine, python = Machine(tmp_path), tmp_path / "python3.11"
    brought = machine.prefix / "opt/conda" / folder / "python3.11"
    brought.parent.mkdir(parents=True)
    brought.write_text(PYTHON.format("3.11"))
    brought.chmod(0o755)
    done = node(machine, python)
    assert (done.returncode, done.stderr) == (0, "")
    assert python.readlink() == brought


def test_a_node_of_dataproc_without_an_interpreter_installs_it(tmp_path: Path) -> None:
    machine, python = Machine(tmp_path), tmp_path / "python3.11"
    machine.program(
        "apt-get", f"[[ $1 == update ]] || {{ printf '#!/bin/sh\\necho 3.11\\n' >{python}; chmod +x {python}; }}\n"
    )
    assert node(machine, python).returncode == 0
    update, install = machine.calls("apt-get")
    assert update.startswith("apt-get update --quiet -o Acquire::Retries=2 ")
    assert install.endswith("Acquire::https::Timeout=10 python3.11")


def test_a_node_with_another_interpreter_fails(tmp_path: Path) -> None:
    machine, python = Machine(tmp_path), tmp_path / "python3.11"
    python.write_text(PYTHON.format("3.9"))
    python.chmod(0o755)
    done = node(machine, python)
    assert done.returncode == 1
    assert f"{python} is python3.9" in done.stderr


@pytest.mark.parametrize("installer", ["apt-get", "dnf"])
@pytest.mark.parametrize("answers", ["never", "once"])
def test_a_node_that_cannot_install_it_says_so(tmp_path: Path, installer: str, answers: str) -> None:
    machine = Machine(tmp_path)
    machine.program("sudo", '"$@"\n')
    machine.program(installer, "exit 1\n" if answers == "never" else "[[ $1 == update ]]\n")
    done = node(machine, tmp_path / "python3.11")
    assert done.returncode == 1
    assert f"the image has no {tmp_path}/python3.11, and no package source gives it (egress = none?)" in done.stderr


@pytest.mark.parametrize("path", ["python3.11", "/usr/bin/bash", "/usr/bin/python3.11 -x", "/usr/bin/--python3.11"])
def test_a_node_rejects_arguments_that_are_no_interpreter_path(tmp_path: Path, path: str) -> None:
    machine = Machine(tmp_path)
    done = node(machine, Path(path))
    assert done.returncode == 2
    assert "is no path of an interpreter" in done.stderr
    assert machine.calls() == []
