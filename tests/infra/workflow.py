"""Runs the shell steps of examples/ci/cloud.yml as a CI service does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.terraform_runner import REPOSITORY

WORKFLOW: dict[str, Any] = yaml.safe_load((REPOSITORY / "examples" / "ci" / "cloud.yml").read_text())


class Job:
    """A job of the workflow in a checkout.

    Args:
        name: Its name.
        checkout: The folder in which its steps run.
        variables: Variables of the repository, as in `vars.CLOUD`.
        environment: What the machine and the steps before have set.
    """

    def __init__(self, name: str, checkout: Path, variables: Mapping[str, str], environment: Mapping[str, str]) -> None:
        job = WORKFLOW["jobs"][name]
        self.checkout = checkout
        self.steps = {step["name"]: step["run"] for step in job["steps"] if "name" in step}
        settings = WORKFLOW["env"] | job.get("env", {})
        own = {key: _filled(value, variables) for key, value in settings.items()}
        self._environment = os.environ | dict(environment) | own

    def start(self, step: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs a step; more variables count over those of the job."""
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", self.steps[step]],
            cwd=self.checkout,
            env=self._environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, step: str, **more: str) -> str:
        """The output of a step that succeeds."""
        done = self.start(step, **more)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


def commands_of(checkout: Path) -> None:
    """Puts this environment into a checkout as .venv, as `make setup` would."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    for name, command in (("python", ""), ("cloudlstm", " -m cloudlstm")):
        script = checkout / ".venv" / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
        script.chmod(0o755)


def _filled(value: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ vars\.(\w+) \}\}", lambda found: variables.get(found[1], ""), value)
