"""Generations: who the workers of a run on a cloud's machines are, agreed by objects that are written once.

The machines do not know each other. Each announces itself as a member of the next generation; when all are there, one
of them writes the generation, its addresses in order, and the others read it. A worker that is lost ends its
generation, and all join the next. The last one of an attempt has no addresses but an outcome.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cloudlstm.layout import RunLayout
from cloudlstm.runs import documents, numbered

DONE, FAILED = "done", "failed"
"""Outcomes."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One membership of the workers.

    Attributes:
        number: From 1, over all attempts of the run.
        attempt: The attempt that it belongs to.
        addresses: Of all workers in their order, as in TF_CONFIG; none when it is all over.
        restarts: The restarts of this attempt so far: when (epoch seconds) and why.
        budget: State of the policy about restarts, for whoever decides about the next one.
        outcome: When there are no addresses, "done" or "failed".
        told: Of a failure, the last lines of its worker.
        time: When it was written.
        devices: Into how many devices each worker divides its cores; older releases know one.
    """

    number: int
    attempt: int
    addresses: tuple[str, ...] = ()
    restarts: tuple[tuple[float, str], ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = ""
    told: str = ""
    time: float = field(default_factory=time.time)
    devices: int = 1


def write(layout: RunLayout, generation: Generation) -> bool:
    """Writes it; False when somebody else has written the generation of this number."""
    return numbered.create(layout.generation(generation.number), asdict(generation))


def read(layout: RunLayout, number: int) -> Generation:
    """The generation of this number; ObjectNotFoundError if there is none."""
    return documents.read(Generation, layout.generation(number))


def newest(layout: RunLayout) -> int:
    """The number of the run's newest generation; 0 when there was none."""
    return numbered.newest(layout.generations)
