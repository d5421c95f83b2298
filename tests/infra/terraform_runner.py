"""Runs Terraform on a copy of infra/, with the provider of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from requirements import without

REPOSITORY = Path(__file__).parents[2]
TIMEOUT_S = 900.0


class Running:
    """A running Terraform; its output goes to files."""

    def __init__(self, words: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> None:
        self._words = words
        self._printed, self._warned = folder / f"{words[0]}.out", folder / f"{words[0]}.err"
        with self._printed.open("wb") as printed, self._warned.open("wb") as warned:
            self._process = subprocess.Popen(
                ["terraform", *words],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=warned,
                start_new_session=True,
            )

    def failure(self) -> str:
        """The end of its output after a failure; empty after a success."""
        status = self._process.wait(TIMEOUT_S)
        texts = [path.read_text(errors="replace")[-4000:] for path in (self._printed, self._warned)]
        return "\n".join([f"terraform {' '.join(self._words)} ended with {status}", *texts]) if status else ""

    def succeeded(self) -> str:
        """Its output; fails the test if Terraform failed."""
        if failure := self.failure():
            pytest.fail(failure)
        return self._printed.read_text()

    def is_running(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Stops it and its providers if it still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class Terraform:
    """Terraform in a root module.

    Args:
        folder: The root module.
        environment: By which the provider finds its services; nothing of this machine's AWS settings is kept.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_VAR_"))}
        fixed = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1", "TF_CLI_ARGS": "-no-color"}
        fixed |= {
            "GOGC": "400"
        }  # the provider's schema is large, and going over it again and again takes a sixth longer
        self.environment = dict(environment)
        self._environment = kept | self.environment | fixed

    def start(self, *words: str) -> Running:
        """Starts `terraform` with these arguments."""
        return Running(words, self.folder, self._environment)

    def run(self, *words: str) -> str:
        """The output of `terraform` with these arguments."""
        return self.start(*words).succeeded()


class Applying:
    """A running apply of two roots: of the second as soon as the first has its first resource, a bucket.

    Args:
        first: A root whose first resource the second one reads.
        second: The other root.
    """

    def __init__(self, first: Terraform, second: Terraform) -> None:
        self._ended = threading.Event()
        self._first = first.start("apply", "-auto-approve")
        self._second: Running | None = None
        self._thread = threading.Thread(target=self._go_on, args=(first.folder, second))
        self._thread.start()

    def _go_on(self, folder: Path, second: Terraform) -> None:
        printed = folder / "apply.out"
        while "Creation complete" not in printed.read_text() and self._first.is_running():
            if self._ended.wait(0.2):
                return
        self._second = second.start("apply", "-auto-approve")

    def succeeded(self) -> None:
        """Waits for both; fails the test if Terraform failed."""
        self._first.succeeded()
        self._thread.join()
        assert self._second is not None
        self._second.succeeded()

    def kill(self) -> None:
        """Stops what still runs."""
        self._ended.set()
        self._thread.join()
        for running in (self._first, self._second):
            if running is not None:
                running.kill()


def require_terraform() -> None:
    """Skips or fails the test without Terraform."""
    if shutil.which("terraform") is None:
        without("terraform", "there is no terraform on this machine")


def copied(place: Path, cloud: str = "aws") -> Path:
    """A copy of the root of a cloud below `place`, with the files that it reads and without state."""
    for name in ("bootstrap", "infra"):
        ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars")
        shutil.copytree(REPOSITORY / name, place / name, ignore=ignored)
    return place / "infra" / "terraform" / cloud


def initialized(folder: Path, environment: Mapping[str, str]) -> Terraform:
    """Terraform in `folder` with its provider, from TF_PLUGIN_DIR or else from the registry."""
    require_terraform()
    terraform = Terraform(folder, environment)
    mirror = os.environ.get("TF_PLUGIN_DIR")
    failure = terraform.start("init", *([f"-plugin-dir={mirror}"] if mirror else [])).failure()
    if failure and mirror:
        pytest.fail(f"TF_PLUGIN_DIR={mirror} has no provider for {folder.name}: {failure}")
    if failure:
        without(
            "terraform",
            f"terraform finds no provider for {folder.name}: it needs a network, or a mirror in TF_PLUGIN_DIR",
        )
    return terraform
