"""Serves the emulated Cloud Monitoring alone, under a clock that a test moves."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from localstack.gcp.api import Api
from localstack.gcp.monitoring import Monitoring
from localstack.server.faults import Faults
from werkzeug.serving import make_server

PROJECT = "desk-project"


class Clock:
    """The time that a service sees."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now


class Served:
    """A running service.

    Attributes:
        url: Where it answers.
        monitoring: The service itself.
        clock: Its clock.
    """

    def __init__(self, url: str, monitoring: Monitoring, clock: Clock) -> None:
        self.url, self.monitoring, self.clock = url, monitoring, clock


@contextmanager
def served(now: dt.datetime) -> Iterator[Served]:
    """Serves it during the block; its URL has a secret path, as that of the whole emulator."""
    clock = Clock(now)
    monitoring = Monitoring(PROJECT, clock)
    world = SimpleNamespace(url="http://127.0.0.1/secret", faults=Faults(), lock=threading.RLock(), problems=[])
    server = make_server("127.0.0.1", 0, Api(world, [monitoring]), threaded=True)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}/secret", monitoring, clock)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
