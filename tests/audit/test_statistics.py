"""The critical values, the standard error and the limit of effect."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats  # noqa: TID253 - the standard of comparison

from audit.clean_tables import sessions
from cloudlstm.audit.panel import Panel, make_panel
from cloudlstm.audit.roles import Settings, find_roles
from cloudlstm.audit.statistics import LEVEL, Dated, correlation, critical, standard_error


def panel_of(x: np.ndarray, y: np.ndarray) -> Panel:
    """Two columns of shape (dates, entities) as a panel."""
    dates, entities = x.shape
    table = pa.table({
        "ticker": [f"T{i}" for i in range(entities)] * dates,
        "date": pa.array(np.repeat(sessions(dates), entities).astype(np.int32)).view(pa.date32()),
        "x": x.ravel(), "y": y.ravel(),
    })  # fmt: skip
    return make_panel(table, find_roles(table.column_names, Settings(target="y"), "it"), None, "it")


def correlated(x: np.ndarray, y: np.ndarray, lags: int = 0):
    panel = panel_of(x, y)
    return correlation(Dated.of(panel, panel.values["x"]), Dated.of(panel, panel.values["y"]), lags)


@pytest.mark.parametrize("dates", [40, 100, 1000])
@pytest.mark.parametrize("tests", [1, 50, 2000])
def test_critical_values_are_those_of_student(tests: int, dates: int) -> None:
    assert critical(tests, dates) == pytest.approx(stats.t.isf(LEVEL / tests, dates - 1), rel=0.02)


def test_the_standard_error_of_white_noise_and_of_an_autoregression():
    rng = np.random.default_rng(0)
    white = rng.normal(0, 1, 20_000)
    assert standard_error(white, 0) == pytest.approx(1 / math.sqrt(20_000), rel=0.02)
    series = np.zeros(20_000)
    for t in range(1, 20_000):
        series[t] = 0.5 * series[t - 1] + white[t]
    # The long-run deviation of an AR(1) is sigma / (1 - phi).
    assert standard_error(series, 30) == pytest.approx(2 / math.sqrt(20_000), rel=0.1)


def test_a_correlation_of_one_series_is_the_usual_one():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, (5000, 1))
    y = 0.3 * x + math.sqrt(1 - 0.09) * rng.normal(0, 1, x.shape)
    found = correlated(x, y)
    assert found.value == pytest.approx(0.3, abs=0.03)
    assert found.error == pytest.approx((1 - 0.09) / math.sqrt(5000), rel=0.1)
    assert found.dates == 5000


def test_entities_that_move_together_count_as_one():
    """With the same two series in all entities the standard error does not shrink; with own series it does."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(0, 1, (2, 1000, 1))
    ones = np.ones((1, 25))
    assert correlated(x * ones, y * ones).error == pytest.approx(1 / math.sqrt(1000), rel=0.1)
    x, y = rng.normal(0, 1, (2, 1000, 25))
    assert correlated(x, y).error == pytest.approx(1 / math.sqrt(25_000), rel=0.1)


def test_a_correlation_up_to_the_limit_is_not_beyond_it():
    """At the limit the share of rejections is that of the level, although the correlation differs from zero."""
    rng = np.random.default_rng(3)
    rejected = plain = 0
    for _ in range(300):
        x = rng.normal(0, 1, (800, 1))
        found = correlated(x, 0.1 * x + math.sqrt(0.99) * rng.normal(0, 1, x.shape))
        rejected += found.exceeds(0.1, 1)
        plain += found.exceeds(0.0, 1)
    assert rejected <= 5  # LEVEL is 0.2 %
    assert plain > 100


def test_few_dates_and_few_dates_that_matter_are_no_evidence():
    x = np.zeros((500, 1))
    x[::100] = 10.0
    assert math.isnan(correlated(x, x.copy()).value)
    assert not correlated(x[:30], x[:30].copy()).exceeds(0.0, 1)


def test_missing_values_are_left_out():
    rng = np.random.default_rng(4)
    x, y = rng.normal(0, 1, (2, 400, 3))
    x[::2, 1] = np.nan
    y[:100] = np.nan
    found = correlated(x, y)
    both = np.isfinite(x * y)
    means = [np.nanmean(np.where(both, each, np.nan)[100:], axis=1).mean() for each in (x * y, x * x, y * y)]
    assert found.dates == 300
    assert found.value == pytest.approx(means[0] / math.sqrt(means[1] * means[2]))
