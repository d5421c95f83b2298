"""The nodes of EMR clusters: what their network must have, their start as instances, and their end."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.ec2.exceptions import EC2ClientError, InvalidSubnetIdError
from moto.emr import models

from localstack.aws.dependencies import endpoints
from localstack.aws.roles import SPOT_ROLE, Roles

_ANYWHERE = ipaddress.ip_network("0.0.0.0/0")
_EMR_TAG = {"for-use-with-amazon-emr-managed-policies": "true"}


class NodeError(Exception):
    """Nodes that EMR does not start; `code` is that of the state's reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Networking:
    """The network that a request for a cluster names.

    Attributes:
        release: The release label.
        subnet: The subnet's id.
        primary: The security group of the primary node; empty for EMR's own.
        node: That of the other nodes; empty for EMR's own.
        service: That of EMR in private subnets; empty for EMR's own.
        role: The name or ARN of EMR's role.
    """

    release: str
    subnet: str
    primary: str
    node: str
    service: str
    role: str

    def check(self, ec2: Any, roles: Roles) -> None:
        """Checks a private subnet as EMR does; makes EMR's endpoint if it is missing and EMR's role allows it.

        Raises:
            NodeError: if EMR could not reach the cluster.
        """
        try:
            subnet = ec2.get_subnet(self.subnet)
        except InvalidSubnetIdError:
            return
        if _is_public(ec2, subnet):
            return
        release = re.match(r"emr-(spark-)?(\d+)", self.release)
        if release and int(release[2]) >= 8:
            self._check_endpoint(ec2, roles, ec2.get_vpc(subnet.vpc_id))
        elif self.service:
            _require(ec2, self.service, 9443, self.primary, "EmrManagedMasterSecurityGroup")
            for group in (self.primary, self.node):
                _require(ec2, group, 8443, self.service, "ServiceAccessSecurityGroup")

    def _check_endpoint(self, ec2: Any, roles: Roles, vpc: Any) -> None:
        """Checks what emr-spark-8 and later need: EMR's endpoint by private DNS, and HTTPS into its groups."""
        service = f"aws.api.{ec2.region_name}.emr-service-cell01"
        if not (vpc.enable_dns_support and vpc.enable_dns_hostnames):
            raise NodeError("VALIDATION_ERROR", f"VPC {vpc.id} must have DNS support and DNS hostnames.")
        if not endpoints(ec2, vpc.id, service):
            if not roles.allows(ec2.account_id, self.role, "ec2:CreateVpcEndpoint"):
                raise NodeError(
                    "VALIDATION_ERROR",
                    f"VPC {vpc.id} has no endpoint for {service}, and the service role may not create one "
                    "(ec2:CreateVpcEndpoint).",
                )
            groups = [self.service] if self.service else []
            ec2.create_vpc_endpoint(  # nothing deletes it: EMR's policies have no right to
                vpc.id, service, "Interface", None, [], [self.subnet], security_group_ids=groups, tags=dict(_EMR_TAG),
                private_dns_enabled=True,
            )  # fmt: skip
        found = endpoints(ec2, vpc.id, service)
        if not any(each.private_dns_enabled for each in found):
            raise NodeError("VALIDATION_ERROR", f"The endpoint for {service} in VPC {vpc.id} has no private DNS name.")
        if not self.service:
            return
        groups = [self.service, *(group for each in found for group in each.security_group_ids)]
        for group in dict.fromkeys(groups):
            if not any(_ports(rule, 443) and rule.cidr_ipv4 == vpc.cidr_block for rule in _rules(ec2, group)):
                raise NodeError(
                    "VALIDATION_ERROR",
                    f"ServiceAccessSecurityGroup {group} is missing ingress rule from the VPC CIDR block "
                    f"{vpc.cidr_block} on port 443.",
                )
        out = ec2.get_security_group_from_id(self.primary)
        if out and not any(_ports(rule, 443) and _leads_to(rule, groups, vpc) for rule in out.egress_rules):
            raise NodeError(
                "VALIDATION_ERROR",
                "EmrManagedMasterSecurityGroup is missing egress rule to ServiceAccessSecurityGroup on port 443.",
            )


def _require(ec2: Any, group: str, port: int, source: str, name: str) -> None:
    """Raises NodeError unless a group has a rule that lets a port in from another group."""
    kind = "ServiceAccessSecurityGroup" if port == 9443 else f"Security group {group}"
    if not any(
        _ports(rule, port) and (rule.source_group or {}).get("GroupId") == source for rule in _rules(ec2, group)
    ):
        raise NodeError("VALIDATION_ERROR", f"{kind} is missing ingress rule from {name} on port {port}")


def _rules(ec2: Any, group: str) -> Iterator[Any]:
    found = ec2.get_security_group_from_id(group)
    yield from found.ingress_rules if found else ()


def _ports(rule: Any, port: int) -> bool:
    """True if a rule is about a TCP port."""
    return rule.ip_protocol == "-1" or (rule.ip_protocol == "tcp" and port in range(rule.from_port, rule.to_port + 1))


def _leads_to(rule: Any, groups: list[str], vpc: Any) -> bool:
    """True if a rule lets connections out to one of the groups."""
    if (rule.source_group or {}).get("GroupId") in groups:
        return True
    return bool(rule.cidr_ipv4) and ipaddress.ip_network(rule.cidr_ipv4) in (
        _ANYWHERE, ipaddress.ip_network(vpc.cidr_block),
    )  # fmt: skip


def _is_public(ec2: Any, subnet: Any) -> bool:
    """True if a subnet's default route is an internet gateway; moto's default subnets have none but count as public."""
    if subnet.default_for_az in (True, "true"):
        return True
    tables = [each for each in ec2.route_tables.values() if each.vpc_id == subnet.vpc_id]
    own = [each for each in tables if subnet.id in each._associations.values()]
    found = own or [each for each in tables if each.main_association_id]
    return any(str(getattr(route.gateway, "id", "")).startswith("igw-") for table in found for route in table.routes)


class Nodes:
    """Starts and ends nodes as instances of EC2.

    Args:
        roles: Roles and instance profiles.
    """

    def __init__(self, roles: Roles) -> None:
        self._roles = roles

    def start(self, cluster: models.Cluster, group: models.InstanceGroup) -> None:
        """Starts the instances of a group.

        Raises:
            NodeError: if EC2 refuses them.
        """
        ec2 = cluster.emr_backend.ec2_backend
        spot = group.market == "SPOT" or bool(group.bid_price)
        if spot and not self._roles.spot_allowed(ec2.account_id, cluster.service_role or ""):
            raise NodeError(
                "VALIDATION_ERROR",
                "The provided credentials do not have permission to create the service-linked role for EC2 Spot "
                f"Instances ({SPOT_ROLE}).",
            )
        held = cluster.master_security_group if group.role == "MASTER" else cluster.slave_security_group
        tags = {"aws:elasticmapreduce:job-flow-id": cluster.id, "aws:elasticmapreduce:instance-group-role": group.role}
        try:
            reservation = ec2.run_instances(
                models.EXAMPLE_AMI_ID, int(group.num_instances), None, [], instance_type=group.instance_type,
                is_instance_type_default=False, subnet_id=cluster.ec2_subnet_id,
                security_group_ids=[held] if held else [], tags={"instance": tags},
                **({"instance_market_options": "spot"} if spot else {}),
            )  # fmt: skip
        except EC2ClientError as error:
            raise _node_error(error, group.instance_type) from None
        for instance in reservation.instances:
            cluster.add_instance(models.Instance(ec2_instance=instance, instance_group=group))

    def tag(self, cluster: models.Cluster) -> None:
        """Gives the instances the tags of their cluster, as EMR does."""
        if names := [each.ec2_instance.id for each in cluster.ec2_instances]:
            cluster.emr_backend.ec2_backend.create_tags(names, {each["Key"]: each["Value"] for each in cluster.tags})

    def end(self, cluster: models.Cluster) -> None:
        """Ends all instances of a cluster that has ended."""
        for each in cluster.ec2_instances:
            if each.ec2_instance.state != "terminated":
                each.ec2_instance.terminate()
        for group in cluster.instance_groups:
            if group.state == "RUNNING":
                group.state = "TERMINATED"


def _node_error(error: EC2ClientError, machine: str) -> NodeError:
    """Returns EMR's error for one of EC2."""
    if error.code in ("VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"):
        return NodeError(
            "INTERNAL_ERROR",
            "The request to create the EMR cluster or add EC2 instances to it failed. The number of vCPUs for instance "
            f"type {machine} exceeds the EC2 service quota for that type. Request a service quota increase for your "
            "AWS account or choose a different instance type and retry the request. For more information, see "
            "https://docs.aws.amazon.com/console/elasticmapreduce/vcpu-limit",
        )
    return NodeError("VALIDATION_ERROR", str(error.message))
