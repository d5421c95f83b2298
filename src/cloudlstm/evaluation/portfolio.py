"""A long-short portfolio of forecasts: what they would have earned before and after costs.

On each origin date the tickers are ordered by forecast. The portfolio is long the top tenth and short the bottom tenth,
each ticker of a leg with the same weight, each leg with a capital of 1. Capital is constant: gains are not reinvested,
so returns add up. The target portfolio of a date weighs 1/k in the k = n // 10 tickers of a leg.

Definitions, and why:

- **Return of a session.** The mean simple return of the long leg minus that of the short leg, over the horizon h,
  divided by h. For h > 1 the portfolio held is the mean of the last h target portfolios (Jegadeesh and Titman 1993).
  Returns of single sessions are not among the labels, so the h-session return of a target portfolio counts with 1/h,
  all of it on its origin date. Summed over dates this is the return of the portfolio held, without compounding within
  the horizon. Neighbouring numbers overlap on h - 1 sessions; all tests use as many lags.
- **Traded value** of a session: sum over tickers of |weight now - weight before|, bought plus sold, over the capital of
  one leg. Positions start from zero, and those left at the end are closed, both at cost. Trades that only undo the
  change of weights by one session's returns are not counted: at most about 2 x the mean absolute return.
- **Turnover:** traded value / 4. 1 means that both legs (a capital of 2, sold and bought) are replaced in a session.
- **Cost** is one way, in basis points of traded value: commission, half the spread, impact. Borrowing is not in it.
- **Break-even cost:** mean gross return / mean traded value.
- **Dates left out:** with fewer tickers than the least, or with equal forecasts for all. Such a date has an empty
  target portfolio: for h = 1, positions are closed before and opened after it, at cost, and its return is 0. Those
  before the first and after the last date in the market are no sessions.
- A ticker without a forecast on a date has no weight in the target portfolio of that date: what is held of it closes
  at cost, for h > 1 as its target portfolios end.
- Of equal forecasts, the ticker later in the order of tickers counts as the larger one.
- **Volatility** is sqrt(252 x long-run variance) with h - 1 lags; for h = 1 the standard deviation x sqrt(252). The
  Sharpe ratio is the mean return a year over it, without a risk-free rate, as the portfolio needs no net capital. Its
  standard error is sqrt((1 + S^2 / 2) / n), S per session (Lo 2002), times sqrt(252).
- **Bars within a day:** every bar is an origin date with a target portfolio. All returns, trades and tests are those of
  whole sessions, sums over their bars, and what is held at the close is closed there, at cost. A session counts as left
  out if all its bars are.
- **Drawdown:** the cumulative net return minus its maximum so far, where 0 before the first session counts.

Jegadeesh, Titman: Returns to buying winners and selling losers. Journal of Finance 48(1), 1993.
Lo: The statistics of Sharpe ratios. Financial Analysts Journal 58(4), 2002.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cloudlstm.evaluation.forecasts import CodeArray, DayArray
from cloudlstm.evaluation.periods import iso_dates
from cloudlstm.evaluation.quant_rows import Portfolio, Returns
from cloudlstm.evaluation.significance import FloatArray, long_run_variance, mean_test

TENTHS = 10
SESSIONS_A_YEAR = 252


def decile_portfolio(
    ticker: CodeArray,
    origin: DayArray,
    actual: FloatArray,
    forecast: FloatArray,
    horizon: int,
    min_tickers: int,
    cost_bps: float,
    session: DayArray | None = None,
    evidence_horizon: int | None = None,
) -> Portfolio | None:
    """Returns, trades and risk of the long-short portfolio; None if no date has enough tickers.

    Args:
        ticker: Index of each label's ticker, in the order of the tickers (n,).
        origin: Origin date, days since 1970-01-01 (n,).
        actual: Realised log-return over the horizon (n,).
        forecast: Forecast log-return (n,).
        horizon: Bars ahead.
        min_tickers: Dates with fewer tickers, or with fewer than 10, are left out.
        cost_bps: Cost one way, in basis points of the traded value.
        session: Of bars within a day, the session of each label (n,).
        evidence_horizon: Sessions on which the returns of two sessions overlap, plus 1; by default the horizon.
    """
    bars, at_first, date, count = np.unique(origin, return_index=True, return_inverse=True, return_counts=True)
    days = bars if session is None else session[at_first]
    order = np.lexsort((ticker, forecast, date))
    begin = np.cumsum(count) - count
    enough = count >= max(min_tickers, TENTHS)
    equal = forecast[order[begin]] == forecast[order[begin + count - 1]] if len(order) else enough
    used = enough & ~equal
    if not used.any():
        return None
    weight = np.zeros(len(order))
    weight[order] = _target_weights(date[order], np.arange(len(order)) - begin[date[order]], count, used)
    # Positions end with their session: between two, `horizon` dates without a target portfolio are put in.
    days, number = np.unique(days, return_inverse=True)
    slot = np.arange(len(bars)) + (0 if session is None else horizon * number)
    of_session = np.zeros(int(slot[-1]) + 1, np.intp)
    of_session[slot] = number
    of_session = np.maximum.accumulate(of_session)
    in_market = np.bincount(number, used) > 0
    first, last = np.flatnonzero(in_market)[[0, -1]]
    held = np.flatnonzero(weight)
    begin_slot = int(slot[np.argmax(number == first)])
    at = slot[date[held]] - begin_slot
    end_slot = int(slot[np.flatnonzero(number == last)[-1]])
    by_bar = np.bincount(at, weight[held] * np.expm1(actual[held]), end_slot - begin_slot + 1) / horizon
    traded_by_bar = _traded(at, ticker[held], weight[held], horizon, end_slot - begin_slot + 1)
    own = of_session[begin_slot : end_slot + 1] - first
    gross = np.bincount(own, by_bar).astype(np.float64)
    traded = np.bincount(own, traded_by_bar).astype(np.float64)
    sessions = int(last - first) + 1
    net = gross - cost_bps * 1e-4 * traded
    total = np.cumsum(net)
    below = total - np.maximum.accumulate(np.maximum(total, 0.0))
    end = int(np.argmin(below))
    top = np.r_[0.0, total[: end + 1]]
    fall = slice(int(np.argmax(top)), end + 1)  # from the session after the last maximum
    names = iso_dates(days[first : last + 1])
    fell = below[end] < 0.0
    earned = gross[in_market[first : last + 1]]
    enough_in, equal_in = np.bincount(number, enough) > 0, np.bincount(number, enough & equal) > 0
    return Portfolio(
        sessions=sessions,
        dates=int(in_market.sum()),
        few_tickers=int((~enough_in).sum()),
        equal_forecasts=int((equal_in & ~in_market).sum()),
        gross=_returns(gross, evidence_horizon or horizon),
        net=_returns(net, evidence_horizon or horizon),
        cost_bps=cost_bps,
        traded=float(traded.mean()),
        turnover=float(traded.mean()) / 4.0,
        break_even_bps=1e4 * float(gross.mean()) / float(traded.mean()),
        hit_rate=float((earned > 0.0).mean()),
        drawdown=-float(below[end]) if fell else 0.0,
        drawdown_from=names[fall.start] if fell else None,
        drawdown_to=names[end] if fell else None,
        series_dates=names,
        series_gross=_rounded(np.cumsum(gross)),
        series_net=_rounded(total),
        series_drawdown=_rounded(below),
    )


def _target_weights(
    date: npt.NDArray[np.intp], rank: npt.NDArray[np.intp], count: npt.NDArray[np.intp], used: npt.NDArray[np.bool_]
) -> FloatArray:
    """Weights of the target portfolios (n,): 1/k in the k last ranks of each used date, -1/k in the k first."""
    size = np.where(used, count // TENTHS, 0)[date]
    side = (rank >= count[date] - size).astype(np.float64) - (rank < size)
    weights: FloatArray = side / np.maximum(size, 1)
    return weights


def _traded(at: npt.NDArray[np.intp], ticker: CodeArray, weight: FloatArray, horizon: int, sessions: int) -> FloatArray:
    """Value bought and sold in each session (sessions,); what is closed after the last one counts in the last one.

    The portfolio held is the mean of the last h target portfolios, so each of its changes is a target portfolio that
    begins minus the one that ends, over h.

    Args:
        at: Session of each position of a target portfolio (positions,).
        ticker: Its ticker (positions,).
        weight: Its weight (positions,).
        horizon: Sessions for which a target portfolio is held.
        sessions: Number of sessions.
    """
    width = int(ticker.max()) + 1
    key = np.concatenate([at * width + ticker, (at + horizon) * width + ticker])
    keys, place = np.unique(key, return_inverse=True)
    change = np.bincount(place, np.concatenate([weight, -weight])) / horizon
    return np.bincount(np.minimum(keys // width, sessions - 1), np.abs(change), sessions).astype(np.float64)


def _returns(series: FloatArray, horizon: int) -> Returns:
    """Mean and risk of a series of returns per session (sessions,)."""
    n = len(series)
    test = mean_test(series, horizon)
    volatility = sharpe = error = None
    if test.statistic is not None:
        variance = long_run_variance(series, horizon) * n / (n - 1)
        volatility = math.sqrt(variance * SESSIONS_A_YEAR)
        if variance > 0.0:
            ratio = test.mean / math.sqrt(variance)
            sharpe = ratio * math.sqrt(SESSIONS_A_YEAR)
            error = math.sqrt((1.0 + ratio**2 / 2.0) / n * SESSIONS_A_YEAR)
    return Returns(
        mean=test.mean,
        annual=test.mean * SESSIONS_A_YEAR,
        low=test.low,
        high=test.high,
        t=test.statistic,
        volatility=volatility,
        sharpe=sharpe,
        sharpe_error=error,
    )


def _rounded(values: FloatArray) -> tuple[float, ...]:
    return tuple(np.round(values, 9).tolist())
