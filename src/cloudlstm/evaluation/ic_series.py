"""Information coefficients over time: by month, quarter or year, and as a rolling mean.

One date has one correlation over tickers (`metrics.daily_correlations`); every date weighs the same in a mean. The
rolling mean is over the last 63 dates that have one, a quarter of a year. Neighbouring means share all dates but one,
so a rolling mean wanders without any change of skill: with T independent tickers, one session ahead and no skill, its
standard deviation is 1 / sqrt(63 (T - 1)).
"""

from __future__ import annotations

import numpy as np

from cloudlstm.evaluation.forecasts import DayArray, Forecasts
from cloudlstm.evaluation.metrics import daily_correlations
from cloudlstm.evaluation.periods import by_period, iso_dates
from cloudlstm.evaluation.quant_rows import ICSeries
from cloudlstm.evaluation.significance import FloatArray

WINDOW = 63
"""Sessions of a rolling mean: a quarter of a year."""


def ic_series(forecasts: Forecasts, model: str, ic_min_tickers: int, window: int = WINDOW) -> ICSeries | None:
    """IC and RankIC of one model by period and as rolling means; None if no date has one.

    Args:
        forecasts: Labels with the forecasts of the model.
        model: Name of the model in `forecasts.models`.
        ic_min_tickers: Dates with fewer tickers are left out.
        window: Sessions of a rolling mean; with fewer dates there is none.
    """
    origin, ic, rank_ic = daily_correlations(
        forecasts.origin, forecasts.actual, forecasts.models[model], min_tickers=ic_min_tickers,
        session=forecasts.session,
    )  # fmt: skip
    if not len(origin):
        return None
    days = origin.astype(np.int32)
    period, first, code = by_period(_last_target(forecasts, days), sessions=forecasts.unit != "D")
    sessions = np.bincount(code)
    return ICSeries(
        model=model,
        period=period,
        dates=iso_dates(first),
        sessions=tuple(sessions.tolist()),
        ic=_rounded(np.bincount(code, ic) / sessions),
        rank_ic=_rounded(np.bincount(code, rank_ic) / sessions),
        window=window,
        rolling_dates=iso_dates(days[window - 1 :]),
        rolling_ic=_rounded(_rolling_mean(ic, window)),
        rolling_rank_ic=_rounded(_rolling_mean(rank_ic, window)),
    )


def _last_target(forecasts: Forecasts, origin: DayArray) -> DayArray:
    """The last target date of the labels of each origin date; they usually have the same (dates,)."""
    order = np.lexsort((forecasts.target_session, forecasts.session))
    last = np.searchsorted(forecasts.session[order], origin, side="right") - 1
    target: DayArray = forecasts.target_session[order][last]
    return target


def _rolling_mean(values: FloatArray, window: int) -> FloatArray:
    """Mean of each value and the `window` - 1 before it (n - window + 1,); empty if there are fewer values."""
    if len(values) < window:
        return np.zeros(0)
    means: FloatArray = np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1)
    return means


def _rounded(values: FloatArray) -> tuple[float, ...]:
    return tuple(np.round(values, 9).tolist())
