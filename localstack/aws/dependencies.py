"""Networks that are still in use: EC2 refuses to delete them, and moto would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend

_WITHOUT_NAT = frozenset({"use1-az3"})
"""Ids of zones in which AWS has no NAT gateways."""


def install() -> None:
    """Puts checks before the calls that delete networks, and before those that make endpoints and NAT gateways."""
    delete_group, delete_subnet = SecurityGroupBackend.delete_security_group, SubnetBackend.delete_subnet
    delete_vpc, make_endpoint = VPCBackend.delete_vpc, VPCBackend.create_vpc_endpoint
    make_nat_gateway = NatGatewayBackend.create_nat_gateway

    def group(self: Any, name: str | None = None, group_id: str | None = None) -> None:
        found = self.get_security_group_by_name_or_id(group_id or name)
        if found and found.name != "default" and _uses_group(self, found.id):
            raise DependencyViolationError(f"resource {found.id} has a dependent object")
        delete_group(self, name, group_id)

    def subnet(self: Any, subnet_id: str) -> Any:
        if any(where == subnet_id for where in _places(self)):
            raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
        return delete_subnet(self, subnet_id)

    def vpc(self: Any, vpc_id: str) -> Any:
        if _uses_vpc(self, vpc_id):
            raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
        return delete_vpc(self, vpc_id)

    def endpoint(self: Any, vpc_id: str, service_name: str, *args: Any, **kwargs: Any) -> Any:
        wanted = kwargs.get("private_dns_enabled")
        if wanted and any(each.private_dns_enabled for each in endpoints(self, vpc_id, service_name)):
            raise EC2ClientError(
                "InvalidParameter",
                "private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
                f"{service_name} in the VPC {vpc_id}",
            )
        return make_endpoint(self, vpc_id, service_name, *args, **kwargs)

    def nat_gateway(self: Any, subnet_id: str, *args: Any, **kwargs: Any) -> Any:
        if self.get_subnet(subnet_id).availability_zone_id in _WITHOUT_NAT:
            message = "Nat Gateway is not available in this availability zone"
            raise EC2ClientError("NotAvailableInZone", message)
        return make_nat_gateway(self, subnet_id, *args, **kwargs)

    SecurityGroupBackend.delete_security_group = group  # type: ignore[method-assign]
    SubnetBackend.delete_subnet = subnet  # type: ignore[method-assign]
    VPCBackend.delete_vpc = vpc  # type: ignore[method-assign]
    VPCBackend.create_vpc_endpoint = endpoint  # type: ignore[method-assign]
    NatGatewayBackend.create_nat_gateway = nat_gateway  # type: ignore[method-assign]


def endpoints(ec2: Any, vpc_id: str, service: str = "") -> list[Any]:
    """Returns the endpoints of a VPC that are not deleted, all or those of one service."""
    return [
        each
        for each in ec2.vpc_end_points.values()
        if each.vpc_id == vpc_id and each.state == "available" and service in ("", each.service_name)
    ]


def _instances(ec2: Any) -> Iterator[Any]:
    """Yields the instances that have not ended."""
    for reservation in ec2.reservations.values():
        yield from (each for each in reservation.instances if each.state != "terminated")


def _endpoints(ec2: Any) -> Iterator[Any]:
    yield from (each for each in ec2.vpc_end_points.values() if each.state == "available")


def _uses_group(ec2: Any, group: str) -> bool:
    """True if an instance or an endpoint has a security group, or a rule of another group refers to it."""
    if any(group in [each.id for each in instance.security_groups] for instance in _instances(ec2)):
        return True
    if any(group in each.security_group_ids for each in _endpoints(ec2)):
        return True
    others = [each for groups in ec2.groups.values() for each in groups.values() if each.id != group]
    return any(
        (rule.source_group or {}).get("GroupId") == group
        for each in others
        for rule in (*each.ingress_rules, *each.egress_rules)
    )


def _places(ec2: Any) -> Iterator[str]:
    """Yields the subnets of all instances, endpoints and NAT gateways."""
    yield from (each.subnet_id for each in _instances(ec2) if each.subnet_id)
    for endpoint in _endpoints(ec2):
        yield from endpoint.subnet_ids or ()
    yield from (each.subnet_id for each in ec2.nat_gateways.values() if each.state != "deleted")


def _uses_vpc(ec2: Any, vpc_id: str) -> bool:
    """True if a VPC has an endpoint, a gateway or a security group of its own. Subnets and routes are moto's check."""
    groups = [each for each in ec2.groups.get(vpc_id, {}).values() if each.name != "default"]
    gateways = [each for each in ec2.internet_gateways.values() if each.vpc and each.vpc.id == vpc_id]
    return bool(endpoints(ec2, vpc_id) or gateways or groups)
