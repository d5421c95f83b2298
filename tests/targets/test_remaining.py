"""What `down` lists of an account on AWS: machines with their state, and each resource once."""

from __future__ import annotations

import pytest

from cloudlstm.targets.aws.account import AwsAccount
from cloudlstm.targets.document import TargetConfig
from targets.foreign_server import ForeignServer
from targets.test_requests import AWS

NODE = "<item><instanceId>{name}</instanceId><instanceState><name>{state}</name></instanceState>\
<placement><availabilityZone>us-east-1a</availabilityZone></placement></item>"
NODES = "".join(NODE.format(name=name, state=state) for name, state in {"i-1": "running", "i-2": "terminated"}.items())
MACHINES = f"""<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><reservationSet>
<item><instancesSet>{NODES}</instancesSet></item></reservationSet></DescribeInstancesResponse>"""
ARNS = [
    "arn:aws:s3:::data",
    "arn:aws:ec2:us-east-1:1:instance/i-1",
    "arn:aws:ec2:us-east-1:1:instance/i-2",
    "arn:aws:ec2:us-east-1:1:natgateway/nat-1",
]


def test_machines_have_their_state_and_no_resource_stands_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    ec2, tags = ForeignServer(), ForeignServer()
    ec2.answer("POST ", MACHINES.encode())
    tags.answer("POST ", {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in ARNS]})
    with ec2.serving(), tags.serving():
        endpoints = {"ec2": ec2.url, "resourcegroupstaggingapi": tags.url}
        found = AwsAccount(TargetConfig.model_validate(AWS | {"endpoints": endpoints})).tagged()
    assert found == ["instance i-1 in us-east-1a: running", "arn:aws:ec2:us-east-1:1:natgateway/nat-1"]
