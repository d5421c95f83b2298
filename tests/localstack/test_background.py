"""A cloud in the background is found by its folder, and all its processes end with it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from localstack import background
from on_emulators import alive, until

ROOT = Path(__file__).parents[2]


def localstack(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line in the project's root."""
    command = [sys.executable, "-m", "localstack", words[0], f"--folder={folder}", *words[1:]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def processes(folder: Path) -> dict[int, str]:
    """Returns the processes that work in the folder or have it in their command line, without this test."""
    found = {}
    for each in Path("/proc").glob("[0-9]*"):
        try:
            words = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            inside = (each / "cwd").readlink().is_relative_to(folder)
        except OSError:
            continue
        if (inside or str(folder) in words) and int(each.name) != os.getpid():
            found[int(each.name)] = words
    return found


def killed(folder: Path) -> None:
    """Kills the cloud's main process; checks that all others end, including the one that keeps its network."""
    settings = folder / "data" / "relay" / "settings.json"  # there is none where the kernel allows no network
    keepers = [int(json.loads(settings.read_text())["enter"][-1])] if settings.exists() else []
    assert all(map(alive, keepers))
    os.kill(int((folder / "lock").read_text()), signal.SIGKILL)
    until(lambda: not processes(folder), "all processes to go")
    until(lambda: not any(map(alive, keepers)), "the network's keeper to go")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killing_it_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "cloud"
    up = localstack(folder, "up", "--target", str(tmp_path / "target.json"), "--name=killed", "--models=core6,sp50")
    assert up.returncode == 0, up.stderr
    exported = dict(line.removeprefix("export ").split("=", 1) for line in up.stdout.splitlines())
    assert exported == background.environment(folder)
    assert localstack(folder, "env").stdout == up.stdout
    terraforms = variables_for_terraform(folder, exported)
    target = json.loads((tmp_path / "target.json").read_text())
    assert target["bucket_uri"] == "s3://killed-data"
    assert (target["schedule"]["models"], target["schedule"]["time_zone"]) == (["core6", "sp50"], "America/New_York")
    moved = localstack(folder, "clock", "2024-06-28T18:30:00-04:00")
    assert moved.stderr == "no launcher comes\n"  # the first move only sets the time
    assert moved.stdout == localstack(folder, "clock").stdout == "2024-06-28T22:30:00+00:00\n"
    back = localstack(folder, "clock", "2024-06-27T18:30:00-04:00")
    assert (back.returncode, "only goes forward" in back.stderr) == (1, True)
    assert localstack(folder, "clock", "reset").stdout > "2026"
    second = localstack(folder, "up")
    assert (second.returncode, second.stdout) == (1, "")
    ended_with = f"python -m localstack down --folder={folder}"
    assert f"a cloud runs in {folder} already: end it with {ended_with}" in second.stderr
    assert f'end it with eval "$({ended_with})"' in up.stderr

    assert localstack(folder, "fault", "step-fails", "--reason=Disk full.", "--after-s=2.5").returncode == 0
    (fault,) = json.loads(localstack(folder, "fault", "list").stdout)
    assert (fault["kind"], fault["reason"], fault["after_s"], fault["times"]) == ("step-fails", "Disk full.", 2.5, 1)
    wrong = localstack(folder, "fault", "preempted")
    assert (wrong.returncode, wrong.stderr) == (1, "there is no machine 0: 0 run in group '*'\n")

    scaled = (
        "import boto3; boto3.client('autoscaling').set_desired_capacity("
        f"AutoScalingGroupName={target['trainer_group']!r}, DesiredCapacity=1)"
    )
    subprocess.run([sys.executable, "-c", scaled], env=os.environ | exported, check=True)
    until(lambda: any("localstack.machines.machine" in words for words in processes(folder).values()), "a machine")
    running = processes(folder)
    assert any("weed" in words for words in running.values())
    assert any("localstack.server.serve" in words for words in running.values())
    killed(folder)
    down = localstack(folder, "down")
    assert (down.returncode, down.stderr) == (1, f"no cloud runs in {folder}\n")
    unset = {line.removeprefix("unset ") for line in down.stdout.splitlines()}
    assert unset == exported.keys() | terraforms.keys(), "the shell still has these variables"
    assert localstack(folder, "env").returncode == 1


def variables_for_terraform(folder: Path, exported: dict[str, str]) -> dict[str, str]:
    """What `env --terraform` prints, after a check against the variables of the root and the environment of `up`."""
    printed = localstack(folder, "env", "--terraform").stdout
    found = dict(line.removeprefix("export ").split("=", 1) for line in printed.splitlines())
    assert found["AWS_ENDPOINT_URL_S3"] == exported["AWS_ENDPOINT_URL"] != exported["AWS_ENDPOINT_URL_S3"]
    assert {name: found[name] for name in exported} == exported | {"AWS_ENDPOINT_URL_S3": exported["AWS_ENDPOINT_URL"]}
    assert found["TF_WORKSPACE"].startswith("emulated-")
    settings = {name.removeprefix("TF_VAR_"): value for name, value in found.items() if name.startswith("TF_VAR_")}
    assert (settings["trainer_gpu"], settings["trainer_python"]) == ("none", sys.executable)
    declared = (ROOT / "infra" / "terraform" / "aws" / "variables.tf").read_text()
    assert settings.keys() <= set(re.findall(r'^variable "(\w+)"', declared, re.MULTILINE))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killing_a_google_cloud_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "cloud"
    up = localstack(folder, "up", "--cloud=gcp", "--target", str(tmp_path / "target.json"), "--name=killed")
    assert up.returncode == 0, up.stderr
    exported = background.environment(folder)
    target = json.loads((tmp_path / "target.json").read_text())
    assert not any(name.startswith("AWS_") for name in exported)
    assert (target["cloud"], target["account"]) == ("gcp", exported["GOOGLE_CLOUD_PROJECT"])
    stored = f"{exported['STORAGE_EMULATOR_HOST']}/storage/v1/b/killed-data/o/target.json?alt=media"
    with urllib.request.urlopen(stored) as answer:
        assert json.load(answer) == target
    refused = localstack(folder, "env", "--terraform")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "the emulated AWS only" in refused.stderr
    words = ["--target=infra/terraform/gcp", "--json", f"project={target['account']}", "trainer_gpu=none", "name=new"]
    doctor = subprocess.run(
        [sys.executable, "-m", "cloudlstm", "doctor", "--before-apply", *words],
        cwd=ROOT, env=os.environ | exported, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr

    groups = f"compute/v1/projects/{target['account']}/regions/{target['region']}/instanceGroupManagers"
    url = f"{target['endpoints']['compute']}/{groups}/{target['trainer_group']}/resize?size=1"
    urllib.request.urlopen(urllib.request.Request(url, method="POST")).close()
    until(lambda: any("localstack.machines.machine" in words for words in processes(folder).values()), "a machine")
    assert any("localstack.server.serve" in words for words in processes(folder).values())
    killed(folder)
