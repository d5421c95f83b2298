"""The addresses of all workers, and the index of this one."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Self

from cloudlstm.runs.environment import RESTARTS


@dataclass(frozen=True, slots=True)
class Membership:
    """The workers of a training, as the environment names them.

    Attributes:
        addresses: The addresses of all workers, by index.
        index: The index of this worker.
        restarts: The reason of each restart in this attempt.
    """

    addresses: tuple[str, ...] = ("localhost",)
    index: int = 0
    restarts: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls) -> Self:
        """Reads TF_CONFIG; without it this is the only worker."""
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        restarts = tuple(json.loads(os.environ.get(RESTARTS) or "[]"))
        addresses = config.get("cluster", {}).get("worker", ())
        if not addresses:
            return cls(restarts=restarts)
        return cls(tuple(addresses), int(config["task"]["index"]), restarts)

    @property
    def facts(self) -> dict[str, Any]:
        """The number of restarts for the progress; empty if there were none."""
        return {"restarts": len(self.restarts)} if self.restarts else {}

    @property
    def chief(self) -> bool:
        """True for worker 0, which writes the results."""
        return self.index == 0
