"""The results of a benchmark as a page and as Markdown.

The page is one HTML file without network access, scripts or fonts, in the style of the report. The Markdown text is for
issues and READMEs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cloudlstm.benchmark.charts import draw_all
from cloudlstm.benchmark.document import BenchmarkResult
from cloudlstm.benchmark.tables import Table, facts, tables
from cloudlstm.report.html import page_environment
from cloudlstm.text.printable import printable


def to_html(result: BenchmarkResult) -> str:
    """The page; equal results give equal bytes.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    environment = page_environment("the page", "benchmark", "report")
    environment.finalize = lambda value: printable(value) if type(value) is str else value
    environment.globals |= {"plots": draw_all(result)}
    page: str = environment.get_template("benchmark.html.j2").render(
        result=result, tables=tables(result), facts=list(facts(result))
    )
    return page


def to_markdown(result: BenchmarkResult) -> str:
    """The text, with a line feed at its end."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: BenchmarkResult) -> Iterator[str]:
    yield f"# Benchmark {result.name}"
    yield ""
    yield from _list(result.headlines)
    for table in tables(result):
        yield ""
        yield from _table(table)
    yield ""
    yield "What these numbers do not show:"
    yield ""
    yield from _list(result.caveats)
    yield ""
    yield from _list(f"{name}: {text}" for name, text in facts(result))


def _list(texts: Iterable[str]) -> Iterator[str]:
    return (f"- {_escaped(text)}" for text in texts)


def _table(table: Table) -> Iterator[str]:
    yield f"**{_escaped(table.caption)}**"
    yield ""
    yield f"| {' | '.join(map(_escaped, table.columns))} |"
    yield "|" + "---|" * len(table.columns)
    for row in table.rows:
        yield f"| {' | '.join(map(_escaped, row))} |"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is; file names and errors may contain any character."""
    shown = printable(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return shown.replace("*", "\\*").replace("_", "\\_").replace("[", "\\[").replace("`", "\\`")
