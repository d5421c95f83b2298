"""Launches that EC2 refuses, and what an Auto Scaling group does then."""

from __future__ import annotations

import base64
import os
import secrets
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from localstack.aws.images import GPU_IMAGE
from localstack.cloud import Cloud

from on_emulators import refused_by_aws as refused
from on_emulators import until
from trainer_groups import AwsTrainers, Trainers

PLAIN = "ami-12c6146b"
GPU_PARAMETER = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"


class Group:
    """An Auto Scaling group of size 0 in two zones, whose machines do no work."""

    def __init__(self, client: Any) -> None:
        self.scaling, self.ec2 = client("autoscaling"), client("ec2")

    def make(
        self, *machines: str, image: str = PLAIN, disk_gib: int = 8, spot: bool = False, zones: str = "ab"
    ) -> None:
        """Makes it anew, of these machines in their order of preference."""
        self.remove()
        device = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": disk_gib}}
        data = {"ImageId": image, "InstanceType": machines[0], "BlockDeviceMappings": [device],
                "UserData": base64.b64encode(b"#!/bin/bash\n").decode()}  # fmt: skip
        self.ec2.create_launch_template(LaunchTemplateName="refused", LaunchTemplateData=data)
        spec = {"LaunchTemplateName": "refused", "Version": "$Latest"}
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName="refused", MinSize=0, MaxSize=9, DesiredCapacity=0,
            AvailabilityZones=[f"us-east-1{letter}" for letter in zones],
            MixedInstancesPolicy={
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": spec,
                    "Overrides": [{"InstanceType": each} for each in machines],
                },
                "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0 if spot else 100},
            },
        )  # fmt: skip

    def scale(self, size: int) -> None:
        self.scaling.set_desired_capacity(AutoScalingGroupName="refused", DesiredCapacity=size)

    def instances(self) -> list[dict[str, Any]]:
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["refused"])["AutoScalingGroups"]
        return list(found[0]["Instances"])

    def failure(self) -> str:
        """The last activity's error; empty if it succeeded."""
        found = self.scaling.describe_scaling_activities(AutoScalingGroupName="refused")["Activities"]
        return str(found[0].get("StatusMessage", "")) if found else ""

    def remove(self) -> None:
        if self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["refused"])["AutoScalingGroups"]:
            self.scale(0)
            self.scaling.delete_auto_scaling_group(AutoScalingGroupName="refused", ForceDelete=True)
            self.ec2.delete_launch_template(LaunchTemplateName="refused")


@pytest.fixture
def group(client: Any) -> Iterator[Group]:
    made = Group(client)
    yield made
    made.remove()


def launch(machine: str, **more: Any) -> dict[str, Any]:
    return {"ImageId": PLAIN, "InstanceType": machine, "MinCount": 1, "MaxCount": 1, **more}


def test_a_disk_smaller_than_its_image_is_refused(group: Group, client: Any) -> None:
    named = client("ssm").get_parameter(Name=GPU_PARAMETER)["Parameter"]["Value"]
    (image,) = group.ec2.describe_images(ImageIds=[named])["Images"]
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 75
    group.make("g4dn.xlarge", image=named, disk_gib=60)
    group.scale(1)
    assert "Volume of size 60GB is smaller than snapshot 'snap-" in group.failure()
    assert "expect size >= 75GB. Launching EC2 instance failed." in group.failure()
    assert group.instances() == []
    small = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 74}}]
    words = launch("g4dn.xlarge", BlockDeviceMappings=small) | {"ImageId": GPU_IMAGE}
    refused(group.ec2.run_instances, "InvalidBlockDeviceMapping", "smaller than snapshot", **words)
    group.make("g4dn.xlarge", image=named, disk_gib=80)
    group.scale(1)
    assert len(group.instances()) == 1


def test_addresses_of_ended_instances_are_given_again_when_none_is_left(group: Group) -> None:
    ec2, third = group.ec2, secrets.randbelow(256)
    vpc = ec2.create_vpc(CidrBlock=f"127.{128 + secrets.randbelow(126)}.{third}.0/28")["Vpc"]
    subnet = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock=vpc["CidrBlock"])["Subnet"]["SubnetId"]
    made: list[str] = []
    try:
        while len(made) < 20:
            made += [
                each["InstanceId"] for each in ec2.run_instances(**launch("m7i.large", SubnetId=subnet))["Instances"]
            ]
            if len(made) % 5 == 0:
                ec2.terminate_instances(InstanceIds=made[-5:])
        words = launch("m7i.large", SubnetId=subnet) | {"MinCount": 20, "MaxCount": 20}
        refused(ec2.run_instances, "InsufficientFreeAddressesInSubnet", "not enough free addresses", **words)
    finally:
        found = ec2.describe_instances(Filters=[{"Name": "subnet-id", "Values": [subnet]}])["Reservations"]
        ec2.terminate_instances(InstanceIds=[each["InstanceId"] for one in found for each in one["Instances"]])


def test_quotas_by_class_and_market(cloud: Cloud, group: Group, client: Any) -> None:
    service = client("service-quotas")

    def value(code: str) -> float:
        return float(service.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])

    standard, spot, graphics, graphics_spot = "L-1216C47A", "L-34B43A08", "L-DB2E81BA", "L-3819A6DF"
    assert value(graphics) > 100
    cloud.control.fault("fresh-account")
    assert [value(each) for each in (standard, spot, graphics, graphics_spot)] == [5, 5, 0, 0]
    group.make("g4dn.xlarge", "g4dn.2xlarge")
    group.scale(2)
    assert group.failure().startswith(
        "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your "
        "current vCPU limit of 0 allows for the instance bucket that the specified instance type belongs to."
    )
    service.request_service_quota_increase(ServiceCode="ec2", QuotaCode=graphics, DesiredValue=4)
    assert (value(graphics), value(graphics_spot)) == (4, 0)
    until(lambda: len(group.instances()) == 1, "one of two machines")  # the group tries again, and 4 vCPUs are one
    assert "VcpuLimitExceeded" in group.failure()
    refused(group.ec2.run_instances, "VcpuLimitExceeded", "limit of 4", **launch("g4dn.xlarge"))
    market = {"InstanceMarketOptions": {"MarketType": "spot"}}
    exceeded = "MaxSpotInstanceCountExceeded"
    refused(group.ec2.run_instances, exceeded, "Max spot instance count exceeded", **launch("g4dn.xlarge", **market))
    group.make("g4dn.xlarge", spot=True)
    group.scale(1)
    assert f"Could not launch Spot Instances. {exceeded} - " in group.failure()
    service.request_service_quota_increase(ServiceCode="ec2", QuotaCode=graphics_spot, DesiredValue=4)
    until(lambda: len(group.instances()) == 1, "the machine")
    (name,) = [each["InstanceId"] for each in group.instances()]
    (reservation,) = group.ec2.describe_instances(InstanceIds=[name])["Reservations"]
    assert reservation["Instances"][0]["InstanceLifecycle"] == "spot"
    cloud.control.clear()
    assert value(graphics) > 100


def test_zones_that_lack_a_machine_type(cloud: Cloud, group: Group) -> None:
    def zones(machine: str) -> set[str]:
        asked = [{"Name": "instance-type", "Values": [machine]}]
        found = group.ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=asked)
        return {each["Location"][-1] for each in found["InstanceTypeOfferings"]}

    assert zones("m6i.xlarge") == set("abcdf")  # use1-az3, which is us-east-1e here, has no machines of today
    there = {"Placement": {"AvailabilityZone": "us-east-1e"}}
    message = "not supported in your requested Availability Zone (us-east-1e)"
    refused(group.ec2.run_instances, "Unsupported", message, **launch("m6i.xlarge", **there))
    vpc = group.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    asked = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "availability-zone", "Values": ["us-east-1e"]}]
    subnet = group.ec2.describe_subnets(Filters=asked)["Subnets"][0]["SubnetId"]
    words = {"SubnetId": subnet, "ConnectivityType": "private"}
    refused(group.ec2.create_nat_gateway, "NotAvailableInZone", "Nat Gateway is not available", **words)

    cloud.control.fault("zone-lacks", zone="us-east-1a", machine="g6.*")
    assert zones("g6.xlarge") == set("bcdf")
    group.make("g6.xlarge")
    group.scale(2)
    assert [each["AvailabilityZone"] for each in group.instances()] == ["us-east-1b"] * 2
    group.make("g6.xlarge", zones="a")
    group.scale(1)
    assert "Could not launch On-Demand Instances. Unsupported - " in group.failure()
    assert "(us-east-1a)" in group.failure()


def test_an_instance_that_shuts_down_is_replaced(cloud: Cloud, trainers: Trainers) -> None:
    assert isinstance(trainers, AwsTrainers)
    trainers.scale(1)
    (machine,) = until(lambda: cloud.control.state()["machines"], "the machine")
    os.kill(machine["pid"], signal.SIGKILL)
    (name,) = until(lambda: (found := trainers.instances) != [machine["id"]] and found, "another instance")
    assert trainers.size == 1
    assert name != machine["id"]
    causes = [each["Cause"] for each in trainers.activities()]
    assert any("in response to an EC2 health check" in cause for cause in causes)
    trainers.remove(name)  # this one leaves its group first
    until(lambda: not cloud.control.state()["machines"], "its process to go")
    assert (trainers.size, trainers.instances) == (0, [])
