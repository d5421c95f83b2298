"""Servers on this machine that replace a cloud service, such as an emulator or a local object store."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

_TIMEOUT_S = 5.0


_required = False
"""True if this process fails at once when such a server does not listen."""


class NothingListensError(Exception):
    """No server listens at an address of this machine; a retry would not help."""


def is_loopback(host: str) -> bool:
    """True if a host is a loopback address or `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def fail_when_nothing_listens() -> None:
    """Turns on the check of `require_listening` in this process. Commands do; jobs wait for a server that restarts."""
    global _required
    _required = True


def require_listening(url: str) -> None:
    """Raises NothingListensError if `url` is on this machine and no server listens at its port.

    Such a server does not restart by itself, so a command should not wait for it. Does nothing in a process that has
    not called `fail_when_nothing_listens`.
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
        return  # the server is slow, or the URL is invalid, which the SDK reports
