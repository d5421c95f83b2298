"""Tables that fit the terminal: what matters least leaves first, and no line ever wraps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_COLUMNS = 200
"""A pipe gets whole lines however narrow the terminal is that it was started from."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        keep: Where not all columns fit, those of the smallest value leave first.
        text: Whether it holds words, which stand left; figures stand right.
    """

    title: str
    keep: int
    text: bool = False


def console() -> Console:
    """Where results are printed."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False)


def fitted(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Text]], width: int, *, strong: Sequence[int] = ()
) -> Table:
    """A table of at most `width` characters; the rows whose numbers are in `strong` stand out."""
    shown = list(range(len(columns)))
    widths = [max(len(column.title), *(len(row[i]) for row in rows), 1) for i, column in enumerate(columns)]
    while len(shown) > 1 and sum(widths[i] + 3 for i in shown) + 1 > width:
        shown.remove(min(shown, key=lambda i: (columns[i].keep, i)))
    table = Table(box=box.SIMPLE_HEAD)
    for i in shown:
        justify = "left" if columns[i].text else "right"
        table.add_column(columns[i].title, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    for number, row in enumerate(rows):
        table.add_row(*(row[i] for i in shown), style="bold" if number in strong else "")
    return table


def say(out: Console, text: str, style: str = "") -> None:
    """Prints one line that is cut rather than wrapped."""
    out.print(text, style=style, no_wrap=True, overflow="ellipsis", markup=False)


def line(text: str, style: str = "") -> Text:
    """The same as a part of something larger."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def cell(value: float | None, form: str) -> str:
    """A figure, or a dash for one that the data does not define."""
    return "–" if value is None else format(value, form)
