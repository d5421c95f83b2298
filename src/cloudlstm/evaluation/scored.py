"""Everything that is forecast for the test split and the next session: networks, baselines, ensemble, intervals.

In each fold, on its validation split:

    ensemble     mean of the forecasts of all seeds
    calibrated   the ensemble (of one seed: the network) times the slope that validation supports, see `calibration`
    intervals    around the calibrated forecast, see `intervals`

The folds are then joined. Nothing that is fitted in a fold has seen a label of its test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloudlstm.config import RunConfig
from cloudlstm.dataset.folds import Fold
from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.scaling import window_volatility
from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.evaluation import calibration, intervals
from cloudlstm.evaluation.baselines import BaselineFit, Progress, add_baselines
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.evaluation.intervals import ConformalFit
from cloudlstm.evaluation.members import pool
from cloudlstm.evaluation.quant_rows import Slope
from cloudlstm.evaluation.sessions import evidence_horizon
from cloudlstm.evaluation.significance import FloatArray

_BATCH_WINDOWS = 65_536


@dataclass(frozen=True, slots=True)
class FoldFit:
    """What was fitted in one fold.

    Attributes:
        baselines: Fit results of the baselines.
        slope: By which the calibrated forecast is smaller than the ensemble's.
        intervals: Quantiles of the calibrated forecast's errors on the validation split.
    """

    baselines: BaselineFit
    slope: Slope
    intervals: ConformalFit


@dataclass(frozen=True, slots=True)
class Scored:
    """The forecasts of all models.

    Attributes:
        test: The labels of all folds.
        fold: The fold of each label of `test` (n,).
        volatility: The window's volatility x sqrt(horizon) of each label of `test` (n,).
        halves: Half width of the interval of each level and label of `test`, log-return (levels, n).
        fits: What each fold has fitted.
        forecast: The next session; None without a window at the last bar.
        forecast_halves: As `halves`, of `forecast` (levels, m).
        levels: Probabilities of the intervals.
    """

    test: Forecasts
    fold: npt.NDArray[np.intp]
    volatility: FloatArray
    halves: FloatArray
    fits: tuple[FoldFit, ...]
    forecast: Forecasts | None
    forecast_halves: FloatArray
    levels: tuple[float, ...]


def score_folds(
    forecasts: Sequence[dict[str, Forecasts]],
    folds: Sequence[Fold],
    transforms: Sequence[Inputs],
    config: RunConfig,
    progress: Progress = lambda _: None,
) -> Scored:
    """Adds baselines, ensemble, calibrated forecast and intervals to the networks' forecasts, and joins the folds.

    Args:
        forecasts: The networks' forecasts of every fold by split; the other models are added to them.
        folds: The windows of every fold.
        transforms: Converts windows to the networks' inputs, for every fold.
        config: Penalties, horizon and levels.
        progress: Called with the number of windows processed since the last call.

    Raises:
        DataError: a forecast of a network has no window in the sequences.
    """
    fits, scales, halves = [], [], []
    for own, fold, transform in zip(forecasts, folds, transforms, strict=True):
        scored = {split: forecast for split, forecast in own.items() if split != "validation"}
        baselines = add_baselines(scored, fold.splits, transform, config.evaluation.ridge_alphas, progress)
        volatility = {split: _volatility(own[split], fold.splits[split], config) for split in own}
        slope = _add_combined(own, config)
        fitted = _intervals(own.get("validation"), volatility.get("validation"), config)
        fits.append(FoldFit(baselines, slope, fitted))
        scales.append(volatility["test"])
        halves.append(intervals.half_widths(fitted, volatility["test"]))
    test, fold_of = pool([own["test"] for own in forecasts])
    # Each fold's labels keep their order in the joined list.
    order = np.argsort(fold_of, kind="stable")
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    last = forecasts[-1].get("forecast")
    ahead = np.zeros((len(config.evaluation.interval_levels), 0))
    if last is not None:
        ahead = intervals.half_widths(fits[-1].intervals, volatility["forecast"])
    return Scored(
        test=test,
        fold=fold_of,
        volatility=np.concatenate(scales)[place],
        halves=np.concatenate(halves, axis=1)[:, place],
        fits=tuple(fits),
        forecast=last,
        forecast_halves=ahead,
        levels=config.evaluation.interval_levels,
    )


def _volatility(forecasts: Forecasts, windows: WindowSet, config: RunConfig) -> FloatArray:
    """The window's volatility x sqrt(horizon) of each label (n,)."""
    parts = []
    for begin in range(0, len(windows), _BATCH_WINDOWS):
        numbers = np.arange(begin, min(begin + _BATCH_WINDOWS, len(windows)))
        parts.append(window_volatility(windows.windows(numbers)).astype(np.float64))
    every = np.arange(len(windows))
    origins = windows.origin_dates(every).astype(np.int32)
    place = forecasts.positions(windows.tickers(every), origins)
    scaled: FloatArray = np.concatenate(parts)[place] * np.sqrt(config.dataset.horizon_bars)
    return scaled


def _add_combined(own: Mapping[str, Forecasts], config: RunConfig) -> Slope:
    """Adds the ensemble of several seeds and the calibrated forecast to every split; returns the slope."""
    for split in own.values():
        if len(split.members) > 1:
            split.models["ensemble"] = np.mean(list(split.members.values()), axis=0)
    validation = own.get("validation")
    slope = Slope(dates=0, slope=None, error=None, t=None, supported=0.0)
    if validation is not None:
        slope = calibration.validation_slope(
            validation.actual, validation.models[combined(validation)], validation.session, evidence_horizon(config)
        )
    for split in own.values():
        # A zero, not a minus zero, if nothing is supported.
        split.models["calibrated"] = slope.supported * split.models[combined(split)] + 0.0
    return slope


def combined(split: Forecasts) -> str:
    """The model that stands for all networks: the ensemble of several seeds, else the network."""
    return "ensemble" if "ensemble" in split.models else "lstm"


def _intervals(validation: Forecasts | None, volatility: FloatArray | None, config: RunConfig) -> ConformalFit:
    levels = config.evaluation.interval_levels
    if validation is None or volatility is None:
        return ConformalFit(levels=levels, quantiles=(None,) * len(levels), dates=0, labels=0)
    return intervals.fit(
        validation.actual, validation.models["calibrated"], volatility, validation.session, levels
    )  # fmt: skip
