"""The page of a model: one HTML file without network access, scripts or fonts, in the style of the report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cloudlstm.models.documents import Day, Move, Recipe, Version
from cloudlstm.models.monitor.charts import draw_all
from cloudlstm.models.monitor.headline import facts, headline, is_synthetic, needs_attention, tiles
from cloudlstm.models.monitor.history import History
from cloudlstm.models.monitor.sections import sections
from cloudlstm.models.monitor.words import DEFINITIONS
from cloudlstm.report.html import page_environment
from cloudlstm.text.numbers import typeset
from cloudlstm.text.printable import printable

if TYPE_CHECKING:
    from markupsafe import Markup

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def to_html(
    recipe: Recipe, versions: Sequence[Version], moves: Sequence[Move], days: Sequence[Day],
    usage: Mapping[str, Mapping[str, Any]],
) -> str:  # fmt: skip
    """The page; equal documents give equal bytes.

    Args:
        recipe: The model's recipe.
        versions: All versions.
        moves: All moves of the alias "champion".
        days: All days.
        usage: Date -> {"seconds": time of the day, "usd": cost in US dollars or None}; a date may be missing.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    history = History(versions, moves, days)
    environment = page_environment("the page of a model", "models.monitor", "report")
    environment.finalize = lambda value: printable(value) if type(value) is str else value
    environment.filters["prose"] = _prose
    page: str = environment.get_template("monitor.html.j2").render(
        name=recipe.name,
        synthetic=is_synthetic(recipe),
        headline=headline(history),
        attention=needs_attention(history.last),
        tiles=tiles(history),
        facts=list(facts(recipe, history)),
        sections=sections(history, usage),
        plots=draw_all(history),
        definitions=DEFINITIONS,
    )
    return page


def _prose(text: str) -> Markup:
    """Typeset text, escaped; a date is never broken over two lines."""
    from markupsafe import Markup, escape

    return Markup(_DATE.sub(r'<span class="nb">\g<0></span>', str(escape(typeset(printable(text))))))
