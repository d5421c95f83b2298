"""Forecasts of new bars by NumPy, for all tickers together, and how earlier forecasts came out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.dataset.ahead import ahead
from cloudlstm.dataset.inputs import restore
from cloudlstm.errors import UsageError
from cloudlstm.features import EIGHT, FeatureSet
from cloudlstm.market import columns
from cloudlstm.models import registry
from cloudlstm.models.forecasts import Forecaster
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.tail import Windows
from cloudlstm.runs import settings, user_code
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.weights import weights_row
from cloudlstm.stream.advance import CLOSE, Advanced, group_numbers
from cloudlstm.stream.documents import Scores
from cloudlstm.stream.kernel import features_of_bars
from cloudlstm.stream.sessions import NO_PLACE, Sessions
from cloudlstm.training.numpy_network import Network
from cloudlstm.training.objects import INPUTS, only

_BLOCK_WINDOWS = 256

FORECASTS = pa.schema(
    [("ticker", pa.string()), ("minute", pa.int64()), ("target_minute", pa.int64()), ("last_close", pa.float64()),
     ("forecast_return", pa.float64()), ("return_sd", pa.float64()), ("final", pa.bool_()), ("model", pa.string()),
     ("sent", pa.float64())]
)  # fmt: skip
"""Forecasts: from the bar at `minute` for the bar at `target_minute`.

`forecast_return` is a log-return, `return_sd` the root mean square of the window's returns scaled to the horizon.
"""


@dataclass(frozen=True, slots=True)
class Predictor:
    """What forecasts.

    Attributes:
        name: Its name in the forecasts, such as "minutes v3".
        window_bars: Bars in a window.
        horizon_bars: Bars from a window's last bar to the target.
        forecaster: The network or the ridge, with its inputs.
    """

    name: str
    window_bars: int
    horizon_bars: int
    forecaster: Forecaster


class Models(Protocol):
    """Where predictors come from."""

    @property
    def features(self) -> FeatureSet:
        """The features of the windows that all of them take; each is computed from bars."""
        ...

    def newest(self) -> str:
        """The key of what forecasts now; asked between two batches."""
        ...

    def open(self, key: str) -> Predictor | None:
        """The predictor of a key; None if nothing forecasts."""
        ...


class NoModel:
    """Features only: the eight."""

    features = EIGHT

    def newest(self) -> str:
        return ""

    def open(self, key: str) -> None:
        del key


class RunModel:
    """The network of a finished run.

    Args:
        run: The run.

    Raises:
        UsageError: The run has not been trained, its network takes what a stream does not have, or the code of its
            features has changed.
        UserCodeError: The code of its features is not there.
    """

    def __init__(self, run: RunPaths) -> None:
        training = Manifest.load(run, "train")
        if training is None:
            raise UsageError(f"run {run.run_id} has not been trained", hint=f"cloudlstm status {run.uri}")
        config = settings.read(run, 0)
        _require_same_code(run, config)
        self.features = features_of_bars(config)
        stored = json.loads(read_object(only(training, INPUTS)))
        require_bars_only(stored, self.features, f"run {run.run_id}")
        weights = read_object(weights_row(training, config.train.all_seeds[0]))
        forecaster, dataset = Forecaster(Network.read(weights), restore(stored, self.features)), config.dataset
        self._predictor = Predictor(run.run_id, dataset.window_bars, dataset.horizon_bars, forecaster)

    def newest(self) -> str:
        return "run"

    def open(self, key: str) -> Predictor:
        del key
        return self._predictor


class ChampionModel:
    """The champion of a model. A promotion serves from the next batch on.

    Args:
        paths: The model.

    Raises:
        UserCodeError: The code of the model's features is not there.
    """

    def __init__(self, paths: ModelPaths) -> None:
        self._paths = paths
        self.features = features_of_bars(parse(dict(registry.recipe_of(paths).config)))
        self._open: dict[str, Predictor] = {}

    def newest(self) -> str:
        return str(registry.newest_move(self._paths).version)

    def open(self, key: str) -> Predictor:
        """The predictor of a version.

        Raises:
            UsageError: Its network takes what a stream does not have.
        """
        if key not in self._open:
            version = registry.version_of(self._paths, int(key))
            name = f"{self._paths.name} v{key}"
            stored = json.loads(storage.read(self._paths.version(version.number, "inputs.json")))
            require_bars_only(stored, self.features, name)
            forecaster = Forecaster.of(self._paths, version, self.features)
            self._open = {key: Predictor(name, version.window_bars, version.horizon_bars, forecaster)}
        return self._open[key]


def require_bars_only(stored: Mapping[str, Any], features: FeatureSet, who: str) -> None:
    """Raises UsageError if a network takes more than features of bars.

    Args:
        stored: The settings of its inputs.
        features: The features of the stream's windows.
        who: Whose network, for the message.
    """
    if lacking := [name for name in stored.get("features", EIGHT.names) if name not in features.names]:
        raise UsageError(
            f"the network of {who} takes {', '.join(lacking)}, and a stream has no macro series and no news",
            hint="a network trained with exogenous.inputs=none",
        )


def _require_same_code(run: RunPaths, config: RunConfig) -> None:
    """Raises UsageError if the code of the user's features is not that with which a run was trained."""
    computed = Manifest.load(run, "features")
    known = computed.facts.get("own_code") if computed else None
    if config.features.extra and known and known != user_code.identity(config.features.extra):
        names = ", ".join(config.features.extra)
        raise UsageError(
            f"the code of {names} has changed since run {run.run_id}, so its features would be others",
            hint="the package as it was then, or train again",
        )


@dataclass(frozen=True, slots=True)
class Forecasts:
    """What a batch forecasts.

    Attributes:
        table: FORECASTS table, by ticker and minute.
        at_new: The log-return forecast at each new bar, NaN without one, (new bar,).
        scores: Forecasts whose outcomes came with the batch.
    """

    table: pa.Table
    at_new: NDArray[np.float64]
    scores: Scores


def forecast(
    advanced: Advanced, predictor: Predictor | None, sessions: Sessions, *, across_closes: bool = False,
    newest_only: bool = False,
) -> Forecasts:  # fmt: skip
    """Forecasts from each new bar that ends a complete window and has the target in its session.

    A filled bar gets no forecast, nor is it an outcome.

    Args:
        advanced: What new bars gave.
        predictor: What forecasts; None for nothing.
        sessions: The bars that there can be.
        across_closes: Whether the target may be a bar of a later session.
        newest_only: Forecast from the last bar of each ticker only.
    """
    at_new = np.full(len(advanced.new), np.nan)
    if predictor is None or not len(advanced.new):
        return Forecasts(FORECASTS.empty_table(), at_new, Scores())
    rows, window, horizon = advanced.rows, predictor.window_bars, predictor.horizon_bars
    group = group_numbers(rows)
    ends = _complete(advanced, group, window)
    ends = ends[~rows.filled[ends] & (across_closes | (rows.left[ends] >= horizon))]
    if newest_only:
        is_last = np.append(rows.code[1:] != rows.code[:-1], True)
        ends = ends[is_last[ends]]
    target = sessions.starts(sessions.numbers(rows.minute[ends]) + horizon)
    ends, target = ends[target != NO_PLACE], target[target != NO_PLACE]
    windows = _windows(advanced, ends, window)
    returns = _returns(predictor.forecaster, windows)
    at_new[np.searchsorted(advanced.new, ends)] = returns
    table = pa.table(
        {
            "ticker": columns.from_codes(rows.code[ends], list(advanced.tickers)),
            "minute": rows.minute[ends],
            "target_minute": target,
            "last_close": np.ascontiguousarray(rows.values[ends, CLOSE]),
            "forecast_return": returns,
            "return_sd": windows.return_sd(horizon),
            "final": rows.final[ends],
            "model": columns.from_codes(np.zeros(len(ends), np.int32), [predictor.name]),
            "sent": pa.array(rows.sent[ends], from_pandas=True),
        }
    )
    return Forecasts(table, at_new, _scores(advanced, at_new, group, horizon))


def _returns(forecaster: Forecaster, windows: Windows) -> NDArray[np.float64]:
    """The forecast log-returns of windows, (n,), computed on all cores in blocks that fit into a core's cache."""

    def compute(begin: int) -> NDArray[np.float64]:
        block = slice(begin, begin + _BLOCK_WINDOWS)
        return forecaster.returns(
            Windows(windows.values[block], windows.tickers[block], windows.dates[block], windows.targets[block])
        )

    return np.concatenate([np.zeros(0), *ahead(compute, range(0, len(windows), _BLOCK_WINDOWS))])


def _complete(advanced: Advanced, group: NDArray[np.int32], window: int) -> NDArray[np.intp]:
    """The new bars that end a window whose bars all have all features."""
    incomplete = np.concatenate([[0], np.cumsum(~np.isfinite(advanced.features).all(axis=1))])
    ends = advanced.new[advanced.new >= window - 1]
    first = ends - window + 1
    whole: NDArray[np.intp] = ends[(group[first] == group[ends]) & (incomplete[ends + 1] == incomplete[first])]
    return whole


def _windows(advanced: Advanced, ends: NDArray[np.intp], window: int) -> Windows:
    values = advanced.features.astype(np.float32)[ends[:, None] + np.arange(1 - window, 1)]
    names = np.array(advanced.tickers, dtype=np.str_) if advanced.tickers else np.zeros(0, np.str_)
    rows = advanced.rows
    return Windows(values, names[rows.code[ends]], rows.session[ends], np.full(len(ends), np.nan))


def _scores(advanced: Advanced, at_new: NDArray[np.float64], group: NDArray[np.int32], horizon: int) -> Scores:
    """Compares the new bars with the forecasts for them."""
    rows, made = advanced.rows, advanced.with_forecasts(at_new)
    targets = advanced.new[advanced.new >= horizon]
    origins = targets - horizon
    known = (group[origins] == group[targets]) & np.isfinite(made[origins]) & ~rows.filled[targets]
    targets, origins = targets[known], origins[known]
    close: NDArray[Any] = rows.values[:, CLOSE]
    came, said = np.log(close[targets] / close[origins]), made[origins]
    return Scores(
        len(targets), float(((came - said) ** 2).sum()), float((came**2).sum()),
        int((np.sign(came) == np.sign(said))[came != 0].sum()), int((came != 0).sum()),
    )  # fmt: skip
