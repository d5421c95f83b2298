"""EMR ends clusters whose network or rights are not as it demands, and EC2 keeps networks that are in use."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID253 - a test of boto3's view
from localstack.cloud import Cloud

from on_emulators import refused_by_aws as refused

ENDPOINT = "aws.api.us-east-1.emr-service-cell01"
CIDR = "10.77.0.0/16"
SPARK_8, EMR_7 = "emr-spark-8.1.0", "emr-7.14.0"
SPOT = "iam:CreateServiceLinkedRole"


class Network:
    """A VPC with a private subnet and EMR's three security groups, and a role for EMR."""

    def __init__(self, client: Any) -> None:
        self.ec2, self.iam, self.emr = client("ec2"), client("iam"), client("emr")
        self.vpc = self.ec2.create_vpc(CidrBlock=CIDR)["Vpc"]["VpcId"]
        for name in ("EnableDnsSupport", "EnableDnsHostnames"):
            self.ec2.modify_vpc_attribute(VpcId=self.vpc, **{name: {"Value": True}})
        place = {"VpcId": self.vpc, "CidrBlock": "10.77.1.0/24", "AvailabilityZone": "us-east-1a"}
        self.subnet = self.ec2.create_subnet(**place)["Subnet"]["SubnetId"]
        self.primary, self.node, self.service = (
            self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"]
            for name in ("primary", "node", "service")
        )
        self.role = f"emr-{secrets.token_hex(4)}"
        self.iam.create_role(RoleName=self.role, AssumeRolePolicyDocument="{}")

    def allow(self, *actions: str) -> None:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.iam.put_role_policy(RoleName=self.role, PolicyName="more", PolicyDocument=document)

    def endpoint(self, *, private_dns: bool = True) -> str:
        made = self.ec2.create_vpc_endpoint(
            VpcId=self.vpc, ServiceName=ENDPOINT, VpcEndpointType="Interface", SubnetIds=[self.subnet],
            SecurityGroupIds=[self.service], PrivateDnsEnabled=private_dns,
        )  # fmt: skip
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def let_in(self, group: str, port: int, source: str) -> None:
        """Opens a port of a group to a group or to a range of addresses."""
        who = {"IpRanges": [{"CidrIp": source}]} if "/" in source else {"UserIdGroupPairs": [{"GroupId": source}]}
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **who}
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])

    def cluster(self, release: str = SPARK_8, **group: Any) -> str:
        groups = [{"InstanceRole": "MASTER", "InstanceType": "m6i.xlarge", "InstanceCount": 1, **group}]
        return str(
            self.emr.run_job_flow(
                Name="networked",
                ReleaseLabel=release,
                ServiceRole=self.role,
                Instances={
                    "Ec2SubnetId": self.subnet,
                    "EmrManagedMasterSecurityGroup": self.primary,
                    "EmrManagedSlaveSecurityGroup": self.node,
                    "ServiceAccessSecurityGroup": self.service,
                    "KeepJobFlowAliveWhenNoSteps": True,
                    "InstanceGroups": groups,
                },
            )["JobFlowId"]
        )

    def end_of(self, cluster: str) -> tuple[str, str, str]:
        """The state of a cluster, and the code and the message of its reason."""
        status = self.emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]
        reason = status["StateChangeReason"]
        return status["State"], reason.get("Code", ""), reason.get("Message", "")

    def endpoints(self) -> list[dict[str, Any]]:
        asked = [{"Name": "vpc-id", "Values": [self.vpc]}]
        found: list[dict[str, Any]] = self.ec2.describe_vpc_endpoints(Filters=asked)["VpcEndpoints"]
        return [each for each in found if each["State"] == "available"]

    def remove(self) -> None:
        """Removes the network, its clusters first; fails if anything cannot be removed."""
        clusters = self.emr.list_clusters(ClusterStates=["WAITING", "RUNNING"])["Clusters"]
        if ours := [each["Id"] for each in clusters if each["Name"] == "networked"]:
            self.emr.terminate_job_flows(JobFlowIds=ours)
        if found := self.endpoints():
            self.ec2.delete_vpc_endpoints(VpcEndpointIds=[each["VpcEndpointId"] for each in found])
        for group in (self.primary, self.node, self.service):
            described = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
            for rules, revoke in (
                ("IpPermissions", self.ec2.revoke_security_group_ingress),
                ("IpPermissionsEgress", self.ec2.revoke_security_group_egress),
            ):
                if described[rules]:
                    revoke(GroupId=group, IpPermissions=described[rules])
        for group in (self.primary, self.node, self.service):
            self.ec2.delete_security_group(GroupId=group)
        self.ec2.delete_subnet(SubnetId=self.subnet)
        self.ec2.delete_vpc(VpcId=self.vpc)


@pytest.fixture
def network(client: Any) -> Iterator[Network]:
    made = Network(client)
    yield made
    made.remove()


def test_a_private_cluster_of_emr_8_needs_the_endpoint_and_https_into_its_group(network: Network) -> None:
    state, code, message = network.end_of(network.cluster())
    assert (state, code) == ("TERMINATED_WITH_ERRORS", "VALIDATION_ERROR")
    assert f"has no endpoint for {ENDPOINT}" in message
    endpoint = network.endpoint()
    network.let_in(network.service, 9443, network.primary)  # what EMR 7 needs does not help
    state, code, message = network.end_of(network.cluster())
    assert (state, code) == ("TERMINATED_WITH_ERRORS", "VALIDATION_ERROR")
    assert f"missing ingress rule from the VPC CIDR block {CIDR} on port 443" in message
    network.let_in(network.service, 443, CIDR)
    assert network.end_of(network.cluster())[0] == "WAITING"
    network.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    network.endpoint(private_dns=False)
    assert "has no private DNS name" in network.end_of(network.cluster())[2]


def test_a_private_cluster_of_emr_7_needs_the_old_ports_and_no_endpoint(network: Network) -> None:
    network.let_in(network.service, 443, CIDR)
    state, code, message = network.end_of(network.cluster(EMR_7))
    assert (state, code) == ("TERMINATED_WITH_ERRORS", "VALIDATION_ERROR")
    assert message == (
        "ServiceAccessSecurityGroup is missing ingress rule from EmrManagedMasterSecurityGroup on port 9443"
    )
    network.let_in(network.service, 9443, network.primary)
    for group in (network.primary, network.node):
        network.let_in(group, 8443, network.service)
    assert network.end_of(network.cluster(EMR_7))[0] == "WAITING"


def test_an_endpoint_that_emr_makes_stays_and_keeps_its_network(network: Network) -> None:
    policy = "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
    network.iam.attach_role_policy(RoleName=network.role, PolicyArn=policy)
    network.let_in(network.service, 443, CIDR)
    cluster = network.cluster()
    assert network.end_of(cluster)[0] == "WAITING"
    network.emr.terminate_job_flows(JobFlowIds=[cluster])
    (endpoint,) = network.endpoints()
    assert endpoint["ServiceName"] == ENDPOINT
    ec2 = network.ec2
    refused(ec2.delete_security_group, "DependencyViolation", "has a dependent object", GroupId=network.service)
    refused(ec2.delete_subnet, "DependencyViolation", "cannot be deleted", SubnetId=network.subnet)
    refused(ec2.delete_vpc, "DependencyViolation", "cannot be deleted", VpcId=network.vpc)
    with pytest.raises(ClientError, match="conflicting DNS domain"):
        network.endpoint()


def test_a_network_is_kept_while_instances_or_rules_use_it(network: Network) -> None:
    ec2 = network.ec2
    launched = ec2.run_instances(
        ImageId="ami-12c6146b", InstanceType="m6i.xlarge", MinCount=1, MaxCount=1, SubnetId=network.subnet,
        SecurityGroupIds=[network.node],
    )  # fmt: skip
    refused(ec2.delete_security_group, "DependencyViolation", network.node, GroupId=network.node)
    refused(ec2.delete_subnet, "DependencyViolation", network.subnet, SubnetId=network.subnet)
    ec2.terminate_instances(InstanceIds=[launched["Instances"][0]["InstanceId"]])
    network.let_in(network.service, 443, network.node)
    refused(ec2.delete_security_group, "DependencyViolation", network.node, GroupId=network.node)
    refused(ec2.delete_vpc, "DependencyViolation", network.vpc, VpcId=network.vpc)
    other = ec2.create_vpc(CidrBlock=CIDR)["Vpc"]["VpcId"]
    s3 = ec2.create_vpc_endpoint(VpcId=other, ServiceName="com.amazonaws.us-east-1.s3", VpcEndpointType="Gateway")
    refused(ec2.delete_vpc, "DependencyViolation", other, VpcId=other)
    ec2.delete_vpc_endpoints(VpcEndpointIds=[s3["VpcEndpoint"]["VpcEndpointId"]])
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=other)
    refused(ec2.delete_vpc, "DependencyViolation", other, VpcId=other)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=other)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_vpc(VpcId=other)


def test_nodes_from_the_spot_market_need_a_role_of_the_service(network: Network, client: Any) -> None:
    iam, emr = client("iam"), client("emr")
    with suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_role(RoleName="AWSServiceRoleForEC2Spot")
    network.let_in(network.service, 9443, network.primary)
    for group in (network.primary, network.node):
        network.let_in(group, 8443, network.service)
    cluster = network.cluster(EMR_7)
    spot = {"InstanceRole": "TASK", "InstanceType": "m6i.xlarge", "InstanceCount": 1, "Market": "SPOT",
            "BidPrice": "0.2"}  # fmt: skip

    def added() -> dict[str, Any]:
        name = emr.add_instance_groups(JobFlowId=cluster, InstanceGroups=[spot])["InstanceGroupIds"][0]
        groups = emr.list_instance_groups(ClusterId=cluster)["InstanceGroups"]
        status: dict[str, Any] = next(each["Status"] for each in groups if each["Id"] == name)
        return status

    status = added()
    assert status["State"] == "ARRESTED"
    assert "do not have permission to create the service-linked role" in status["StateChangeReason"]["Message"]
    network.allow(SPOT)
    assert added()["State"] == "RUNNING"
    assert iam.get_role(RoleName="AWSServiceRoleForEC2Spot")["Role"]["Path"] == "/aws-service-role/spot.amazonaws.com/"


def test_a_cluster_beyond_the_quota_ends(cloud: Cloud, network: Network) -> None:
    network.let_in(network.service, 9443, network.primary)
    for group in (network.primary, network.node):
        network.let_in(group, 8443, network.service)
    cloud.control.fault("fresh-account")
    state, code, message = network.end_of(network.cluster(EMR_7, InstanceType="m6i.2xlarge"))
    assert (state, code) == ("TERMINATED_WITH_ERRORS", "INTERNAL_ERROR")
    assert "The number of vCPUs for instance type m6i.2xlarge exceeds the EC2 service quota" in message
    cloud.control.clear()
    assert network.end_of(network.cluster(EMR_7, InstanceType="m6i.2xlarge"))[0] == "WAITING"


def test_roles_are_not_known_everywhere_at_once(cloud: Cloud, network: Network, client: Any) -> None:
    iam = client("iam")
    iam.create_instance_profile(InstanceProfileName=network.role)
    iam.add_role_to_instance_profile(InstanceProfileName=network.role, RoleName=network.role)
    machine = {"ImageId": "ami-12c6146b", "InstanceType": "m6i.xlarge", "MinCount": 1, "MaxCount": 1,
               "IamInstanceProfile": {"Name": network.role}}  # fmt: skip
    instances = {"MasterInstanceType": "m6i.xlarge", "InstanceCount": 1}
    cluster = {"Name": "networked", "ReleaseLabel": EMR_7, "Instances": instances, "JobFlowRole": network.role}
    cloud.control.fault("iam-propagation", after_s=3600)
    refused(network.ec2.run_instances, "InvalidParameterValue", "Invalid IAM Instance Profile name", **machine)
    refused(network.emr.run_job_flow, "ValidationException", f"Invalid InstanceProfile: {network.role}.", **cluster)
    with pytest.raises(ClientError, match="has insufficient EC2 permissions"):
        network.cluster(EMR_7)
    cloud.control.clear()
    cloud.control.fault("iam-propagation", after_s=0.01)
    network.ec2.run_instances(**machine)
    network.emr.run_job_flow(**cluster)
