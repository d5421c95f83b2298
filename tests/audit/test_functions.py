"""Feature functions are tried: our own look at nothing later, and planted ones are caught."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from audit.clean_tables import exponential, rolling
from bar_factory import bars_of, walk, weekdays
from cloudlstm.audit import perturbation, recursive
from cloudlstm.config import CleanConfig
from cloudlstm.errors import DataError
from cloudlstm.features import FEATURE_NAMES, FEATURES, compute
from cloudlstm.market import bars
from cloudlstm.market.cleaning.clean import clean

SESSIONS = weekdays(300)
LONGEST = max(feature.lookback_bars for feature in FEATURES)


def market() -> pa.Table:
    tables = [bars_of(name, SESSIONS, walk(300, seed)) for seed, name in enumerate(("AAA", "BBB", "CCC"))]
    return bars.sort(pa.concat_tables([*tables[:2], tables[2].slice(40, 200)]))


def our_features(raw: pa.Table) -> pa.Table:
    return compute(clean(raw, CleanConfig(), SESSIONS).bars)


def cleaned() -> pa.Table:
    return clean(market(), CleanConfig(), SESSIONS).bars


def by_ticker(feature: Callable[[np.ndarray], np.ndarray]) -> Callable[[pa.Table], pa.Table]:
    """A feature of the closes of one ticker at a time, as a function of a table of bars."""

    def compute_it(table: pa.Table) -> pa.Table:
        ticker = np.asarray(table["ticker"].cast(pa.string()))
        out = np.full(len(ticker), np.nan)
        for name in np.unique(ticker):
            out[ticker == name] = feature(table["close"].to_numpy()[ticker == name][:, None])[:, 0]
        return pa.table({"ticker": table["ticker"], "date": table["date"], "feature": out})

    return compute_it


def test_our_features_look_at_no_later_bar():
    assert perturbation(compute, cleaned(), cuts=25) == ()


def test_our_features_depend_on_their_look_back_only():
    assert recursive(compute, cleaned(), lookback=LONGEST) == ()


def test_a_shorter_look_back_than_ours_is_noticed():
    found = recursive(compute, cleaned(), lookback=LONGEST - 1)
    assert [each.column for each in found if each.column in FEATURE_NAMES] == ["ma21"]


def centred(close: np.ndarray) -> np.ndarray:
    out = np.full(close.shape, np.nan)
    out[2:-2] = rolling(close, 5)[4:]
    return out


def filled_backwards(close: np.ndarray) -> np.ndarray:
    out = rolling(close, 30)
    out[:29] = out[29]
    return out


@pytest.mark.parametrize(
    ("feature", "distance"),
    [
        (centred, 1),
        (lambda close: (close - close.mean()) / close.std(), 200),
        (lambda close: np.roll(close, -1, axis=0), 0),
        (lambda close: np.maximum.accumulate(close[::-1])[::-1], 5),
    ],
)
def test_a_feature_that_looks_ahead_is_caught(feature: Callable[[np.ndarray], np.ndarray], distance: int):
    found = perturbation(by_ticker(feature), cleaned(), cuts=10)
    assert [each.column for each in found] == ["feature"]
    assert found[0].cuts >= 8
    assert found[0].distance >= distance
    if feature is centred:
        assert found[0].rows <= 10 * 2 * 3  # the last two rows of three tickers at each cut
        assert found[0].distance == 1


def test_a_back_filled_start_is_caught_if_a_cut_lies_in_it():
    found = perturbation(by_ticker(filled_backwards), cleaned(), cuts=60)
    assert found
    assert found[0].cuts < 60 / 2


@pytest.mark.parametrize("feature", [lambda close: exponential(close, 30), lambda close: np.cumsum(close, axis=0)])
def test_a_feature_that_never_forgets_is_caught_by_its_history_only(feature: Callable[[np.ndarray], np.ndarray]):
    assert perturbation(by_ticker(feature), cleaned(), cuts=10) == ()
    found = recursive(by_ticker(feature), cleaned(), lookback=60)
    assert [(each.column, each.cuts) for each in found] == [("feature", 3)]


def test_a_tolerance_accepts_what_has_faded():
    smooth = by_ticker(lambda close: exponential(close, 10))
    assert recursive(smooth, cleaned(), lookback=120, starts=(50,))
    assert recursive(smooth, cleaned(), lookback=120, starts=(50,), tolerance=1e-6) == ()


def test_a_function_that_drops_rows_by_the_future_is_refused():
    def positive_future(table: pa.Table) -> pa.Table:
        return by_ticker(np.copy)(table).filter(pa.array(table["close"].to_numpy() < table["close"].to_numpy()[-1]))

    with pytest.raises(DataError, match="leaves out"):
        perturbation(positive_future, cleaned(), cuts=5)


def test_bars_without_an_entity_and_with_times():
    close = walk(200)
    table = pa.table({"time": np.datetime64("2020-01-02T16:00", "us") + np.arange(200).astype("m8[D]"), "close": close})

    def ahead(it: pa.Table) -> pa.Table:
        return it.append_column("next", pa.array(np.append(it["close"].to_numpy()[1:], np.nan)))

    assert [each.column for each in perturbation(ahead, table)] == ["next"]
