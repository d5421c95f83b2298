"""Logs on their way from a node to the bucket, laid out and compressed as EMR does, late as EMR is."""

from __future__ import annotations

import gzip
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from cloudlstm import storage
from localstack.aws.world import World


def log_base(log_uri: str | None, cluster: str) -> str:
    """Where a cluster's logs go, without a slash at the end; empty when it keeps none."""
    if not log_uri:
        return ""
    return f"{log_uri.replace('s3n://', 's3://').rstrip('/')}/{cluster}"


class Logs:
    """Writes logs to storage in a thread of its own, each when it is due."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: queue.SimpleQueue[tuple[float, str, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="logs", daemon=True).start()

    def send(self, base: str, files: Mapping[str, Path]) -> None:
        """Takes these files as they are now, and writes them below `base` after the delay; nothing without a base."""
        if base:
            due = time.monotonic() + self._world.log_delay_s
            for name, path in files.items():
                if path.exists():
                    self._due.put((due, f"{base}/{name}.gz", gzip.compress(path.read_bytes())))

    def _write(self) -> None:
        while True:
            due, uri, packed = self._due.get()
            time.sleep(max(due - time.monotonic(), 0))
            try:
                storage.write(uri, packed)
            except Exception as error:  # a log that is lost must not end the others
                self._world.problems.append(f"log {uri}: {error}")
