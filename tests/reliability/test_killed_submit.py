"""Submits with random storage faults, killed in training and in evaluation; the third has the same results."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from emulator_fixtures import S3_BUCKET
from pipeline.cli_runner import SMALL, data_objects, one_run, report, submit, write_config
from reliability.killed_runs import kill, processes_end, start, wait_for_exit
from reliability.switchable_faults import FAULTS, TIMEOUT_S, RandomFaults, Stall, SwitchableFaultProxy

ONE_WORKER = SMALL.replace("[train]", "[train]\ncheckpoint_every_s = 0.0")

CLOCK = ("model", "history", "events")
"""Kinds of training objects that contain times: a .keras file is a zip with dates, the others have seconds."""


def killed_at(root: str, config: Path, server: SwitchableFaultProxy, env: dict[str, str], stall: Stall) -> str:
    """Submits, and kills the launcher when the stalled request arrives; returns the run's URI."""
    with server.rule(stall.applies, stall.respond):
        launcher = start("-m", "cloudlstm", "submit", f"--config={config}", f"--root={root}", env=env)
        assert stall.reached.wait(2 * TIMEOUT_S), launcher.communicate()
        kill(launcher.pid)
        wait_for_exit(launcher)
        assert processes_end(one_run(root)), "its jobs end with it"
        stall.released.set()
    return one_run(root)


@pytest.fixture(scope="module")
def runs(s3_proxy: SwitchableFaultProxy, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, RandomFaults]:
    """The URIs of an undisturbed run and of one that was killed twice, and the faults of its last submit."""
    config = write_config(tmp_path_factory.mktemp("submits"), ONE_WORKER)
    root = f"s3://{S3_BUCKET}/{tmp_path_factory.getbasetemp().name}-submits"
    calm = f"file://{tmp_path_factory.mktemp('calm')}"
    random_faults = RandomFaults(0.1, seed=3, faults=FAULTS)

    def undisturbed() -> subprocess.CompletedProcess[str]:
        return submit(config, calm, timeout_s=3 * TIMEOUT_S)

    with ThreadPoolExecutor(1) as pool, s3_proxy.rule(lambda request: root[5:] in request.path, random_faults.respond):
        beside = pool.submit(undisturbed)
        env = {"AWS_ENDPOINT_URL": s3_proxy.url, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
        checkpoint = Stall("PUT", root.removeprefix("s3://"), "/checkpoints/", "step-")
        run = killed_at(root, config, s3_proxy, env, checkpoint)
        assert Manifest.load(RunPaths(run), "train") is None
        judged = Stall("PUT", root.removeprefix("s3://"), "/report/report.json")
        killed_at(root, config, s3_proxy, env, judged)
        assert Manifest.load(RunPaths(run), "evaluate") is None
        done = submit(config, root, env=env, timeout_s=3 * TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("unchanged, skipped") == 5, "only the evaluation was left to do"
        assert beside.result().returncode == 0, beside.result().stderr
    return one_run(calm), run, random_faults


def outcome(run: str) -> dict[str, Any]:
    """What must be equal: every data object except the training objects with times."""
    train = Manifest.load(RunPaths(run), "train")
    assert train is not None
    objects = {uri: sha for uri, sha in data_objects(run).items() if "/train/" not in uri and uri.startswith("data/")}
    return objects | {row.kind: row.sha256 for row in train.objects if row.kind not in CLOCK}


def test_the_same_objects_and_the_same_results(runs: tuple[str, str, RandomFaults]) -> None:
    calm, disturbed, random_faults = runs
    assert outcome(disturbed) == outcome(calm)
    assert sum(map(bool, random_faults.changed.values())) > 5, random_faults.changed
    for mine, other in zip(report(disturbed)["models"], report(calm)["models"], strict=True):
        same = {key: value for key, value in mine.items() if "seconds" not in key and not key.endswith("_s")}
        assert same == {key: other[key] for key in same}
    assert list(storage.list_objects(f"{disturbed}/checkpoints/")) == []
