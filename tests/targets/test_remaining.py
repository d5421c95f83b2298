"""What `down` lists of an account on AWS: machines with their state, and each resource once."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import Mock

import pytest

from cloudlstm.targets.aws.account import AwsAccount
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.existing import resources
from cloudlstm.targets.polling import INTERVALS
from cloudlstm.targets.services import ClusterStage, ClusterStatus, GroupStatus, Resource
from targets.foreign_server import ForeignServer
from targets.test_requests import AWS

NODE = "<item><instanceId>{name}</instanceId><instanceState><name>{state}</name></instanceState>\
<placement><availabilityZone>us-east-1a</availabilityZone></placement></item>"
NODES = "".join(NODE.format(name=name, state=state) for name, state in {"i-1": "running", "i-2": "terminated"}.items())
MACHINES = f"""<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><reservationSet>
<item><instancesSet>{NODES}</instancesSet></item></reservationSet></DescribeInstancesResponse>"""
ENDPOINT = "<item><vpcEndpointId>{name}</vpcEndpointId><vpcEndpointType>{kind}</vpcEndpointType>\
<serviceName>{name}-service</serviceName><state>available</state></item>"
BOTH = "".join(ENDPOINT.format(name=name, kind=kind) for name, kind in {"s3": "Gateway", "emr": "Interface"}.items())
ENDPOINTS = f"""<DescribeVpcEndpointsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><vpcEndpointSet>{BOTH}
</vpcEndpointSet></DescribeVpcEndpointsResponse>"""
ADDRESSES = """<DescribeAddressesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><addressesSet>
<item><publicIp>192.0.2.1</publicIp></item></addressesSet></DescribeAddressesResponse>"""
DENIED = b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>"
ARNS = [
    "arn:aws:s3:::data",
    "arn:aws:ec2:us-east-1:1:instance/i-1",
    "arn:aws:ec2:us-east-1:1:instance/i-2",
    "arn:aws:ec2:us-east-1:1:natgateway/nat-1",
    "arn:aws:ec2:us-east-1:1:subnet/subnet-1",
    "arn:aws:ec2:us-east-1:1:vpc-endpoint/emr",
    "arn:aws:ec2:us-east-1:1:elastic-ip/eipalloc-1",
    "arn:aws:elasticmapreduce:us-east-1:1:cluster/j-1",
]


@pytest.fixture
def remaining(monkeypatch: pytest.MonkeyPatch) -> Callable[[ForeignServer], list[tuple[str, str]]]:
    """A function that returns what is listed with answers of EC2."""

    def call(ec2: ForeignServer) -> list[tuple[str, str]]:
        for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
            monkeypatch.setenv(name, value)
        tags = ForeignServer()
        tags.answer("POST ", {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in ARNS]})
        with ec2.serving(), tags.serving():
            endpoints = {"ec2": ec2.url, "resourcegroupstaggingapi": tags.url}
            target = TargetConfig.model_validate(AWS | {"endpoints": endpoints, "spark_cluster": "j-1"})
            return [(each.bill, each.text) for each in AwsAccount(target).tagged()]

    return call


def test_machines_have_their_state_and_no_resource_stands_twice(
    remaining: Callable[[ForeignServer], list[tuple[str, str]]],
) -> None:
    ec2 = ForeignServer()
    ec2.answer("POST ", MACHINES.encode(), ENDPOINTS.encode(), ADDRESSES.encode())
    assert remaining(ec2) == [
        ("costs", "instance i-1 in us-east-1a: running"),
        ("free", "gateway endpoint s3 of s3-service: available"),
        ("costs", "interface endpoint emr of emr-service: available"),
        ("costs", "Elastic IP 192.0.2.1"),
        ("costs", "arn:aws:ec2:us-east-1:1:natgateway/nat-1"),
        ("free", "arn:aws:ec2:us-east-1:1:subnet/subnet-1"),
        ("free", "arn:aws:elasticmapreduce:us-east-1:1:cluster/j-1"),
    ]


def test_credentials_that_may_not_list_endpoints_see_their_arns(
    remaining: Callable[[ForeignServer], list[tuple[str, str]]],
) -> None:
    ec2 = ForeignServer()
    ec2.answer("POST ", MACHINES.encode())
    ec2.answer("POST ", DENIED, status=403)
    assert ("costs", "arn:aws:ec2:us-east-1:1:vpc-endpoint/emr") in remaining(ec2)


def test_the_cluster_has_one_line() -> None:
    arns = [f"arn:aws:elasticmapreduce:us-east-1:1:cluster/j-{number}" for number in (1, 2)]
    spark, group, account = Mock(), Mock(), Mock()
    spark.cluster.return_value = ClusterStatus("j-2", "WAITING", "", "1", ClusterStage.READY, "")
    group.look.return_value = GroupStatus(0, 4, ())
    account.tagged.return_value = [Resource(arn, "free") for arn in arns]
    found = resources(
        TargetConfig.model_validate(AWS | {"bucket_uri": "memory://none"}), spark, group, account, INTERVALS
    )
    of_clusters = [(each.bill, each.text) for each in found if "luster" in each.text]
    assert of_clusters == [("costs", "Spark cluster j-2: WAITING"), ("free", arns[0])]
