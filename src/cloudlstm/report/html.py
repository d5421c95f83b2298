"""Renders report.json as one HTML file that needs nothing but itself: no network, no script, no font."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cloudlstm.errors import MissingExtraError
from cloudlstm.report import charts
from cloudlstm.report.charts.panel import LABELS
from cloudlstm.text import numbers
from cloudlstm.text.printable import printable, shortened

LONG_TABLE = 40
"""Tickers up to which a table shows all of them; above, the best and the worst `ENDS`."""
ENDS = 20

LONG_NAME = 24
"""Characters of a ticker up to which it is shown whole."""

UNITS = {"dollar": "$", "return": "%"}
"""Units that a row of results names; shares, ratios and p-values bear theirs in the figure or have none."""

Report = Mapping[str, Any]
Row = Mapping[str, Any]


def render(report: Report) -> str:
    """The page for a report; the same bytes for the same report.

    Raises:
        MissingExtraError: when jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError(
            f"the report needs {error.name}, which is not installed", hint="pip install 'cloudlstm[train]'"
        ) from None
    report = _shown(report)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cloudlstm.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= FILTERS
    environment.globals |= {
        "report": report,
        "plots": charts.draw_all(report),
        "titles": {name: figure.title for name, figure in charts.FIGURES.items()},
        "model_labels": LABELS,
        "definitions": _definitions(report),
        "models": {row["model"]: row for row in report["models"]},
    }
    page: str = environment.get_template("report.html.j2").render(
        results=_results(report),
        tests=_tests(report),
        years=_pivot(report["per_year"], "year"),
        tickers=_ends(_pivot(report["per_ticker"], "ticker"), lambda row: row["lstm"]["skill"]),
        forecasts=_ends(list(report["forecasts"]["rows"]), lambda row: row["lstm_return"]),
        config="\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in _flat(report["config"])),
    )
    return page


def _shown(value: Any) -> Any:
    """A report's value with all text in it made printable, so that whatever a template does with it stays so."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {_shown(key): _shown(each) for key, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list | tuple) else value


def name(text: str) -> str:
    """A ticker, shortened if it is longer than any real one; then the whole of it is shown on hover."""
    from markupsafe import Markup

    if len(text) <= LONG_NAME:
        return text
    return Markup('<span title="{}">{}</span>').format(text, shortened(text, LONG_NAME))


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings as they are written on the command line: section.key and value."""
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _definitions(report: Report) -> dict[str, dict[str, Any]]:
    """Every figure and term by name, numbered in the order of the page's last section."""
    known = [*report["metrics"], *report["terms"]]
    return {each["name"]: {**each, "number": number} for number, each in enumerate(known, 1)}


def _results(report: Report) -> list[dict[str, Any]]:
    """The table of results: a row a metric, a cell a model; the best of a row is marked, also when shared."""
    table = []
    for metric in report["metrics"]:
        values = [row[metric["name"]] for row in report["models"]]
        if not any(values) and metric["name"].startswith(("ic", "rank_ic")):
            continue  # too few tickers for any of them
        if metric["name"] == "labels":
            continue  # the same for all models, and told in the text
        texts = [numbers.figure(value, metric) for value in values]
        known = [value for value in values if value is not None]
        best = {"lower": min, "higher": max}.get(metric["better"])
        mark = numbers.figure(best(known), metric) if best and known else None
        cells = [
            {"model": row["model"], "text": text, "best": mark is not None and text == mark}
            for row, text in zip(report["models"], texts, strict=True)
        ]
        if all(cell["best"] for cell in cells):
            cells = [cell | {"best": False} for cell in cells]
        table.append({"metric": metric, "unit": UNITS.get(metric["unit"], ""), "cells": cells})
    return table


def _tests(report: Report) -> list[dict[str, Any]]:
    """Diebold-Mariano tests, a row a pair of models with both losses."""
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    for row in report["dm"]:
        pair = pairs.setdefault(
            (row["model"], row["reference"]), {"model": row["model"], "reference": row["reference"]}
        )
        pair[row["loss"]] = row
    return list(pairs.values())


def _pivot(rows: list[Row], key: str) -> list[dict[str, Any]]:
    """Rows of (key, model) as one row a key with an entry a model."""
    table: dict[Any, dict[str, Any]] = {}
    for row in rows:
        table.setdefault(row[key], {key: row[key], "labels": row["labels"]})[row["model"]] = row
    return list(table.values())


def _ends(rows: list[Any], order: Callable[[Any], float | None]) -> dict[str, Any]:
    """All rows from best to worst, or only the two ends of a long table."""
    known = sorted((row for row in rows if order(row) is not None), key=lambda row: -(order(row) or 0.0))
    ranked = known + [row for row in rows if order(row) is None]
    if len(ranked) <= LONG_TABLE:
        return {"all": len(ranked), "parts": [{"name": "", "rows": ranked}] if ranked else []}
    parts = [{"name": "highest", "rows": known[:ENDS]}, {"name": "lowest", "rows": known[-ENDS:]}]
    return {"all": len(ranked), "parts": parts}


FILTERS: dict[str, Callable[..., str]] = {
    "name": name,
    "dollars": numbers.dollars,
    "price": numbers.price,
    "percent": numbers.percent,
    "signed_percent": numbers.signed_percent,
    "p_value": numbers.p_value,
    "typeset": numbers.typeset,
    "count": numbers.count,
    "optional": numbers.optional,
    "seconds": numbers.seconds,
    "amount": numbers.amount,
    "code": lambda reason: str(reason).replace("_", " "),
    "moment": lambda iso: numbers.DASH if not iso else f"{iso[:10]} {iso[11:19]} UTC",
}
