"""Which workers there are, and which of them this process is."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Self

from cloudlstm.runs.environment import RESTARTS


@dataclass(frozen=True, slots=True)
class Membership:
    """What the environment says of the workers.

    Attributes:
        addresses: Of all workers, in their order.
        index: Which of them this is.
        restarts: Why all of them have started again in this attempt, one sentence a time.
    """

    addresses: tuple[str, ...] = ("localhost",)
    index: int = 0
    restarts: tuple[str, ...] = ()

    @classmethod
    def here(cls) -> Self:
        """From TF_CONFIG; without it this is the only worker."""
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        restarts = tuple(json.loads(os.environ.get(RESTARTS) or "[]"))
        addresses = config.get("cluster", {}).get("worker", ())
        if not addresses:
            return cls(restarts=restarts)
        return cls(tuple(addresses), int(config["task"]["index"]), restarts)

    @property
    def facts(self) -> dict[str, Any]:
        """What progress says of the restarts; nothing when there were none."""
        return {"restarts": len(self.restarts)} if self.restarts else {}

    @property
    def chief(self) -> bool:
        """Worker 0 writes what the workers make together."""
        return self.index == 0
