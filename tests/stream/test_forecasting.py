"""Forecasts of a stream are those of the batch, never cross a close, and are scored when their bars come."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.inputs import Relative
from cloudlstm.features import CLOSE
from cloudlstm.stream.advance import advance
from cloudlstm.stream.documents import Scores
from cloudlstm.stream.forecasting import forecast
from cloudlstm.stream.state import State
from cloudlstm.training.numpy_network import Network
from stream.market import (
    BARS_A_SESSION,
    HORIZON,
    INTERVAL,
    WINDOW,
    batch_features,
    grid,
    market,
    minute,
    predictor,
    rules,
    table,
    weights,
)


def expected(rows: list[dict[str, Any]], fill: int = 0) -> dict[tuple[str, int], float]:
    """Forecasts bar by bar from the features of the batch pipeline."""
    features = batch_features(rows, fill)
    network, inputs = Network.read(weights()), Relative(HORIZON)
    out: dict[tuple[str, int], float] = {}
    for (ticker, at), (filled, _) in features.items():
        place = (at - minute(0, 0)) % 86_400 // INTERVAL
        window = [features.get((ticker, at - INTERVAL * back)) for back in range(WINDOW - 1, -1, -1)]
        if filled or place + HORIZON >= BARS_A_SESSION or place < WINDOW - 1 or any(each is None for each in window):
            continue
        values: NDArray[np.float32] = np.array([[each[1] for each in window if each]], np.float32)
        if np.isfinite(values).all():
            names = np.array([ticker])
            out[ticker, at] = float(inputs.returns(network(inputs.inputs(values, names)), values, names)[0])
    return out


def streamed(batches: list[list[dict[str, Any]]], fill: int = 0) -> tuple[dict[tuple[str, int], float], Scores, Any]:
    state, scores, tables = State.empty(), Scores(), []
    out: dict[tuple[str, int], float] = {}
    rule = rules(fill=fill)
    for rows in batches:
        made = advance(state, table(rows), rule)
        found = forecast(made, predictor(), grid())
        state = made.state(found.at_new)
        scores += found.scores
        tables.append(found.table)
        keys = zip(found.table["ticker"].to_pylist(), found.table["minute"].to_pylist(), strict=True)
        out |= dict(zip(keys, found.table["forecast_return"].to_pylist(), strict=True))
    return out, scores, tables


def test_forecasts_are_those_of_the_batch_for_any_cut() -> None:
    rows = [row for n, row in enumerate(market(tickers=3, sessions=2)) if n % 41]
    for fill in (0, 2):
        wanted = expected(rows, fill)
        assert len(wanted) > 50
        for cuts in (
            [rows],
            [rows[:150], rows[150:155], rows[155:]],
            [rows[n : n + 7] for n in range(0, len(rows), 7)],
        ):
            found, _, _ = streamed(cuts, fill)
            assert found.keys() == wanted.keys()
            assert max(abs(found[key] - wanted[key]) for key in wanted) < 1e-6


def test_no_forecast_is_for_a_bar_after_the_close() -> None:
    rows = market(tickers=2, sessions=2)
    _, _, tables = streamed([rows])
    places = (np.array(tables[0]["target_minute"]) - minute(0, 0)) % 86_400 // INTERVAL
    assert places.max() == BARS_A_SESSION - 1
    assert (np.array(tables[0]["target_minute"]) - np.array(tables[0]["minute"]) == HORIZON * INTERVAL).all()


def test_outcomes_are_scored_once_whatever_the_cut() -> None:
    rows = market(tickers=3, sessions=2)
    close = {(row["ticker"], row["minute"]): row["close"] for row in rows}
    made = expected(rows)
    errors = [
        (np.log(close[ticker, at + HORIZON * INTERVAL] / close[ticker, at]), said)
        for (ticker, at), said in made.items()
    ]
    for cuts in ([rows], [rows[n : n + 11] for n in range(0, len(rows), 11)]):
        _, scores, _ = streamed(cuts)
        assert scores.outcomes == len(errors)
        np.testing.assert_allclose(scores.squared_error, sum((came - said) ** 2 for came, said in errors), rtol=1e-5)
        np.testing.assert_allclose(scores.squared_return, sum(came**2 for came, _ in errors), rtol=1e-9)


def test_newest_only_forecasts_from_the_last_bar_of_each_ticker() -> None:
    rows = market(tickers=3, sessions=1, bars=50)
    made = advance(State.empty(), table(rows), rules())
    found = forecast(made, predictor(), grid(), newest_only=True).table
    assert found["minute"].to_pylist() == [minute(0, 49)] * 3
    assert (np.array(found["last_close"]) == made.features[made.new][49::50, CLOSE]).all()


def test_without_a_model_there_are_no_forecasts() -> None:
    made = advance(State.empty(), table(market(2, 1, 40)), rules())
    found = forecast(made, None, grid())
    assert found.table.num_rows == 0
    assert np.isnan(found.at_new).all()
