"""A whole run on an emulated cloud, with the code for a real one: Spark, machines, TensorFlow, report, down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from localstack.spark.cluster import executors

from cloudlstm import storage
from cloudlstm.runs.liveness import Owner
from listening_sockets import Listener
from on_emulators import require_network, until
from pipeline.cli_runner import cloudlstm, error_line, report, write_config
from targets.fake_clouds import LONG_S, Target, documents, on_one_cloud

RUN = "whole"


def hosts_of(generation: dict[str, Any]) -> list[str]:
    return [address.rsplit(":", 1)[0] for address in generation["addresses"]]


def copied_without_training(run: str, copy: str) -> str:
    """Copies a finished run without its training."""
    later = ("manifests/train.json", "manifests/evaluate.json", "report/", "generations/", "members/")
    for item in storage.list_objects(f"{run}/"):
        name = item.uri.removeprefix(f"{run}/")
        if not name.startswith(later):
            storage.write(f"{copy}/{name}", storage.read(item.uri))
    return copy


@pytest.fixture(scope="module")
def run(target: Target) -> str:
    """The URI of a finished run."""
    done = cloudlstm(
        "submit", f"--target={target.place}", f"--config={target.config}", f"--run={RUN}", timeout_s=LONG_S
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"{target.bucket}/runs/{RUN}/report/report.html" in done.stdout
    return f"{target.bucket}/runs/{RUN}"


def test_spark_ran_on_two_executors_with_a_bare_interpreter(target: Target, run: str) -> None:
    (step,) = target.steps(run)
    assert (step.name, step.state) == (f"cloudlstm {RUN} prepare 1", "done")
    (log,) = target.event_logs(step)
    assert len(executors(log)) == 2


def test_two_machines_trained_as_one_generation(target: Target, run: str) -> None:
    formed, ended = documents(f"{run}/generations/")
    hosts = hosts_of(formed)
    assert len(set(hosts)) == 2
    assert all(host.startswith("127.") for host in hosts)
    assert (ended["addresses"], ended["outcome"], ended["restarts"]) == ([], "done", [])
    claims = {
        item.uri.rsplit("/", 1)[1]: storage.read_json(item.uri) for item in storage.list_objects(f"{run}/claims/")
    }
    assert set(claims) == {f"0001-{name}-0.json" for name in ("prepare-driver", "train-worker-0", "train-worker-1")}
    assert len({claim["pid"] for claim in claims.values()}) == 3


def test_no_other_machine_can_connect_to_what_a_run_starts(
    target: Target, run: str, request: pytest.FixtureRequest
) -> None:
    """The servers of TensorFlow listen on all interfaces; those of the trainers are in a private network."""
    require_network(target.cloud)
    seen: set[Listener] = set(request.getfixturevalue(f"{target.cloud.options.cloud}_watch").seen)
    assert [each for each in seen if each.is_here], "nothing was seen"
    assert [each for each in seen if each.is_here and not each.is_on_loopback] == []
    assert len([each for each in seen if not each.is_here and not each.is_on_loopback]) >= 2, "no trainers were seen"


def test_no_resource_costs_money_after_the_run(target: Target, run: str) -> None:
    assert target.group_size == 0
    assert target.deadlines == []
    assert not storage.exists(f"{target.bucket}/trainers/{target.document['trainer_group']}/assignment.json")
    (lease,) = [each for each in documents(f"{target.bucket}/trainers/") if "ended" in each][-1:]
    assert lease["ended"]


def test_the_run_folder_names_no_place_but_the_bucket(target: Target, run: str) -> None:
    objects = [row["uri"] for manifest in documents(f"{run}/manifests/") for row in manifest["objects"]]
    assert objects
    assert all("://" not in uri and not uri.startswith("/") for uri in objects), "not below the run"
    assert "file:" not in json.dumps(documents(f"{run}/config.json"))


@pytest.fixture(scope="session")
def local_models(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The metrics of the same run on this machine with one worker; the number of workers does not change them."""
    folder = tmp_path_factory.mktemp("local")
    words = (f"--config={write_config(folder)}", f"--root={folder}", f"--run={RUN}", "train.workers=1")
    done = cloudlstm("submit", *words, timeout_s=LONG_S)
    assert done.returncode == 0, done.stderr
    models: list[dict[str, Any]] = report(f"file://{folder}/{RUN}")["models"]
    return models


def test_the_metrics_are_those_of_a_local_run(run: str, local_models: list[dict[str, Any]]) -> None:
    here, there = local_models, report(run)["models"]
    assert [each["model"] for each in here] == [each["model"] for each in there]
    for ours, theirs in zip(here, there, strict=True):
        numbers = {key: value for key, value in ours.items() if isinstance(value, int | float)}
        assert numbers == pytest.approx({key: theirs[key] for key in numbers}, rel=1e-4, abs=1e-6), ours["model"]


def test_a_repeated_submit_uploads_and_computes_nothing(target: Target, run: str) -> None:
    code, data = target.written("code/"), target.written(f"runs/{RUN}/data/")
    assert code
    assert data
    done = target.submit(f"--run={RUN}")
    assert done.returncode == 0, done.stderr
    assert (target.written("code/"), target.written(f"runs/{RUN}/data/")) == (code, data)
    assert [step.name for step in target.steps(run)] == [f"cloudlstm {RUN} prepare {n}" for n in (1, 2)]
    assert "unchanged" in done.stdout + done.stderr
    assert len(documents(f"{run}/generations/")) == 2, "machines were started for nothing"


@on_one_cloud
def test_other_commands_find_the_run_by_its_target(target: Target, run: str) -> None:
    output = target.run("status")
    assert output.returncode == 0, output.stderr
    assert "done" in output.stdout
    assert "worker-0" in target.run("logs", f"--run={RUN}").stdout
    assert RUN in target.run("runs").stdout
    assert target.run("report", f"--run={RUN}").returncode == 0


def test_a_launcher_may_be_killed_at_any_moment(target: Target, run: str, faults: Any) -> None:
    """Kills during the step, before the resize, while machines start, and during training; the next submit continues.

    Nothing is done twice, and machines without a launcher end at their deadline.
    """
    words = ("--run=killed", "train.epochs=400", "train.patience_epochs=400", "train.checkpoint_every_s=0")
    killed = f"{target.bucket}/runs/killed"

    def kill_when(true: Callable[[], Any], what: str, launcher: subprocess.Popen[str] | None = None) -> None:
        launcher = launcher or target.start(*words)
        until(lambda: true() or launcher.poll() is not None, what)
        launcher.kill()
        output, _ = launcher.communicate()
        assert launcher.returncode == -signal.SIGKILL, output

    def begun(number: int) -> bool:
        return storage.exists(f"{killed}/attempts/0001.launcher-{number}.json")

    kill_when(lambda: [step for step in target.steps(killed) if step.state == "running"], "the step")

    second = target.start(*words)
    until(lambda: begun(2), "the second launcher")
    faults.fault("api-error", service=target.group_service, times=10000)  # between preparation and training it stays
    leases = f"{target.bucket}/trainers/{target.document['trainer_group']}/leases/"
    kill_when(lambda: [each for each in documents(leases) if each.get("run") == killed], "its lease", second)
    faults.clear()
    assert [step.state for step in target.steps(killed)] == ["done"]
    assert target.group_size == 0
    assert not documents(f"{killed}/generations/")

    kill_when(lambda: target.group_size == 2, "machines")
    target.let_deadline_pass()
    until(lambda: not target.group_size and not target.cloud.control.state()["machines"], "the machines to go")
    assert not [each for each in documents(f"{killed}/generations/") if each.get("outcome")]

    kill_when(lambda: list(storage.list_objects(f"{killed}/generations/")), "a generation")
    assert target.group_size == 2
    assert target.deadlines

    last = target.start(*words)
    checkpoints = f"{killed}/checkpoints/"
    until(lambda: last.poll() is not None or (begun(5) and list(storage.list_objects(checkpoints))), "a checkpoint")
    assert last.poll() is None, last.communicate()[0]
    faults.fault("preempted", worker=0)
    output, _ = last.communicate(timeout=LONG_S)
    assert last.returncode == 0, output
    assert [step.state for step in target.steps(killed)] == ["done"]
    assert not begun(6)
    assert {name.uri.rsplit("/", 1)[1][:4] for name in storage.list_objects(f"{killed}/attempts/")} == {"0001"}
    *formed, ended = documents(f"{killed}/generations/")
    before, after = (set(hosts_of(each)) for each in formed[-2:])
    assert len(before) == len(after) == 2
    assert len(before & after) == 1, "one machine was replaced"
    assert (ended["outcome"], len(ended["restarts"])) == ("done", len(formed) - 1)
    assert target.group_size == 0
    assert target.deadlines == []

    assert "killed" in target.run("runs").stdout
    assert target.run("delete", "killed", "--yes").returncode == 0
    assert [item.uri for item in storage.list_objects(f"{killed}/")] == []
    assert "killed" not in target.run("runs").stdout


def test_the_error_of_a_failed_step_has_the_words_of_the_platform(target: Target, run: str, faults: Any) -> None:
    faults.fault("step-fails", reason="Disk full.", message="No space left on a core node.")
    done = target.submit("--run=failing")
    assert done.returncode == 1
    assert target.failure.format("Disk full.", "No space left on a core node.") in error_line(done)


def test_a_group_in_use_is_an_error_with_its_holder_or_is_awaited(target: Target, run: str, faults: Any) -> None:
    """A waiting submit survives failing APIs; one that gets the group releases it if it does not fill."""
    base = f"{target.bucket}/trainers/{target.document['trainer_group']}/leases"
    number = max(int(item.uri.rsplit("/", 1)[1].split(".")[0]) for item in storage.list_objects(base)) + 1
    owner = asdict(Owner.me())  # a launcher that is alive: this process
    record = {"token": "other", "run": f"{target.bucket}/runs/other", "owner": owner}
    storage.write_json(f"{base}/{number:06d}.json", record)
    storage.write_json(f"{base}/{number:06d}.beat.json", {"time": time.time() + 600, "ended": False})
    taken = copied_without_training(run, f"{target.bucket}/runs/taken")
    done = target.submit("--run=taken")
    assert done.returncode == 1
    assert f"the trainer group is in use by run other (process {os.getpid()} on " in error_line(done)

    submitted = len(target.steps(taken))
    for trouble in target.troubles:
        faults.fault(**trouble)
    waiting = target.start("--run=taken", "--wait", "trainers.fill_timeout_s=5")
    until(lambda: [step.state for step in target.steps(taken)][submitted:] == ["done"], "the step")
    until(lambda: not faults.faults(), "every fault to happen")
    assert waiting.poll() is None
    faults.fault("no-capacity")
    storage.write_json(f"{base}/{number:06d}.beat.json", {"time": time.time(), "ended": True})
    output, _ = waiting.communicate(timeout=LONG_S)
    assert waiting.returncode == 1
    line = output.splitlines()[-1]
    assert "0 of 2 machines started within 5 s" in line
    for word in (*target.document["trainer_zones"], *target.document["trainer_machines"], target.launch_error):
        assert word in line
    assert target.group_size == 0


@on_one_cloud
def test_a_machine_that_gives_up_ends_the_run_at_once_and_says_why(target: Target, run: str) -> None:
    copied_without_training(run, f"{target.bucket}/runs/given-up")
    programs = [item.uri for item in storage.list_objects(f"{target.bucket}/code/") if item.uri.endswith("/agent.py")]
    contents = [storage.read(uri) for uri in programs]
    for uri in programs:
        storage.write(uri, b"another program")
    try:
        done = target.submit("--run=given-up")
    finally:
        for uri, content in zip(programs, contents, strict=True):
            storage.write(uri, content)
    assert done.returncode == 1
    assert "gave up: " in error_line(done)
    assert "the assignment says" in error_line(done)
    assert "this machine gives up: the set-up failed" in target.run("logs", "--run=given-up").stdout
    assert target.group_size == 0


@on_one_cloud
def test_a_detached_run_can_be_cancelled_from_another_process(target: Target, run: str, faults: Any) -> None:
    faults.fault("step-hangs")
    done = target.submit("--run=detached", "--detach")
    assert done.returncode == 0, done.stderr
    assert "runs in the background" in done.stdout
    uri = f"{target.bucket}/runs/detached"
    until(lambda: [each for each in target.steps(uri) if each.state == "running"], "the step")
    assert "asked attempt 1 of detached to stop" in target.run("cancel", "--run=detached").stdout
    until(lambda: [each for each in target.steps(uri) if each.state == "cancelled"], "its cancellation")
    until(lambda: storage.read_json(f"{uri}/attempts/0001.heartbeat.json")["ended"], "the launcher's end")
    assert "cancelled" in target.run("status", "--run=detached").stdout


def test_jobs_of_a_dead_launcher_can_be_cancelled(target: Target, run: str, faults: Any) -> None:
    faults.fault("step-hangs")
    launcher = target.start("--run=orphaned")
    uri = f"{target.bucket}/runs/orphaned"
    until(lambda: [each for each in target.steps(uri) if each.state == "running"], "the step")
    launcher.kill()
    launcher.communicate()
    assert "cancelled cloudlstm orphaned prepare 1" in target.run("cancel", "--run=orphaned").stdout
    until(lambda: [each for each in target.steps(uri) if each.state == "cancelled"], "its cancellation")


def test_down_stops_all_work_and_lists_what_remains(target: Target, run: str) -> None:
    target.resize(1)
    output = target.run("down")
    assert output.returncode == 0, output.stderr
    assert f"set {target.document['trainer_group']} from 1 machine to 0" in output.stdout
    assert f"costs money for what it holds:\n  bucket {target.bucket}\n" in output.stdout
    paid = output.stdout.split("costs money while it exists:\n")[1].split(":\n")[0]
    assert f"  Spark cluster {target.document['spark_cluster']}: " in paid
    assert ("  Cloud NAT" in paid) == (target.document["cloud"] == "gcp")
    assert target.document["spark_cluster"] in output.stdout
    emulated = bool(target.document["endpoints"])  # Terraform knows nothing of it then
    assert ("make cloud-down" if emulated else "terraform -chdir=") in output.stdout
    assert target.group_size == 0
    assert json.loads(target.file.read_text())["spark_cluster"] == target.document["spark_cluster"]
