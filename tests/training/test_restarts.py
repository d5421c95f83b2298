"""Neither the number of workers nor their restarts change the network."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cloudlstm import storage
from cloudlstm.errors import DataError, JobError
from cloudlstm.runs.environment import MOST_DEVICES
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.local import job as local_job
from training.runs import STEPS_PER_EPOCH, content, losses, make_default_run, manifest_of, trained, weights
from training.submitted import carried_out, fault_time, log_of

_LONGEST_WAIT_S = 30.0
"""Longest time between a fault and the restart of all workers."""


def restarts_of(paths: RunPaths) -> list[tuple[float, str]]:
    """Time and reason of each restart, from the log."""
    lines = [line for line in log_of(paths, "train/launcher") if not line.startswith(" ")]
    stamps = [dt.datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S%z").timestamp() for line in lines]
    return [(stamp, line.split(" ", 2)[2]) for stamp, line in zip(stamps, lines, strict=True)]


def resumed_at(paths: RunPaths) -> list[int]:
    """The steps from which the chief resumed."""
    return [int(line.split()[-1]) for line in log_of(paths, "train/worker-0") if "resuming from step" in line]


def test_a_worker_uses_its_cores_as_devices(undisturbed: RunPaths) -> None:
    cores = len(os.sched_getaffinity(0))
    assert (
        manifest_of(undisturbed).facts["replicas"]
        == len(manifest_of(undisturbed).facts["devices"])
        == min(cores, MOST_DEVICES)
    )


@pytest.mark.parametrize(("workers", "devices"), [(1, 1), (2, 2)])
def test_any_number_of_devices_trains_the_same_network(
    undisturbed: RunPaths, folder: Path, workers: int, devices: int
) -> None:
    found, known = (
        trained(make_default_run(folder, f"{workers}x{devices}"), workers, devices=devices),
        manifest_of(undisturbed),
    )
    assert found.facts["replicas"] == workers * devices
    assert found.facts["devices"] == [f"CPU:{index}" for index in range(devices)]
    np.testing.assert_allclose(losses(found), losses(known), rtol=1e-5)
    for name, values in weights(known).items():
        np.testing.assert_allclose(weights(found)[name], values, rtol=1e-3, atol=1e-5)


def test_two_workers_train_the_same_network_as_one(undisturbed: RunPaths, undisturbed_by_two: RunPaths) -> None:
    one, paths = manifest_of(undisturbed), undisturbed_by_two
    two = manifest_of(paths)
    assert len(losses(one)) == 300
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-5)
    for name, values in weights(one).items():
        np.testing.assert_allclose(weights(two)[name], values, rtol=1e-3, atol=1e-5)
    assert one.fingerprint == two.fingerprint
    assert two.facts["workers"] == 2
    assert len({process["pid"] for process in two.facts["worker_processes"]}) == 2
    assert not list(storage.list_objects(paths.checkpoints(two.fingerprint))), "a finished training needs none"


def test_lost_workers_do_not_change_the_network(
    undisturbed_by_two: RunPaths, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_job, "_STOPPED_S", 3.0)
    random = np.random.default_rng(20261123)
    epochs = np.array([1, 4, 6, 9])
    steps = [int(step) for step in epochs * STEPS_PER_EPOCH + random.integers(1, STEPS_PER_EPOCH, 4)]
    faults = [
        ("0/worker-1", "SIGKILL", "step", steps[0]),
        ("1/worker-0", "SIGKILL", "step", steps[1]),
        ("2/worker-1", "SIGTERM", "step", steps[2]),
        ("3/worker-1", "SIGSTOP", "step", steps[3]),
        ("4/worker-1", "SIGKILL", "forecasting", 0),
    ]
    paths = make_default_run(folder, "disturbed", **{"train.workers": 2, "train.max_restarts": 1})
    shown = carried_out(paths, faults)
    expected, found = manifest_of(undisturbed_by_two), manifest_of(paths)
    np.testing.assert_allclose(losses(found), losses(expected), rtol=1e-5)
    assert found.facts["train_loss"] == pytest.approx(expected.facts["train_loss"], rel=1e-5)
    for name, values in weights(expected).items():
        np.testing.assert_allclose(weights(found)[name], values, rtol=1e-5, atol=1e-8)

    *killed, terminated, stopped, forecasting = found.facts["restarts"]
    # The peer may notice it before the launcher looks; then its own end is named, too.
    causes = [reason.replace(", worker-0 ended with status 70", "") for reason in (*killed, forecasting)]
    causes = [reason.replace(", worker-1 ended with status 70", "") for reason in causes]
    assert causes == [f"worker-{worker} killed by signal 9 (SIGKILL)" for worker in (1, 0, 1)]
    assert "ended on SIGTERM" in terminated
    assert stopped == "worker-1 stopped (SIGSTOP)"
    assert resumed_at(paths)[-1] == 300, "what is lost after the last step is only forecast again"
    output = restarts_of(paths)
    assert [line for _, line in output] == [
        f"{cause}; all workers start again as generation {number}"
        for number, cause in enumerate(found.facts["restarts"], 1)
    ]
    waited = [when - fault_time(paths, generation) for generation, (when, _) in enumerate(output)]
    assert max(waited) <= _LONGEST_WAIT_S, waited

    saved = [int(line.split()[-1]) for line in log_of(paths, "train/worker-0") if "state saved at step" in line]
    assert len(saved) == 1
    assert steps[2] <= saved[0] <= steps[2] + 16, "it saves where it received SIGTERM"
    assert saved[0] in resumed_at(paths), "and nothing is lost"
    assert max(resumed_at(paths)) > steps[2]

    # The progress shown stays while all workers restart, and the reason is shown.
    every = [report for reports in shown for report in reports]
    reports = [report for report in every if (report.step, report.worker) == ("train", "worker-0")]
    first = next(place for place, report in enumerate(reports) if report.total)
    assert {report.total for report in reports[first:]} == {reports[first].total}
    assert {"starting TensorFlow"} <= {report.facts.get("phase") for report in reports}
    assert any(str(report.facts.get("phase")).endswith("; starting again") for report in reports)
    assert reports[-1].facts["restarts"] == 5


def test_a_single_worker_restarts_wherever_it_was_killed(undisturbed: RunPaths, folder: Path) -> None:
    faults = [
        ("0/worker-0", "SIGKILL", "half", 65),
        ("1/worker-0", "SIGKILL", "torn", 125),
        ("2/worker-0", "SIGKILL", "manifest", 0),
        ("3/worker-0", "SIGKILL", "tidying", 0),
        ("4/worker-0", "SIGTERM", "reporting", 0),
    ]
    paths = make_default_run(folder, "lone", **{"train.workers": 1, "train.max_restarts": 3})
    carried_out(paths, faults)
    causes = [line.split(";")[0] for _, line in restarts_of(paths)]
    assert causes == ["worker-0 killed by signal 9 (SIGKILL)"] * 4 + ["worker-0 ended on SIGTERM"]
    lines = log_of(paths, "train/worker-0")
    assert sum("checkpoint skipped" in line for line in lines) == 1, "the torn one"
    expected, found = manifest_of(undisturbed), manifest_of(paths)
    for kind in ("losses", "weights", "predictions", "inputs"):
        assert content(found, kind) == content(expected, kind)
    half, torn, *_, last = resumed_at(paths)
    assert 0 < half < 65 <= torn < 125, "the checkpoint before"
    assert half % STEPS_PER_EPOCH, "and not at an epoch's end"
    assert last == 300, "what was killed after the last step only predicts again"
    assert not list(storage.list_objects(paths.all_checkpoints)), "also when killed before it could tidy up"
    report = Manifest.load(paths, "evaluate")
    assert report is not None
    assert all(read_object(row) for row in report.objects)


def test_a_permanent_error_fails_the_job_at_once(folder: Path) -> None:
    paths = make_default_run(folder, "failing", **{"train.workers": 2})
    with pytest.raises(DataError, match="as planted"):
        carried_out(paths, [("0/worker-1", "DataError", "step", 40)])
    assert restarts_of(paths) == []


def test_a_single_worker_that_is_stopped_early_restarts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_job._STOPPED_S + local_job._STOPPED_GRACE_S < _LONGEST_WAIT_S > local_job._ENDING_S
    monkeypatch.setattr(local_job, "_STOPPED_S", 2.0)
    faults = [("0/worker-0", "SIGSTOP", "start", 0), ("1/worker-0", "SIGSTOP", "staging", 0)]
    faults += [(f"{number}/worker-0", "SIGKILL", "start", 0) for number in range(2, 9)]
    paths = make_default_run(folder, "stopped", **{"train.workers": 1, "train.max_restarts": 2})
    with pytest.raises(JobError, match=r"worker-0 killed by signal 9 \(SIGKILL\) .after 2 restarts"):
        carried_out(paths, faults)
    assert [line.split(";")[0] for _, line in restarts_of(paths)] == ["worker-0 stopped (SIGSTOP)"] * 2


def test_a_finished_training_is_found_without_tensorflow(undisturbed: RunPaths, tmp_path: Path) -> None:
    copy = tmp_path / "run"  # it reports its progress, which other tests read
    shutil.copytree(undisturbed.uri.removeprefix("file://"), copy)
    code = (
        "import sys; from cloudlstm import storage; from cloudlstm.config import parse\n"
        "from cloudlstm.runs.context import RunContext; from cloudlstm.runs.journal import Journal\n"
        "from cloudlstm.runs.paths import RunPaths\n"
        "from cloudlstm.training import step; paths = RunPaths(sys.argv[1])\n"
        "config, journal = parse(storage.read_json(paths.config)), Journal(paths, 'train', 'worker-0')\n"
        "assert step.run(RunContext(paths, config, 0, journal))\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, copy.as_uri()], check=True)
