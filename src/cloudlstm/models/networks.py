"""The networks of a model at work on the last bars: forecasts, checks, drift, and bounds for gates and watches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.errors import DataError
from cloudlstm.models import drift, gate, ledger
from cloudlstm.models.checks import Check, DayFacts, Limits, hard_checks
from cloudlstm.models.documents import Version
from cloudlstm.models.forecasts import Forecaster
from cloudlstm.models.making import MOST_TICKERS
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.tail import Tail, Windows
from cloudlstm.models.watch import Watch
from cloudlstm.runs import documents

BOUND_SESSIONS = 40
"""Sessions from whose forecasts the bound of a gate is computed."""
_SPARE_SESSIONS = 5
"""Some sessions may have no windows."""
ORIGINS = max(drift.WINDOW, BOUND_SESSIONS) + _SPARE_SESSIONS
"""Sessions in which windows end that are needed; those of the horizon come on top."""
GONE_SESSIONS = 10
"""A ticker without a bar in so many sessions is no longer expected to have a forecast."""


class Networks:
    """The networks of a model, and the last bars.

    Args:
        paths: The model.
        versions: Its versions by number.
        tail: The last bars.
        horizon_bars: Bars from the end of a window to its label.
    """

    def __init__(self, paths: ModelPaths, versions: Mapping[int, Version], tail: Tail, horizon_bars: int) -> None:
        self._paths, self._versions, self._tail, self._horizon = paths, versions, tail, horizon_bars
        self._more = horizon_bars + _SPARE_SESSIONS
        self._forecasters: dict[int, Forecaster] = {}

    def forecast(self, number: int) -> pa.Table:
        """The forecasts of a version from the newest windows, as a FORECASTS table."""
        windows = self._tail.newest(self._versions[number].window_bars)
        return ledger.forecast_rows(number, windows, self._forecaster(number).returns(windows), self._horizon)

    def checks(self, rows: pa.Table, champion: pa.Table, after: int) -> list[Check]:
        """The hard checks of the forecasts of one version.

        Args:
            rows: The forecasts.
            champion: Those of the champion.
            after: Bars after this date (days since 1970-01-01) are new.
        """
        window = self._versions[int(champion["version"][0].as_py())].window_bars if champion.num_rows else 1
        expected = self._tail.expected(window)
        ages = {ticker: age for ticker, age in self._tail.ages.items() if age < GONE_SESSIONS and ticker in expected}
        facts = DayFacts(
            universe=list(ages),
            tickers=rows["ticker"].to_pylist(),
            forecast=rows["forecast_return"].to_numpy(),
            return_sd=rows["return_sd"].to_numpy(),
            champion_tickers=champion["ticker"].to_pylist(),
            age_sessions=np.array(list(ages.values()), np.int64),
            bars=self._tail.new_rows(after),
            refused=self._tail.refused(after),
        )
        return hard_checks(facts, _limits(len(ages)))

    def drift(self, number: int) -> list[drift.FeatureDrift]:
        """Drift of the inputs of a version that its reference names; empty without one, or with too few sessions."""
        found = storage.read_json(self._paths.version(number, "drift.json"))
        if found is None:
            return []
        reference = documents.built(drift.DriftReference, found, "drift.json")
        forecaster, names = self._forecaster(number), [each.name for each in reference.features]
        windows = self._tail.sample(self._versions[number].window_bars, reference.window + self._more, MOST_TICKERS)
        if set(names) - set(forecaster.names) or len(np.unique(windows.dates)) < reference.window:
            return []
        inputs = forecaster.last_inputs(windows)[:, [forecaster.names.index(name) for name in names]]
        return drift.look(reference, inputs, windows.dates.astype(np.int64))

    def watch(self, number: int) -> Watch | None:
        """A watch of a version against naive; None if its forecasts before today give no bound."""
        windows = self._sample(number)
        naive = windows.targets**2
        try:
            return Watch(gate.bound(gate.daily_differences(self._losses(number, windows), naive, windows.dates)))
        except DataError:
            return None

    def bound(self, version: int, reference: int) -> float:
        """Bound of the daily loss differences of two versions, from labels before today that both can forecast.

        Raises:
            DataError: There are too few, or the two versions forecast the same.
        """
        first, second = self._sample(reference), self._sample(version)
        ours, theirs = self._losses(reference, first), self._losses(version, second)
        keys = [
            dict(zip(zip(each.tickers.tolist(), each.dates.tolist(), strict=True), range(len(each)), strict=True))
            for each in (first, second)
        ]
        common = [key for key in keys[0] if key in keys[1]]
        rows = [np.array([each[key] for key in common], np.intp) for each in keys]
        return gate.bound(gate.daily_differences(ours[rows[0]], theirs[rows[1]], first.dates[rows[0]]))

    def _losses(self, number: int, windows: Windows) -> NDArray[np.float64]:
        """Squared errors of a version, (n,)."""
        losses: NDArray[np.float64] = (windows.targets - self._forecaster(number).returns(windows)) ** 2
        return losses

    def _sample(self, number: int) -> Windows:
        return self._tail.sample(self._versions[number].window_bars, BOUND_SESSIONS + self._more, MOST_TICKERS)

    def _forecaster(self, number: int) -> Forecaster:
        if number not in self._forecasters:
            self._forecasters[number] = Forecaster.of(self._paths, self._versions[number], self._tail.feature_set)
        return self._forecasters[number]


def _limits(tickers: int) -> Limits:
    """The limits of the checks; one ticker may always be missing, unless it is the only one."""
    one = 1.0 / max(tickers, 1) + 1e-9
    usual = Limits()
    return Limits(
        coverage=min(usual.coverage, 1.0 - one),
        kept=min(usual.kept, 1.0 - one),
        refused=max(usual.refused, one),
        stale=max(usual.stale, one),
    )
