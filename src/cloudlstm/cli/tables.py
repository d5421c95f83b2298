"""Tables that fit the terminal: the most important columns are shown, and no line wraps."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cloudlstm.cli import terminal
from cloudlstm.text.numbers import DASH

_PIPE_COLUMNS = 200
"""Width for a pipe, which gets whole lines at any width of the terminal."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        keep: If not all columns fit, those with the largest value have the room first.
        text: Whether it holds words, which are aligned left; numbers are aligned right.
    """

    title: str
    keep: int
    text: bool = False


class _Console(Console):
    """A console that reads no markup in text, and passes all text through `terminal.printable_lines`."""

    def __init__(self, *, stderr: bool, width: int | None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """All text is rendered here, also text in tables and on the live board."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(terminal.printable_lines(segment.text), segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """As in rich; a failure to write becomes a StorageError."""
        with terminal.output_errors():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Leaves the decision to the command; rich would exit."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """A console for results on standard output, or for progress on standard error."""
    stream = sys.stderr if stderr else sys.stdout
    return _Console(stderr=stderr, width=None if stream.isatty() else _PIPE_COLUMNS)


def fitted(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Text]], width: int, *, strong: Sequence[int] = ()
) -> tuple[Table, list[str]]:
    """A table of at most `width` characters, and the titles of the columns that are left out.

    Args:
        columns: All columns.
        rows: The cells of each row.
        width: The width of the console.
        strong: The numbers of the rows that are bold.
    """
    widths = _widths(columns, rows)
    shown: list[int] = []
    for i in sorted(range(len(columns)), key=lambda i: (-columns[i].keep, -i)):
        if not shown or sum(widths[each] + 3 for each in [*shown, i]) + 1 <= width:
            shown.append(i)
    shown.sort()
    left_out = [column.title for i, column in enumerate(columns) if i not in shown]
    return _table(columns, rows, shown, strong), left_out


def print_table(
    out: Console, columns: Sequence[Column], rows: Sequence[Sequence[str | Text]], *, strong: Sequence[int] = ()
) -> None:
    """Prints a table that fits the console, and names the columns that are left out."""
    table, left_out = fitted(columns, rows, out.width, strong=strong)
    out.print(table)
    if left_out:
        out.print(f"columns left out at this width: {', '.join(left_out)}", style="dim")


def print_whole_table(out: Console, columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
    """Prints every column: those for which there is no room follow in further tables with the same first column."""
    widths = [width + 3 for width in _widths(columns, rows)]
    groups: list[list[int]] = [[]]
    for i in range(1, len(columns)):
        if groups[-1] and widths[0] + sum(widths[each] for each in groups[-1]) + widths[i] + 1 > out.width:
            groups.append([])
        groups[-1].append(i)
    for group in groups:
        out.print(_table(columns, rows, [0, *group], ()))


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> list[int]:
    """The number of terminal cells that each column needs."""
    return [
        max(cell_len(column.title), *(cell_len(str(row[i])) for row in rows), 1) for i, column in enumerate(columns)
    ]


def _table(
    columns: Sequence[Column], rows: Sequence[Sequence[str | Text]], shown: Sequence[int], strong: Sequence[int]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for i in shown:
        justify = "left" if columns[i].text else "right"
        table.add_column(Text(columns[i].title), justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    for number, row in enumerate(rows):
        cells = [each if isinstance(each := row[i], Text) else Text(each) for i in shown]
        table.add_row(*cells, style="bold" if number in strong else "")
    return table


def shows_colours(out: Console) -> bool:
    """True if the console prints colours: on a terminal without NO_COLOR."""
    return out.color_system is not None and not out.no_color


def print_line(out: Console, text: str, style: str = "") -> None:
    """Prints one line, cut at the width of the console."""
    out.print(text, style=style, no_wrap=True, overflow="ellipsis")


def line(text: str, style: str = "") -> Text:
    """One line that is cut, for use in other renderables."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def cell(value: Any, form: str) -> str:
    """A value as text, or a dash for None."""
    return DASH if value is None else format(value, form)


SCORES = {
    "rmse_price": ("RMSE $", ",.4f"),
    "skill": ("skill", "+.4f"),
    "rmse_return": ("RMSE return", ".6f"),
    "r2_oos": ("R² o.o.s.", "+.4f"),
    "directional_accuracy": ("direction", ".3f"),
    "dm_p": ("DM p", ".3f"),
}
"""Scores of a model -> their heading and format."""

_TINY_P = 0.0005
"""A smaller p would be printed as 0.000."""


def score_cell(name: str, value: float | None) -> str:
    """A score of a model as text, or a dash for None; `name` is a key of SCORES."""
    if name == "dm_p" and value is not None and value < _TINY_P:
        return "<0.001"
    return cell(value, SCORES[name][1])
