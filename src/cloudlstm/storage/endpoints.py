"""Servers on this machine that stand in for a service: an emulator, a local object store."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

_TIMEOUT_S = 5.0


_required = False
"""Whether this process needs servers on this machine to be there at once."""


class NothingListensError(Exception):
    """At an address of this machine nothing listens, so that to ask again would not help."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its address or by the one name that always means it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def fail_when_nothing_listens() -> None:
    """Makes `require_listening` check from now on. A command calls it; a job waits for a server that starts again."""
    global _required
    _required = True


def require_listening(url: str) -> None:
    """Raises NothingListensError if `url` names a server on this machine and nothing listens at its port.

    Such a server does not come back by itself, so that a command should not wait for it. Does nothing in a process that
    has not called `fail_when_nothing_listens`.
    """
    if not _required:
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
