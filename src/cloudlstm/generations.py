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

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectExistsError
from cloudlstm.layout import RunLayout

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
    """

    number: int
    attempt: int
    addresses: tuple[str, ...] = ()
    restarts: tuple[tuple[float, str], ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = ""
    told: str = ""
    time: float = field(default_factory=time.time)


def write(layout: RunLayout, generation: Generation) -> bool:
    """Writes it; False when somebody else has written the generation of this number."""
    try:
        storage.write_json(layout.generation(generation.number), asdict(generation), if_absent=True)
    except ObjectExistsError:
        return False
    return True


def read(layout: RunLayout, number: int) -> Generation:
    """The generation of this number; ObjectNotFoundError if there is none."""
    record = storage.read_json(layout.generation(number))
    try:
        restarts = tuple((float(when), str(why)) for when, why in record.pop("restarts"))
        return Generation(**record | {"addresses": tuple(record["addresses"]), "restarts": restarts})
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptObjectError(
            f"{layout.generation(number)} is no generation: {error}", hint="submit again"
        ) from None


def newest(layout: RunLayout) -> int:
    """The number of the run's newest generation; 0 when there was none."""
    names = (item.uri.rsplit("/", 1)[1] for item in storage.list_objects(layout.generations))
    return max((int(name.split(".", 1)[0]) for name in names), default=0)
