"""A small market within a day, and a network with random weights, for the tests of streams."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.dataset.inputs import Relative
from cloudlstm.features import EIGHT, FEATURE_NAMES, compute
from cloudlstm.market.calendar import Hours
from cloudlstm.market.interval import Interval
from cloudlstm.models.forecasts import Forecaster
from cloudlstm.stream.advance import Rules
from cloudlstm.stream.bars import BARS, VALUES, normal
from cloudlstm.stream.forecasting import Predictor
from cloudlstm.stream.kernel import Kernel
from cloudlstm.stream.sessions import HoursTable
from cloudlstm.training.numpy_network import Network

INTERVAL = 60
OPEN = 1_700_000_100
"""The open of the first session; a multiple of the interval is not needed."""
DAY = 86_400
BARS_A_SESSION = 60
WINDOW, HORIZON = 8, 2


def grid(sessions: int = 3) -> HoursTable:
    opens = ((OPEN + DAY * np.arange(sessions)) // 60).astype(np.int32)
    closes = opens + np.int32(BARS_A_SESSION * INTERVAL // 60)
    days = np.arange(19_675, 19_675 + sessions, dtype=np.int32)
    return HoursTable(Hours(days, opens, closes, closes, closes), Interval("1m"))


def rules(*, fill: int = 0, keep: int | None = None, provisional: bool = True, until: int | None = None) -> Rules:
    kernel = Kernel.of()
    keep = kernel.lookback_bars - 1 + WINDOW - 1 if keep is None else keep
    return Rules(grid(), kernel, keep_bars=keep, max_fill_bars=fill, provisional=provisional,
                 until=until)  # fmt: skip


def minute(session: int, place: int) -> int:
    return OPEN + DAY * session + INTERVAL * place


def bar(ticker: str, session: int, place: int, close: float = 100.0, **values: Any) -> dict[str, Any]:
    found = {
        "ticker": ticker, "minute": minute(session, place), "open": close, "high": close + 0.5, "low": close - 0.5,
        "close": close, "volume": 1000.0, "source": "test", "final": True, "sent": float("nan"),
    }  # fmt: skip
    return found | values


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return normal(pa.Table.from_pylist(rows, schema=BARS))


def market(tickers: int = 3, sessions: int = 2, bars: int = BARS_A_SESSION, seed: int = 0) -> list[dict[str, Any]]:
    """All bars, minute by minute, as a source delivers them."""
    random = np.random.default_rng(seed)
    close = 50.0 + 10.0 * np.arange(tickers)
    rows = []
    for session in range(sessions):
        for place in range(bars):
            for number in range(tickers):
                first, close[number] = close[number], close[number] * np.exp(random.normal(0, 0.002))
                low, high = sorted((first, close[number]))
                rows.append(
                    bar(f"T{number}", session, place, close[number], open=first, high=high * 1.001, low=low * 0.999,
                        volume=float(random.integers(0, 10_000)))
                )  # fmt: skip
    return rows


def batch_features(
    rows: list[dict[str, Any]], fill: int = 0
) -> dict[tuple[str, int], tuple[bool, NDArray[np.float64]]]:
    """The features of all bars by the batch pipeline: (ticker, minute) -> filled, features.

    A plain reading of the rules, bar by bar: a segment ends with its session and at a gap that is too long.
    """
    out: list[dict[str, Any]] = []
    segment = -1
    places = grid().places(np.array([row["minute"] for row in rows], np.int64))
    found = sorted(
        (row["ticker"], row["minute"], session, place, row)
        for row, session, place in zip(rows, places.session.tolist(), places.place.tolist(), strict=True)
    )
    before: tuple[Any, ...] | None = None
    for now in found:
        ticker, _, session, place, row = now
        missing = place - before[3] - 1 if before and before[0] == ticker and before[2] == session else None
        if missing is None or missing > fill:
            segment += 1
        elif before is not None:
            last = before[4]
            for number in range(missing, 0, -1):
                out.append(  # noqa: PERF401 - as a list comprehension nobody could read it
                    {**row, "minute": row["minute"] - number * INTERVAL, "segment": segment, "filled": True,
                     "open": last["close"], "high": last["close"], "low": last["close"], "close": last["close"],
                     "volume": 0.0}
                )  # fmt: skip
        out.append({**row, "segment": segment, "filled": False})
        before = now
    cleaned = pa.table(
        {
            "ticker": pa.array([row["ticker"] for row in out]).dictionary_encode(),
            "date": pa.array([0] * len(out), pa.int32()).view(pa.date32()),
            "segment": pa.array([row["segment"] for row in out], pa.int32()),
            "filled": pa.array([row["filled"] for row in out], pa.bool_()),
            "withdrawn": pa.array([False] * len(out), pa.bool_()),
            **{name: pa.array([row[name] for row in out], pa.float64()) for name in VALUES},
        }
    )
    features = compute(cleaned)
    matrix = np.stack([features[name].to_numpy() for name in FEATURE_NAMES], axis=1)
    return {(row["ticker"], row["minute"]): (row["filled"], matrix[n]) for n, row in enumerate(out)}


def weights(seed: int = 1, units: int = 4) -> bytes:
    """The file of a network with random weights."""
    random, file = np.random.default_rng(seed), io.BytesIO()
    shapes = {
        "lstm.lstm_cell.kernel": (len(FEATURE_NAMES), 4 * units), "lstm.lstm_cell.recurrent_kernel": (units, 4 * units),
        "lstm.lstm_cell.bias": (4 * units,), "forecast.kernel": (units, 1), "forecast.bias": (1,),
    }  # fmt: skip
    values = {name: random.normal(0.0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    np.savez(file, **values)  # type: ignore[arg-type]
    return file.getvalue()


def predictor(seed: int = 1) -> Predictor:
    return Predictor(f"random v{seed}", WINDOW, HORIZON, Forecaster(Network.read(weights(seed)), Relative(HORIZON)))


class RandomModels:
    """Models with random weights; `serving` is the seed of the one that forecasts."""

    features = EIGHT

    def __init__(self, serving: int = 1) -> None:
        self.serving = serving

    def newest(self) -> str:
        return str(self.serving)

    def open(self, key: str) -> Predictor:
        return predictor(int(key))
