"""Renders report.json as one HTML file that needs nothing but itself: no network, no script, no font."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cloudlstm.errors import MissingExtraError
from cloudlstm.evaluation import axes, plots

LONG_TABLE = 40
"""Tickers up to which a table shows all of them; above, the best and the worst `ENDS`."""
ENDS = 20

Report = Mapping[str, Any]
Row = Mapping[str, Any]


def render(report: Report) -> str:
    """The page for a report; the same bytes for the same report.

    Raises:
        MissingExtraError: when jinja2 or matplotlib is not installed.
    """
    try:
        import jinja2

        drawn = plots.draw_all(report)
    except ImportError as error:
        raise MissingExtraError(
            f"the report needs {error.name}, which is not installed", hint="pip install 'cloudlstm[train]'"
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cloudlstm.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= FILTERS
    page: str = environment.get_template("report.html.j2").render(
        report=report,
        plots=drawn,
        model_labels=axes.LABELS,
        metrics={metric["name"]: metric for metric in report["metrics"]},
        models={row["model"]: row for row in report["models"]},
        results=_results(report),
        tests=_tests(report),
        years=_pivot(report["per_year"], "year"),
        tickers=_ends(_pivot(report["per_ticker"], "ticker"), lambda row: row["lstm"]["skill"]),
        forecasts=_ends(list(report["forecasts"]["rows"]), lambda row: row["lstm_return"]),
    )
    return page


def _results(report: Report) -> list[dict[str, Any]]:
    """The table of results: a row a metric, a cell a model; the best of a row is marked, also when shared."""
    table = []
    for metric in report["metrics"]:
        values = [row[metric["name"]] for row in report["models"]]
        if not any(values) and metric["name"].startswith(("ic", "rank_ic")):
            continue  # too few tickers for any of them
        if metric["name"] == "labels":
            continue  # the same for all models, and told in the text
        texts = [figure(value, metric) for value in values]
        known = [value for value in values if value is not None]
        best = {"lower": min, "higher": max}.get(metric["better"])
        mark = figure(best(known), metric) if best and known else None
        cells = [{"text": text, "best": mark is not None and text == mark} for text in texts]
        if all(cell["best"] for cell in cells):
            cells = [cell | {"best": False} for cell in cells]
        table.append({"metric": metric, "cells": cells})
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


def figure(value: float | None, metric: Row) -> str:
    """A metric's value as text; a dash where there is none."""
    if value is None:
        return "–"
    match metric["unit"]:
        case "dollar":
            return dollars(value)
        case "return":
            return f"{value:.3%}"
        case "share":
            return signed_percent(value) if metric["name"] in ("skill", "r2_oos") else percent(value)
        case "count":
            return count(value) if value < 1e5 else axes.amount(value)
        case "p":
            return p_value(value)
        case "t":
            return f"{value:+.2f}".replace("-", "−")
        case _:
            return f"{value:.3f}".replace("-", "−")


def dollars(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:,.{digits if abs(value) < 1000 else 2}f}"


def price(value: float | None, coarse_from: float = 1.0) -> str:
    """A price or a part of one in cents; below `coarse_from` dollars with four decimals."""
    return "–" if value is None else f"{value:,.2f}" if abs(value) >= coarse_from else f"{value:,.4f}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def signed_percent(value: float | None) -> str:
    if value is None:
        return "–"
    text = f"{value:+.2%}" if abs(value) < 10 else f"{value:+.0%}"
    return "0.00%" if text in ("+0.00%", "-0.00%") else text.replace("-", "−")


def typeset(text: str) -> str:
    """Plain text with real minus signs."""
    return re.sub(r"(?<![\w.])-(?=[\d$])", "−", text)


def p_value(value: float | None) -> str:
    return "–" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def optional(value: Any) -> str:
    """A fact that may be unknown."""
    return "–" if value is None or value == "" else f"{value:.6g}" if isinstance(value, float) else str(value)


FILTERS: dict[str, Callable[..., str]] = {
    "dollars": dollars,
    "price": price,
    "percent": percent,
    "signed_percent": signed_percent,
    "p_value": p_value,
    "typeset": typeset,
    "count": count,
    "optional": optional,
    "seconds": lambda value: "–" if value is None else axes.seconds_text(value),
    "amount": lambda value: "–" if value is None else axes.amount(value),
}
