"""Renders a report as one HTML file without network access, scripts or fonts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from cloudlstm.errors import MissingExtraError
from cloudlstm.evaluation.rows import MODEL_LABELS, ModelScores, ModelTest, Scores, TickerScores, YearScores
from cloudlstm.report import charts
from cloudlstm.report.models import Metric, Report, Term
from cloudlstm.text import numbers
from cloudlstm.text.printable import printable, shortened

LONG_TABLE = 40
"""Most rows of a table that is shown whole; of a longer one, the first and the last `ENDS` are shown."""
ENDS = 20

LONG_NAME = 24
"""Longest ticker, in characters, that is shown whole."""

UNITS = {"dollar": "$", "return": "%"}
"""Units shown beside a metric's name; the other metrics have none, or show it with the number."""

_SMALL_RETURN = 1e-3
"""Errors below a tenth of a percent, those of bars within a day, have more digits."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric or term with its number in the list of definitions."""

    name: str
    label: str
    definition: str
    number: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One model's value in the table of results."""

    model: str
    text: str
    best: bool


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One metric in the table of results."""

    metric: Metric
    unit: str
    cells: list[Cell]


@dataclass(slots=True)
class TestRow:
    """Diebold-Mariano tests of a pair of models by loss."""

    model: str
    reference: str
    by_loss: dict[str, ModelTest] = field(default_factory=dict)


@dataclass(slots=True)
class GroupRow:
    """Scores of all models for one ticker or year."""

    key: str | int
    labels: int
    scores: dict[str, Scores] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TablePart(Generic[T]):
    """Rows of a table under one caption."""

    name: str
    rows: list[T]


@dataclass(frozen=True, slots=True)
class LongTable(Generic[T]):
    """A table that may show only its two ends.

    Attributes:
        all: Number of all rows.
        parts: The rows that are shown.
    """

    all: int
    parts: list[TablePart[T]]


def page_environment(page: str, *rooms: str) -> Any:
    """The jinja2 environment of a page, with FILTERS.

    Args:
        page: What needs it, for the error.
        rooms: Rooms with a folder of templates; the first that has a template gives it.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError(
            f"{page} needs {error.name}, which is not installed", hint="pip install 'cloudlstm[train]'"
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(f"cloudlstm.{room}") for room in rooms]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= FILTERS
    return environment


def render(report: Report) -> str:
    """The page for a report; equal reports give equal bytes.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    environment = page_environment("the report", "report")
    report = Report.model_validate(_printable(report.model_dump()))
    environment.globals |= {
        "report": report,
        "plots": charts.draw_all(report),
        "model_labels": MODEL_LABELS,
        "definitions": _definitions([*report.metrics, *report.terms]),
        "models": {row.model: row for row in report.models},
    }
    page: str = environment.get_template("report.html.j2").render(
        results=_results(report),
        tests=_tests(report.dm),
        years=_by_key(report.per_year),
        tickers=_ends(_by_key(report.per_ticker), lambda row: row.scores["lstm"].skill),
        forecasts=_ends(report.forecasts.rows, lambda row: row.lstm_return),
        config="\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in _flat(report.config)),
    )
    return page


def _printable(value: Any) -> Any:
    """JSON in which all text is printable, so that no template can show control characters."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {_printable(key): _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list | tuple) else value


def ticker_name(text: str, most: int = LONG_NAME) -> str:
    """A ticker or another text; one of more than `most` characters is shortened and shown whole on hover."""
    from markupsafe import Markup

    if len(text) <= most:
        return text
    return Markup('<span title="{}">{}</span>').format(text, shortened(text, most))


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings as on the command line: section.key and value."""
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _definitions(known: Sequence[Metric | Term]) -> dict[str, Definition]:
    return {
        each.name: Definition(each.name, each.label, each.definition, number) for number, each in enumerate(known, 1)
    }


def _results(report: Report) -> list[ResultRow]:
    """The table of results: one row per metric, one cell per model; the best cells of a row are marked."""
    table = []
    for metric in report.metrics:
        values: list[float | None] = [getattr(row, metric.name) for row in report.models]
        if not any(values) and metric.name.startswith(("ic", "rank_ic")):
            continue  # too few tickers
        if metric.name == "labels":
            continue  # the same for all models, and stated above the table
        texts = [metric_text(value, metric) for value in values]
        if metric.name == "r2_pooled" and not any(map(_weights_matter, report.models)):
            continue  # dates have about the same number of tickers
        known = [value for value in values if value is not None]
        best = min(known) if known and metric.better == "lower" else None
        best = max(known) if known and metric.better == "higher" else best
        marked = [best is not None and text == metric_text(best, metric) for text in texts]
        if all(marked):
            marked = [False] * len(marked)
        cells = [Cell(row.model, text, mark) for row, text, mark in zip(report.models, texts, marked, strict=True)]
        table.append(ResultRow(metric, UNITS.get(metric.unit, ""), cells))
    return table


def _weights_matter(row: ModelScores) -> bool:
    """Whether R² by label has another sign than R² by date, or differs from it by half a percentage point or more."""
    if row.r2_oos is None or row.r2_pooled is None:
        return False
    return abs(row.r2_pooled - row.r2_oos) >= 0.005 or row.r2_pooled * row.r2_oos < 0.0


def metric_text(value: float | None, metric: Metric) -> str:
    """A metric's value as text; a dash for None."""
    if value is None:
        return numbers.DASH
    match metric.unit:
        case "dollar":
            return numbers.dollars(value)
        case "return":
            return numbers.percent(value, 3 if value >= _SMALL_RETURN or not value else 5)
        case "share":
            return (
                numbers.signed_percent(value)
                if metric.name in ("skill", "r2_oos", "r2_pooled")
                else numbers.percent(value)
            )
        case "count":
            return numbers.count(value) if value < 1e5 else numbers.amount(value)
        case "p":
            return numbers.p_value(value)
        case "t":
            return numbers.minus(f"{value:+.2f}")
        case _:
            return numbers.minus(f"{value:.3f}")


def _tests(tests: Sequence[ModelTest]) -> list[TestRow]:
    pairs: dict[tuple[str, str], TestRow] = {}
    for test in tests:
        pair = pairs.setdefault((test.model, test.reference), TestRow(test.model, test.reference))
        pair.by_loss[test.loss] = test
    return list(pairs.values())


def _by_key(rows: Sequence[TickerScores] | Sequence[YearScores]) -> list[GroupRow]:
    """One row per ticker or year, with the scores of every model."""
    table: dict[str | int, GroupRow] = {}
    for row in rows:
        key = row.ticker if isinstance(row, TickerScores) else row.year
        table.setdefault(key, GroupRow(key, row.labels)).scores[row.model] = row
    return list(table.values())


def _ends(rows: Sequence[T], order: Callable[[T], float | None]) -> LongTable[T]:
    """All rows in descending order, or only both ends of a long table."""
    known = sorted((row for row in rows if order(row) is not None), key=lambda row: -(order(row) or 0.0))
    ranked = known + [row for row in rows if order(row) is None]
    if len(ranked) <= LONG_TABLE:
        return LongTable(len(ranked), [TablePart("", ranked)] if ranked else [])
    return LongTable(len(ranked), [TablePart("highest", known[:ENDS]), TablePart("lowest", known[-ENDS:])])


FILTERS: dict[str, Callable[..., str]] = {
    "name": ticker_name,
    "dollars": numbers.dollars,
    "price": numbers.price,
    "percent": numbers.percent,
    "signed_percent": numbers.signed_percent,
    "p_value": numbers.p_value,
    "typeset": numbers.typeset,
    "count": numbers.count,
    "decimal": numbers.decimal,
    "optional": numbers.optional,
    "seconds": numbers.seconds,
    "amount": numbers.amount,
    "code": lambda reason: str(reason).replace("_", " "),
    "date": lambda iso: numbers.DASH if not iso else iso if len(iso) == 10 else f"{iso[:10]} {iso[11:16]} UTC",
    "moment": lambda iso: numbers.DASH if not iso else f"{iso[:10]} {iso[11:19]} UTC",
}
