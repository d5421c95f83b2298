"""Tables that fit the terminal: what matters least leaves first, and no line ever wraps."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cloudlstm.cli import terminal

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


class _Console(Console):
    """A console that takes all text as it stands, and passes it through `terminal.shown`."""

    def __init__(self, *, stderr: bool, width: int | None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is printed comes by here, also what stands in tables and in the live board."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(terminal.shown(segment.text), segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """As in rich; a failure to write is told as an error."""
        with terminal.written():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """The command decides what that means; rich would end it."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Where people are told something: results on standard output, progress on standard error."""
    stream = sys.stderr if stderr else sys.stdout
    return _Console(stderr=stderr, width=None if stream.isatty() else _PIPE_COLUMNS)


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
        table.add_column(Text(columns[i].title), justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    for number, row in enumerate(rows):
        cells = [each if isinstance(each := row[i], Text) else Text(each) for i in shown]
        table.add_row(*cells, style="bold" if number in strong else "")
    return table


def say(out: Console, text: str, style: str = "") -> None:
    """Prints one line that is cut rather than wrapped."""
    out.print(text, style=style, no_wrap=True, overflow="ellipsis")


def line(text: str, style: str = "") -> Text:
    """The same as a part of something larger."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def cell(value: float | None, form: str) -> str:
    """A figure, or a dash for one that the data does not define."""
    return "–" if value is None else format(value, form)
