"""Servers on this machine that stand in for a service: an emulator, a local object store."""

from __future__ import annotations

import ipaddress
import os
import socket
from urllib.parse import urlsplit

from cloudlstm.steps import ATTEMPT

_TIMEOUT_S = 5.0


class NothingListensError(Exception):
    """At an address of this machine nothing listens, so that to ask again would not help."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its address or by the one name that always means it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_listening(url: str) -> None:
    """Raises NothingListensError where a service is said to be on this machine and nothing listens there.

    A server on this machine that is not there will not come back by itself, as one on a network may. Asked before the
    first request of a command; a job, which goes on for hours, waits for a server that is started again.
    """
    if ATTEMPT in os.environ:
        return
    try:
        place = urlsplit(url if "://" in url else f"http://{url}")
        if not is_loopback(place.hostname or ""):
            return
        port = place.port or (443 if place.scheme == "https" else 80)
        socket.create_connection((place.hostname, port), timeout=_TIMEOUT_S).close()
    except ConnectionRefusedError:
        raise NothingListensError(f"nothing answers at {url}") from None
    except (OSError, ValueError):
        return  # it is there, and slow; or the URL is none, which the SDK says better
