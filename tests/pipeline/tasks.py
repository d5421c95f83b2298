"""Functions that both engines can run: worker processes import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from cloudlstm.errors import CloudLSTMError


def square(number: int) -> int:
    return number * number


def process(_: object) -> int:
    return os.getpid()


def raise_it(error: CloudLSTMError) -> None:
    raise error


def invert(number: int) -> int:
    return 1 // number


def split(item: int) -> list[tuple[int, bytes]]:
    """Two pieces of 0 and 2 each."""
    return [(shard, b"%d.%d " % (item, part)) for shard in (0, 2) for part in range(2)]


def split_badly(item: int) -> list[tuple[int, bytes]]:
    return [(0, b"%d" % (1 // item))]


def join(shard: int, pieces: list[bytes]) -> tuple[int, bytes]:
    return shard, b"".join(pieces)


def die_once(mark: Path) -> int:
    """Kills its process the first time; `mark` remembers that."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def die(number: int) -> int:
    """Kills its process for the number 3."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def sleep(mark: Path) -> None:
    """Writes its process's number to `mark`, then takes for ever."""
    mark.write_text(str(os.getpid()))
    time.sleep(600)
