"""A worker that must see a GPU, on a machine whose GPU TensorFlow cannot use: this one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.runs.environment import ACCELERATOR
from cloudlstm.workers import rendezvous
from training.runs import make_default_run

pytestmark = pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has a GPU")

TRAIN = Path(__file__).parents[2] / "jobs" / "train.py"
AGENT = """
import sys
from cloudlstm.workers.agent import TrainerAgent
from cloudlstm.workers.assignment import Assignment
assignment = Assignment(sys.argv[1], 1, 1, 28570, accelerator="cuda")
sys.exit(TrainerAgent(assignment, "127.0.0.41", [sys.executable, sys.argv[2]]).run())
"""


def test_a_machine_whose_gpu_cannot_be_used_fails_the_run_and_says_what_it_found(tmp_path: Path) -> None:
    paths = make_default_run(tmp_path, "asks-for-gpu")
    storage.write_json(paths.settings(1), storage.read_json(paths.config))
    storage.write_json(paths.attempt(1), {})
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "nvidia-smi").write_text("#!/bin/sh\necho 'Tesla T4, 595.91'\n")
    (programs / "nvidia-smi").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", AGENT, paths.uri, TRAIN], cwd=tmp_path, env=os.environ | {"PATH": path},
        stderr=subprocess.DEVNULL, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0
    first, last = (rendezvous.read(paths, number) for number in (1, 2))
    assert (last.outcome, last.restarts, first.hosts) == ("failed", (), ["127.0.0.41"])
    failure = storage.read_json(paths.failure("train"))
    assert failure["kind"] == "MachineError"
    said = failure["message"]
    assert said.startswith(f"{platform.node()} was to train on a GPU, and TensorFlow 2.")
    assert "nvidia-smi says: Tesla T4, 595.91; TensorFlow says: " in said
    assert "failed call to cuInit" in said
    assert "trainer_gpu" in failure["hint"]
    logs = {item.uri: storage.read(item.uri).decode() for item in storage.list_objects(paths.logs)}
    assert any(said in text for text in logs.values())
    assert any("machine-127.0.0.41" in uri for uri in logs)


def test_a_worker_that_need_not_see_a_gpu_takes_its_cores() -> None:
    code = "from cloudlstm.training import devices; print(devices.configure())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {ACCELERATOR: "cpu"}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.stdout.startswith("('CPU:0'"), done.stderr
