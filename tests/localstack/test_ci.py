"""Runs the shell steps of the example workflow as a CI service does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "examples" / "ci" / "pipeline.yml"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder as the workflow has it after its set-up: the project's files, and this environment as .venv."""
    for name in ("bootstrap", "examples", "jobs", "localstack", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name, command in (("python", ""), ("cloudlstm", " -m cloudlstm")):
        script = tmp_path / ".venv" / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
        script.chmod(0o755)
    return tmp_path


def test_the_steps_of_the_workflow(checkout: Path) -> None:
    workflow: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    steps = workflow["jobs"]["pipeline"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    setup, up, environment, submit, down = commands
    assert setup == "make setup"  # that is how this environment was made
    assert steps[-1]["if"] == "always()"
    exported = checkout / "github-env"
    try:
        _run(up, checkout, exported)
        _run(environment, checkout, exported)
        target = json.loads((checkout / "target.json").read_text())
        # What the next steps of a workflow see: the variables of that file.
        output = _run(
            ".venv/bin/python -c \"import boto3; print(boto3.client('emr').describe_cluster("
            f"ClusterId='{target['spark_cluster']}')['Cluster']['Status']['State'])\"",
            checkout,
            exported,
        )
        assert output == "WAITING\n"
        assert submit.startswith(".venv/bin/cloudlstm submit --target=target.json --config=examples/")
        assert (ROOT / submit.rpartition("--config=")[2]).exists()
    finally:
        ended = _run(down, checkout, exported)
    names = {line.partition("=")[0] for line in exported.read_text().splitlines()}
    unset = {line.removeprefix("unset ") for line in ended.splitlines()}
    assert names < unset  # also what `env --terraform` would have exported
    assert "TF_VAR_spark_machine" in unset - names


def _run(command: str, checkout: Path, exported: Path) -> str:
    variables = dict(line.split("=", 1) for line in exported.read_text().splitlines()) if exported.exists() else {}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        cwd=checkout,
        env=os.environ | {"GITHUB_ENV": str(exported)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
