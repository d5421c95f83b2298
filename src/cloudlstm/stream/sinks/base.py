"""The protocol of a sink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pyarrow as pa


class Sink(Protocol):
    """Takes the forecasts of batches, each batch once.

    Attributes:
        name: Its name in the documents of a stream.
    """

    name: str

    def position(self) -> Any:
        """Where it is before a batch, JSON-ready; given back to `write` if the batch is done again."""
        ...

    def write(self, number: int, forecasts: pa.Table, before: Any, *, again: bool) -> Mapping[str, Any]:
        """Writes the forecasts of a batch, and returns when they are safe.

        Args:
            number: The batch.
            forecasts: FORECASTS table.
            before: Where the sink was before the batch.
            again: True if a process that was killed may have written some of them. Whatever it wrote must not be
                there twice afterwards.

        Returns:
            What the document of the batch notes, JSON-ready.
        """
        ...

    def close(self) -> None:
        """Ends its connections."""
        ...
