"""A group of N has N machines: processes with an address each, which do what a trainer does and end with it."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID253 - a test of boto3's view
from localstack.cloud import Cloud
from localstack.machine import exports_of

from emulated import Trainers, alive, until

# Tells what it found, then stays; its child has a session of its own, as a worker's might. It fails the first time.
MEMBER = """
import os, subprocess, sys, time
from pathlib import Path
import cloudlstm
from cloudlstm import storage

if not Path("failed-once").exists():
    Path("failed-once").touch()
    sys.exit(3)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
variables = {name: value for name, value in os.environ.items() if name.startswith("CLOUDLSTM_")}
told = {"pids": [os.getppid(), os.getpid(), child.pid], "package": cloudlstm.__file__, "variables": variables,
        "jobs": sorted(os.listdir(Path(__file__).parent))}
storage.write_json(f"{variables['CLOUDLSTM_BUCKET_URI']}/alive/{variables['CLOUDLSTM_ADDRESS']}", told)
time.sleep(1000)
"""


@pytest.fixture
def trainers(cloud: Cloud, client: Any, target: dict[str, Any]) -> Iterator[Trainers]:
    """The group with nothing assigned; empty again afterwards."""
    group = Trainers(client, target)
    yield group
    group.scale(0)
    until(lambda: not cloud.control.state()["machines"], "all machines to go")
    for prefix in ("alive/", "trainers/"):
        for key in group.told(prefix) if prefix == "alive/" else ():
            group.s3.delete_object(Bucket=group.bucket, Key=f"{prefix}{key}")
    group.s3.delete_object(Bucket=group.bucket, Key=f"trainers/{group.name}/assignment.json")


def workers(trainers: Trainers, count: int) -> dict[str, Any]:
    """What that many workers told, by address."""
    until(lambda: len(trainers.told("alive/")) == count, f"{count} workers")
    return trainers.told("alive/")


def test_a_group_grows_and_shrinks_by_real_processes(
    cloud: Cloud, client: Any, target: dict[str, Any], trainers: Trainers
) -> None:
    trainers.scale(2)
    machines = until(lambda: cloud.control.state()["machines"], "machines")
    assert [machine["group"] for machine in machines] == [trainers.name] * 2
    trainers.assign(MEMBER, deadline=time.time() + 1000)  # they wait for it
    told = workers(trainers, 2)
    found = client("ec2").describe_instances(InstanceIds=trainers.instances)["Reservations"]
    addresses = {each["PrivateIpAddress"] for reservation in found for each in reservation["Instances"]}
    assert told.keys() == addresses
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)
    for address, worker in told.items():
        assert "cloudlstm.zip" in worker["package"], "the package is not the assignment's"
        assert worker["jobs"] == ["member.py", "train.py"]
        assert worker["variables"] == {
            "CLOUDLSTM_ADDRESS": address, "CLOUDLSTM_BUCKET_URI": target["bucket_uri"], "CLOUDLSTM_CLOUD": "aws",
            "CLOUDLSTM_GPU": "none", "CLOUDLSTM_GROUP": trainers.name, "CLOUDLSTM_MAX_HOURS": "2",
            "CLOUDLSTM_REGION": target["region"],
        }  # fmt: skip
    pids = [pid for worker in told.values() for pid in worker["pids"]]
    assert all(map(alive, pids))

    taken = trainers.instances[0]
    trainers.autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=taken, ShouldDecrementDesiredCapacity=True)
    until(lambda: sum(map(alive, pids)) == 3, "one machine's three processes to go")
    assert (trainers.group["DesiredCapacity"], len(trainers.instances)) == (1, 1)
    trainers.scale(0)
    until(lambda: not any(map(alive, pids)), "all processes to go")
    assert [each["StatusCode"] for each in trainers.activities()] == ["Successful"] * 4
    assert trainers.activities()[0]["Description"].startswith("Terminating EC2 instance: i-")


def test_a_preempted_machine_is_replaced(cloud: Cloud, trainers: Trainers) -> None:
    trainers.assign(MEMBER, deadline=time.time() + 1000)
    trainers.scale(2)
    workers(trainers, 2)
    before = trainers.instances
    first = cloud.control.state()["machines"][0]
    cloud.control.fault("preempted", worker=0, group=trainers.name)
    told = workers(trainers, 3)
    assert not any(map(alive, told[first["address"]]["pids"]))
    after = trainers.instances
    assert first["id"] in before
    assert first["id"] not in after
    assert len(after) == 2
    assert trainers.group["DesiredCapacity"] == 2


def test_a_group_that_never_fills_says_so(cloud: Cloud, trainers: Trainers) -> None:
    cloud.control.fault("no-capacity", group=trainers.name)
    trainers.scale(2)
    until(lambda: len(trainers.activities()) > 1 and trainers.activities()[0]["StatusCode"] == "Failed", "a retry")
    message = trainers.activities()[0]["StatusMessage"]
    assert message.startswith("We currently do not have sufficient c7i.xlarge capacity in the Availability Zone")
    assert (trainers.instances, trainers.group["DesiredCapacity"]) == ([], 2)
    cloud.control.clear()
    until(lambda: len(trainers.instances) == 2, "the group to fill")


def test_scheduled_actions_happen_at_their_time(trainers: Trainers) -> None:
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
    assert trainers.group["DesiredCapacity"] == 0


def test_a_machine_that_gets_a_wrong_package_says_so_and_goes(trainers: Trainers) -> None:
    trainers.assign(MEMBER, deadline=time.time() + 1000, sha256="0" * 64)
    trainers.scale(1)
    (machine,) = trainers.instances
    key = f"trainers/{trainers.name}/machines/{machine}.log"

    def log() -> str:
        listed = trainers.s3.list_objects_v2(Bucket=trainers.bucket, Prefix=key).get("Contents", [])
        return trainers.s3.get_object(Bucket=trainers.bucket, Key=key)["Body"].read().decode() if listed else ""

    assert "the assignment says 0000" in until(log, "the machine's log")
    until(lambda: trainers.instances == [], "the machine to remove itself")
    assert trainers.group["DesiredCapacity"] == 0
    assert trainers.told("alive/") == {}


def test_what_auto_scaling_refuses(trainers: Trainers) -> None:
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
    script = "#!/bin/bash\nexport CLOUDLSTM_A='x y' # why\n  export CLOUDLSTM_B=\"1\"\nCLOUDLSTM_C=\nPATH=/bin\n"
    assert exports_of(script) == {"CLOUDLSTM_A": "x y", "CLOUDLSTM_B": "1", "CLOUDLSTM_C": ""}
