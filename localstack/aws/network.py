"""Instances get addresses that exist."""

from __future__ import annotations

import ipaddress
from typing import Any

from moto.ec2.models import instances, subnets

from localstack.addresses import next_address

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def install() -> None:
    """Subnets outside 127.0.0.0/8 hand out addresses of 127.64.0.0/10; those inside keep their own."""
    of_subnet = subnets.Subnet.get_available_subnet_ip

    def get_available_subnet_ip(self: Any, instance: Any) -> str:
        return of_subnet(self, instance) if self.cidr.overlaps(_LOOPBACK) else next_address()

    subnets.Subnet.get_available_subnet_ip = get_available_subnet_ip  # type: ignore[method-assign]
    instances.random_private_ip = lambda *_, **__: next_address()  # type: ignore[attr-defined]
