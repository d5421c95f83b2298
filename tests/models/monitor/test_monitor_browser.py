"""The page of a model in a real browser: nothing overflows on a phone or a desk, light and dark."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloudlstm.models.monitor.render import to_html
from models.monitor.model_days import Model, make_model
from report.test_browser import browser, measure, write_page  # noqa: F401  # browser is a fixture
from report.test_hostile_names import VERY_LONG

WIDTHS = (375, 1280)
CHARTS_SHOWN = {"usual": 6, "one": 1, "refused": 6, "thousand": 5, "names": 6}
"""Page -> its charts; on the first day only drift is known, and after a thousand no gate is open."""


def with_long_names(model: Model) -> Model:
    """The model with very long names and reasons of one word."""
    long, wide, chinese = VERY_LONG
    last = model.days[-1]
    drift = tuple({**each, "name": name} for each, name in zip(last.drift, VERY_LONG, strict=False))
    checks = tuple({**check, "text": long, "tickers": [wide]} for check in last.checks)
    bars = {wide: 3, "corrections": [{"ticker": chinese, "old": 1.0}]}
    day = replace(last, status="refused", reasons=(long, chinese), drift=drift, checks=checks, bars=bars)
    versions = [replace(each, recipe=wide) for each in model.versions]
    moves = [replace(each, reasons=(chinese,)) for each in model.moves]
    return Model(replace(model.recipe, run=long, bars=wide), versions, moves, [*model.days[:-1], day], model.usage)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Every page at every width."""
    folder = tmp_path_factory.mktemp("pages")
    models = {
        "usual": make_model(80),
        "one": make_model(1),
        "refused": make_model(21, tickers=12_345),
        "thousand": make_model(1_000, refreshes=40, first="2022-01-03"),
        "names": with_long_names(make_model(54)),
    }
    assert set(models) == set(CHARTS_SHOWN)
    for name, model in models.items():
        write_page(folder, name, to_html(*model.page_arguments()))
    return [(folder / f"{name}.html", width) for name in models for width in WIDTHS]


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def measured(request, browser, shown, tmp_path_factory):  # noqa: F811
    """Measurements by page and width, and whether the browser is in dark mode."""
    return measure(browser, tmp_path_factory.mktemp("browser"), shown, dark=request.param), request.param


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", CHARTS_SHOWN)
def test_nothing_overflows(measured, name, width):
    answers, dark = measured
    found = answers[f"{name} {width}"]
    assert found["inner"] == width
    assert found["dark"] is dark
    assert found["scroll"] <= width, found["wide"]
    assert found["wide"] == []
    if width > 1000:
        assert found["table"] <= 960  # a wider one scrolls even on a desk
    assert found["tallest"] <= 400
    assert found["out"] == []
    assert found["shown"] == CHARTS_SHOWN[name]  # each at one of its two widths
    assert found["smallest"] >= 12
    assert found["ground"] == ("rgb(15, 20, 25)" if dark else "rgb(247, 248, 250)")
