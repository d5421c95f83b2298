"""The protocol of a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from cloudlstm.stream.bars import Refused
from cloudlstm.stream.documents import Position


@dataclass(frozen=True, slots=True)
class Taken:
    """What a source gave.

    Attributes:
        bars: BARS table.
        refused: What was no bar.
        start: Where the batch begins; the empty position is resolved.
        end: Where the next batch begins.
    """

    bars: pa.Table
    refused: list[Refused]
    start: Position
    end: Position

    @property
    def size(self) -> int:
        """Bars and refused messages."""
        return int(self.bars.num_rows) + len(self.refused)


class Source(Protocol):
    """Gives bars in batches. The same start and end give the same bars in the same order."""

    def take(self, start: Position, most: int, wait_s: float) -> Taken | None:
        """The next bars, at most about `most`; None if none came for `wait_s` seconds.

        It waits for the first ones only: those that come within a moment after them are taken with them.
        """
        ...

    def again(self, start: Position, end: Position, *, skip_gone: bool = False) -> Taken:
        """The bars of a batch that is done again.

        Args:
            start: Where it begins.
            end: Where the next one begins.
            skip_gone: Leave out what the source no longer has.

        Raises:
            OffsetGoneError: The source no longer has them.
        """
        ...

    def skip_gone(self, start: Position) -> tuple[Position, str]:
        """Where the source goes on after a position that is gone, and what is lost, in words."""
        ...

    def ended(self, position: Position) -> bool:
        """True if all that the source had when it was opened is before the position."""
        ...

    def lag(self, position: Position) -> int | None:
        """Messages after the position; None if that is not known."""
        ...

    def close(self) -> None:
        """Ends its connections."""
        ...
