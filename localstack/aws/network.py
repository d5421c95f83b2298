"""Private addresses that exist: every instance gets one of this machine's loopback addresses."""

from __future__ import annotations

import ipaddress
import itertools
import secrets
from typing import Any

from moto.ec2.models import instances, subnets

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
# A random network, as two clouds may run beside each other and workers use one port everywhere.
_CHOSEN = itertools.count(int(ipaddress.ip_address("127.64.0.4")) + 256 * secrets.randbelow(64 * 256))


def install() -> None:
    """Subnets outside 127.0.0.0/8 hand out addresses of 127.64.0.0/10; those inside keep their own."""
    of_subnet = subnets.Subnet.get_available_subnet_ip

    def get_available_subnet_ip(self: Any, instance: Any) -> str:
        return of_subnet(self, instance) if self.cidr.overlaps(_LOOPBACK) else _next()

    subnets.Subnet.get_available_subnet_ip = get_available_subnet_ip  # type: ignore[method-assign]
    instances.random_private_ip = lambda *_, **__: _next()  # type: ignore[attr-defined]


def _next() -> str:
    return str(ipaddress.ip_address(next(_CHOSEN)))
