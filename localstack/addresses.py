"""Private addresses that exist: every instance gets one of this machine's loopback addresses."""

from __future__ import annotations

import ipaddress
import itertools
import secrets

# A random network, as two clouds may run beside each other and workers use one port everywhere.
_CHOSEN = itertools.count(int(ipaddress.ip_address("127.64.0.4")) + 256 * secrets.randbelow(64 * 256))


def next_address() -> str:
    """An address of 127.64.0.0/10 that no other instance of this cloud has."""
    return str(ipaddress.ip_address(next(_CHOSEN)))
