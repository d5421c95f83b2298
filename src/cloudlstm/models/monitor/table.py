"""A table of text on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudlstm.text.printable import printable, shortened

LONGEST_CELL = 240
"""Most characters of a cell; the documents of the model have the whole text."""
LONG_CELL = 24
"""A column with a longer text is set in lines."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        cells: The texts; the first is the row's heading.
        marked: Whether the row needs attention; a cell says why in words.
    """

    cells: tuple[str, ...]
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        caption: What it shows.
        columns: The headings.
        rows: The rows.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def long(self) -> list[bool]:
        """For each column: whether it has a text that needs lines."""
        return [any(len(row.cells[at]) > LONG_CELL for row in self.rows) for at in range(len(self.columns))]

    @property
    def dense(self) -> bool:
        """Whether the table is set smaller: it has many columns."""
        return len(self.columns) > 6


def table(caption: str, columns: Sequence[str], rows: Sequence[Row]) -> list[Table]:
    """A list of the table, or of none if it has no rows.

    Control characters in its cells are escaped, and very long texts are shortened.
    """
    shown = tuple(
        Row(tuple(shortened(printable(cell), LONGEST_CELL) for cell in row.cells), row.marked) for row in rows
    )
    return [Table(caption, tuple(columns), shown)] if shown else []
