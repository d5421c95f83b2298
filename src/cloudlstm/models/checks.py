"""Hard checks of a challenger before it may be promoted; each gives its evidence in numbers.

They look at the data and at the forecasts of one day, not at skill. A failed check prevents a promotion, whatever the
statistics of the gate say; the champion stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cloudlstm.evaluation.significance import FloatArray


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the checks.

    Attributes:
        coverage: Smallest share of the universe that has a forecast.
        refused: Largest share of the day's bars that cleaning refused.
        forecast_sd: Largest absolute forecast, in standard deviations of its ticker's returns.
        tickers: Smallest number of tickers with a forecast.
        kept: Smallest share of the champion's forecast tickers that the challenger forecasts too.
        age_sessions: A last bar older than this many sessions is stale.
        stale: Largest share of stale tickers.
    """

    coverage: float = 0.98
    refused: float = 0.01
    forecast_sd: float = 3.0
    tickers: int = 1
    kept: float = 0.98
    age_sessions: int = 0
    stale: float = 0.02


@dataclass(frozen=True, slots=True)
class DayFacts:
    """What the checks look at, for one day and one model.

    Attributes:
        universe: Tickers that should have a forecast.
        tickers: Ticker of each forecast (n,).
        forecast: Forecast log-return of each (n,).
        return_sd: Standard deviation of the ticker's log-returns over the horizon, in the time before (n,).
        champion_tickers: Tickers that the champion forecast for the same session; empty if there is no champion.
        age_sessions: For each ticker of the universe: sessions since its last bar; 0 is the newest session (universe,).
        bars: New bars of the day, refused ones included.
        refused: Bars of them that cleaning refused.
    """

    universe: Sequence[str]
    tickers: Sequence[str]
    forecast: FloatArray
    return_sd: FloatArray
    champion_tickers: Sequence[str]
    age_sessions: npt.NDArray[np.int64]
    bars: int
    refused: int

    def __post_init__(self) -> None:
        lengths = {len(self.tickers), len(self.forecast), len(self.return_sd)}
        if len(lengths) != 1 or len(self.age_sessions) != len(self.universe):
            raise ValueError(f"lengths differ: forecasts {sorted(lengths)}, ages {len(self.age_sessions)}")


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check; JSON-ready.

    Attributes:
        name: Name of the check.
        passed: Whether it passed.
        value: What was measured.
        limit: What was allowed.
        text: A sentence with the numbers.
        tickers: Up to five tickers that show it.
    """

    name: str
    passed: bool
    value: float
    limit: float
    text: str
    tickers: tuple[str, ...] = field(default=())


_SHOWN = 5


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _missing(name: str, wanted: Sequence[str], found: Sequence[str], least: float, what: str) -> Check:
    """Checks the share of `wanted` that is in `found`."""
    have = set(found)
    missing = [ticker for ticker in dict.fromkeys(wanted) if ticker not in have]
    number = len(set(wanted))
    value = 1.0 - _share(len(missing), number)
    text = f"{number - len(missing)} of {number} {what} have a forecast ({value:.1%}, at least {least:.1%})"
    return Check(name, bool(value >= least), value, least, text, tuple(missing[:_SHOWN]))


def coverage(facts: DayFacts, limits: Limits) -> Check:
    """Share of the universe that has a forecast."""
    return _missing("coverage", facts.universe, facts.tickers, limits.coverage, "tickers of the universe")


def kept_tickers(facts: DayFacts, limits: Limits) -> Check:
    """Share of the champion's tickers that the challenger forecasts too: it may not leave out the hard ones."""
    return _missing("kept", facts.champion_tickers, facts.tickers, limits.kept, "tickers of the champion")


def ticker_count(facts: DayFacts, limits: Limits) -> Check:
    """Number of tickers with a forecast; a ticker with two forecasts fails too."""
    number, forecasts = len(set(facts.tickers)), len(facts.tickers)
    passed = number >= limits.tickers and number == forecasts
    text = f"{forecasts} forecasts for {number} tickers (at least {limits.tickers}, one each)"
    return Check("tickers", passed, float(number), float(limits.tickers), text)


def refused_bars(facts: DayFacts, limits: Limits) -> Check:
    """Share of the day's bars that cleaning refused; a day without bars fails."""
    value = _share(facts.refused, facts.bars)
    text = f"{facts.refused} of {facts.bars} new bars were refused ({value:.1%}, at most {limits.refused:.1%})"
    return Check("refused", facts.bars > 0 and value <= limits.refused, value, limits.refused, text)


def finite_forecasts(facts: DayFacts, limits: Limits) -> Check:  # noqa: ARG001  # every check takes both
    """Number of forecasts that are NaN or infinite; none is allowed."""
    bad = np.flatnonzero(~np.isfinite(facts.forecast))
    text = f"{len(bad)} of {len(facts.forecast)} forecasts are NaN or infinite"
    return Check("finite", not len(bad), float(len(bad)), 0.0, text, tuple(facts.tickers[i] for i in bad[:_SHOWN]))


def forecast_size(facts: DayFacts, limits: Limits) -> Check:
    """Largest absolute forecast in standard deviations of the ticker's returns.

    A ticker whose returns have no positive standard deviation fails, unless its forecast is zero.
    """
    known = facts.return_sd > 0.0
    size = np.abs(facts.forecast) / np.where(known, facts.return_sd, 1.0)
    size = np.where(known | (facts.forecast == 0.0), size, np.inf)
    size = np.where(np.isnan(facts.forecast), 0.0, size)  # finite_forecasts finds these
    order = np.argsort(-size, kind="stable")
    value = float(size[order[0]]) if len(order) else 0.0
    above = [int(i) for i in order if size[i] > limits.forecast_sd]
    text = (
        f"the largest forecast is {value:.2f} standard deviations of its ticker's returns "
        f"(at most {limits.forecast_sd:g}); {len(above)} of {len(size)} are above"
    )
    return Check("size", not above, min(value, 1e300), limits.forecast_sd, text,
                 tuple(facts.tickers[i] for i in above[:_SHOWN]))  # fmt: skip


def stale_tickers(facts: DayFacts, limits: Limits) -> Check:
    """Share of the universe whose last bar is too old; an empty universe fails."""
    old = np.flatnonzero(facts.age_sessions > limits.age_sessions)
    value = _share(len(old), len(facts.universe))
    oldest = int(facts.age_sessions.max(initial=0))
    text = (
        f"the last bar of {len(old)} of {len(facts.universe)} tickers is older than {limits.age_sessions} sessions "
        f"({value:.1%}, at most {limits.stale:.1%}); the oldest has {oldest}"
    )
    shown = tuple(facts.universe[i] for i in old[:_SHOWN])
    return Check("stale", len(facts.universe) > 0 and value <= limits.stale, value, limits.stale, text, shown)


CHECKS = (coverage, kept_tickers, ticker_count, refused_bars, finite_forecasts, forecast_size, stale_tickers)


def hard_checks(facts: DayFacts, limits: Limits | None = None) -> list[Check]:
    """Runs all checks, in a fixed order."""
    limits = limits or Limits()
    return [check(facts, limits) for check in CHECKS]


def failures(checks: Sequence[Check]) -> list[str]:
    """Sentences of the checks that failed, for `gate.decide`."""
    return [
        f"check {check.name}: {check.text}" + (f", such as {', '.join(check.tickers)}" if check.tickers else "")
        for check in checks
        if not check.passed
    ]
