"""Logs on their way from a node to the bucket, as late as the platform is."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping

from cloudlstm import storage
from localstack.world import World


class Logs:
    """Writes logs to storage in a thread of its own, each when it is due."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: queue.SimpleQueue[tuple[float, str, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="logs", daemon=True).start()

    def send(self, logs: Mapping[str, bytes]) -> None:
        """Writes these, by the URIs of their objects, after the delay."""
        due = time.monotonic() + self._world.log_delay_s
        for uri, data in logs.items():
            self._due.put((due, uri, data))

    def _write(self) -> None:
        while True:
            due, uri, data = self._due.get()
            time.sleep(max(due - time.monotonic(), 0))
            try:
                storage.write(uri, data)
            except Exception as error:  # a log that is lost must not end the others
                self._world.problems.append(f"log {uri}: {error}")
