"""A group of N has N machines: processes with an address each, which do the work of a trainer."""

from __future__ import annotations

import ipaddress
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID253 - a test of boto3's view
from localstack.cloud import Cloud
from localstack.machines.machine import exports_of

from cloudlstm.targets.machine_logs import GIVES_UP
from on_emulators import alive, refused, until
from trainer_groups import AwsTrainers, GcpTrainers, Trainers, compute

# Reports what it found, then waits; its child has its own session, as a worker may have. The first run fails.
MEMBER = """
import os, signal, subprocess, sys, time
from pathlib import Path
import cloudlstm
from cloudlstm import storage

if not Path("failed-once").exists():
    Path("failed-once").touch()
    sys.exit(3)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
variables = {name: value for name, value in os.environ.items() if name.startswith("CLOUDLSTM_")}
assert int(variables.pop("CLOUDLSTM_CORES")) in os.sched_getaffinity(0)  # machines share those of this one
facts = {"pids": [os.getppid(), os.getpid(), child.pid], "package": cloudlstm.__file__, "variables": variables,
        "jobs": sorted(os.listdir(Path(__file__).parent))}
def report(what):
    storage.write_json(f"{variables['CLOUDLSTM_BUCKET_URI']}/{what}/{variables['CLOUDLSTM_ADDRESS']}", facts)

def warned(*_):
    report("warned")
    sys.exit(0)

signal.signal(signal.SIGTERM, warned)
report("alive")
time.sleep(1000)
"""


def on(*clouds: str) -> pytest.MarkDecorator:
    """Runs the test on each of these clouds."""
    return pytest.mark.parametrize("box", clouds, indirect=True)


def workers(trainers: Trainers, count: int) -> dict[str, Any]:
    """Waits for the reports of that many workers; returns them by address."""
    until(lambda: len(trainers.reports("alive/")) == count, f"{count} workers")
    return trainers.reports("alive/")


@on("aws", "gcp")
def test_a_group_grows_and_shrinks_by_real_processes(box: Cloud, trainers: Trainers) -> None:
    trainers.scale(2)
    machines = until(lambda: len(found := box.control.state()["machines"]) == 2 and found, "machines")
    assert [machine["group"] for machine in machines] == [trainers.name] * 2
    trainers.assign(MEMBER, deadline=time.time() + 1000)  # they wait for it
    output = workers(trainers, 2)
    addresses = trainers.addresses()
    assert output.keys() == addresses
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)
    for address, worker in output.items():
        assert "cloudlstm.zip" in worker["package"], "the package is not the assignment's"
        assert worker["jobs"] == ["agent.py", "train.py"]
        assert worker["variables"] == {
            "CLOUDLSTM_ADDRESS": address, "CLOUDLSTM_BUCKET_URI": trainers.bucket.uri,
            "CLOUDLSTM_CLOUD": box.options.cloud, "CLOUDLSTM_GPU": "none", "CLOUDLSTM_GROUP": trainers.name,
            "CLOUDLSTM_MAX_HOURS": "2", "CLOUDLSTM_REGION": trainers.target["region"],
        }  # fmt: skip
    pids = [pid for worker in output.values() for pid in worker["pids"]]
    assert all(map(alive, pids))

    trainers.remove(trainers.instances[0])
    until(lambda: sum(map(alive, pids)) == 3, "one machine's three processes to go")
    until(lambda: len(trainers.instances) == 1, "its instance to go")
    assert trainers.size == 1
    trainers.scale(0)
    until(lambda: not any(map(alive, pids)), "all processes to go")


def test_activities_are_recorded(trainers: Trainers) -> None:
    assert isinstance(trainers, AwsTrainers)
    before = len(trainers.activities())
    trainers.scale(1)
    trainers.scale(0)
    found = trainers.activities()
    assert [each["StatusCode"] for each in found[: len(found) - before]] == ["Successful"] * 2
    assert found[0]["Description"].startswith("Terminating EC2 instance: i-")


@pytest.mark.parametrize(("box", "grace_s"), [("aws", 0.0), ("aws", 60.0), ("gcp", 60.0)], indirect=["box"], ids=str)
def test_a_preempted_machine_is_replaced(box: Cloud, trainers: Trainers, grace_s: float) -> None:
    trainers.assign(MEMBER, deadline=time.time() + 1000)
    trainers.scale(2)
    workers(trainers, 2)
    before, names = trainers.instances, {each["name"] for each in box.control.state()["machines"]}
    first = box.control.state()["machines"][0]
    box.control.fault("preempted", worker=0, group=trainers.name, grace_s=grace_s)
    output = workers(trainers, 3)
    until(lambda: not any(map(alive, output[first["address"]]["pids"])), "the machine's processes to go")
    assert list(trainers.reports("warned/")) == ([first["address"]] if grace_s else [])
    after = trainers.instances
    assert first["id"] in before
    assert first["id"] not in after
    assert len(after) == 2
    assert trainers.size == 2
    if box.options.cloud == "gcp":  # another machine, with another address, of the same name
        assert {each["name"] for each in box.control.state()["machines"]} == names


@on("aws", "gcp")
def test_missing_capacity_is_reported(box: Cloud, trainers: Trainers) -> None:
    box.control.fault("no-capacity", group=trainers.name)
    trainers.scale(2)
    until(lambda: len(trainers.start_errors()) > 2, "a retry")
    begins = {
        "aws": "We currently do not have sufficient c7i.xlarge capacity in the Availability Zone",
        "gcp": "The zone 'projects/emulated/zones/us-central1-",
    }
    assert trainers.start_errors()[0].startswith(begins[box.options.cloud])
    assert (trainers.instances, trainers.size) == ([], 2)
    box.control.clear()
    until(lambda: len(trainers.instances) == 2, "the group to fill")


def test_scheduled_actions_happen_at_their_time(trainers: Trainers) -> None:
    assert isinstance(trainers, AwsTrainers)
    trainers.scale(1)
    when = datetime.now(UTC) + timedelta(seconds=3)
    trainers.autoscaling.put_scheduled_update_group_action(
        AutoScalingGroupName=trainers.name, ScheduledActionName="deadline", StartTime=when, DesiredCapacity=0
    )
    assert len(trainers.instances) == 1
    described = trainers.autoscaling.describe_scheduled_actions(AutoScalingGroupName=trainers.name)
    (action,) = described["ScheduledUpdateGroupActions"]
    assert (action["ScheduledActionName"], action["DesiredCapacity"]) == ("deadline", 0)
    until(lambda: trainers.instances == [], "the group to be emptied")
    assert datetime.now(UTC) >= when
    described = trainers.autoscaling.describe_scheduled_actions(AutoScalingGroupName=trainers.name)
    assert described["ScheduledUpdateGroupActions"] == []


def test_a_machine_removes_itself_at_its_deadline(trainers: Trainers) -> None:
    deadline = time.time() + 6
    trainers.assign("import time; time.sleep(1000)", deadline=deadline)
    trainers.scale(1)
    until(lambda: trainers.instances == [], "the machine to remove itself")
    assert time.time() >= deadline
    assert trainers.size == 0


@on("aws", "gcp")
def test_a_machine_with_a_wrong_package_reports_it_and_removes_itself(box: Cloud, trainers: Trainers) -> None:
    if box.options.cloud == "gcp":  # it asks again
        box.control.fault("api-error", service="compute", action="RegionInstanceGroupManagers.DeleteInstances")
    else:
        action = "TerminateInstanceInAutoScalingGroup"
        box.control.fault("api-error", service="autoscaling", action=action, status=400, message="in progress")
    trainers.assign(MEMBER, deadline=time.time() + 1000, sha256="0" * 64)
    trainers.scale(1)
    named = [each.name for each in trainers.managed()] if isinstance(trainers, GcpTrainers) else trainers.instances
    key = f"trainers/{trainers.name}/machines/{named[0]}.log"
    until(lambda: trainers.bucket.keys(key), "the machine's log")
    assert "the assignment says 0000" in trainers.bucket.get(key).decode()
    until(lambda: trainers.instances == [], "the machine to remove itself")
    assert trainers.size == 0
    assert box.control.faults() == []
    assert trainers.reports("alive/") == {}


@on("aws", "gcp")
def test_a_machine_whose_agent_keeps_failing_says_why_and_removes_itself(box: Cloud, trainers: Trainers) -> None:
    trainers.assign("import no_such_package", deadline=time.time() + 1000)
    trainers.scale(1)
    key = f"trainers/{trainers.name}/machines/"
    until(lambda: any(GIVES_UP in trainers.bucket.get(each).decode() for each in trainers.bucket.keys(key)), "its end")
    (log,) = trainers.bucket.keys(key)
    said, last = trainers.bucket.get(log).decode().rstrip().rsplit("\n", 1)
    assert "ModuleNotFoundError: No module named 'no_such_package'" in said
    assert last == f"{GIVES_UP}the agent failed 4 times"
    until(lambda: trainers.instances == [], "the machine to remove itself")
    assert trainers.size == 0


def test_what_auto_scaling_refuses(trainers: Trainers) -> None:
    assert isinstance(trainers, AwsTrainers)
    scale = trainers.autoscaling.set_desired_capacity
    action = {"AutoScalingGroupName": trainers.name, "ScheduledActionName": "late", "DesiredCapacity": 0}
    for call, words, message in (
        (scale, {"AutoScalingGroupName": trainers.name, "DesiredCapacity": 5}, "5 is above max value 4"),
        (scale, {"AutoScalingGroupName": "none", "DesiredCapacity": 1}, "AutoScalingGroup 'none' not found"),
        (
            trainers.autoscaling.terminate_instance_in_auto_scaling_group,
            {"InstanceId": "i-0", "ShouldDecrementDesiredCapacity": True},
            "No managed instance found for instance ID: i-0",
        ),
        (
            trainers.autoscaling.put_scheduled_update_group_action,
            action | {"StartTime": datetime.now(UTC) - timedelta(minutes=1)},
            "Given start time is in the past",
        ),
    ):
        with pytest.raises(ClientError, match=message) as caught:
            call(**words)
        assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_what_user_data_exports() -> None:
    lines = ("#!/bin/bash", "export CLOUDLSTM_A='x y' # why", '  export CLOUDLSTM_B="1"', "export CLOUDLSTM_C=",
             "CLOUDLSTM_D=$x", "export PATH=/bin")  # fmt: skip
    assert exports_of("\n".join(lines)) == {"CLOUDLSTM_A": "x y", "CLOUDLSTM_B": "1", "CLOUDLSTM_C": ""}


@on("gcp")
def test_states_and_errors_of_instance_groups(box: Cloud, trainers: Trainers) -> None:
    assert isinstance(trainers, GcpTrainers)
    groups, where = trainers.groups, trainers.where
    for size in (-1, 2001):
        refused(groups.resize_unary, 400, "Invalid value for field 'size'", size=size, **where)
    other = where | {"instance_group_manager": "none"}
    refused(groups.resize_unary, 404, "instanceGroupManagers/none' was not found", size=1, **other)
    outsider = {"instances": ["zones/us-central1-a/instances/tested-m"]}
    body = "region_instance_group_managers_delete_instances_request_resource"
    refused(groups.delete_instances_unary, 400, "not a member of the group", **{body: outsider}, **where)
    refused(groups.resize_unary, 400, "valid UUID", request={**where, "size": 1, "request_id": "once"})

    once = {**where, "size": 1, "request_id": str(uuid.uuid4())}
    operation = groups.resize_unary(request=once)
    trainers.scale(2)
    assert groups.resize_unary(request=once).name == operation.name, "a repeated request is another one"
    assert trainers.size == 2
    operations = compute(trainers.target, "RegionOperationsClient")
    ended = operations.get(project="emulated", region="us-central1", operation=operation.name)
    assert (operation.status.name, ended.status.name) == ("RUNNING", "DONE")

    first = trainers.managed()[0]
    assert first.instance.endswith(f"/zones/us-central1-a/instances/{first.name}")
    until(lambda: [each.current_action for each in trainers.managed()] == ["NONE"] * 2, "the group to be stable")
    assert {each.instance_status for each in trainers.managed()} == {"RUNNING"}
    assert len({each.instance.split("/zones/")[1][:13] for each in trainers.managed()}) == 2
    seen = groups.get(**where)
    assert (seen.target_size, seen.status.is_stable, seen.current_actions.none) == (2, True, 2)
    labelled = {"project": "emulated", "filter": "labels.cloudlstm=boxed"}
    for client, kind in (("InstancesClient", "instances"), ("DisksClient", "disks")):
        found = compute(trainers.target, client).aggregated_list(request=labelled)
        names = {each.name for _, scope in found for each in getattr(scope, kind)}
        assert names == {"boxed-m", "boxed-w-0", "boxed-w-1", *(each.name for each in trainers.managed())}

    region = compute(trainers.target, "RegionsClient").get(project="emulated", region="us-central1")
    (quota,) = [each for each in region.quotas if each.metric == "N2_CPUS"]
    everywhere = compute(trainers.target, "InstancesClient").aggregated_list(project="emulated")
    assert quota.usage == 4 * sum(len(scope.instances) for _, scope in everywhere) >= 5 * 4
    trainers.scale(int(quota.limit - quota.usage) // 4 + 3)  # one more than there is room for
    until(lambda: any("N2_CPUS" in each for each in trainers.start_errors()), "the quota in an error")
    attempt = next(each for each in trainers.managed() if each.last_attempt.errors.errors)
    assert (attempt.current_action, attempt.last_attempt.errors.errors[0].code) == ("CREATING", "QUOTA_EXCEEDED")

    box.control.fault("throttled", service="compute", action="Projects.Get")
    projects = compute(trainers.target, "ProjectsClient")
    error = refused(projects.get, 403, "Rate Limit Exceeded", project="emulated", retry=None)
    assert error.errors[0]["reason"] == "rateLimitExceeded"
    assert projects.get(project="emulated").name == "emulated"
