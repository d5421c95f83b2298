"""Simulated forecasts, windows and reports for tests."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm.config import RunConfig, parse
from cloudlstm.costs.usage import Rate, Usage
from cloudlstm.evaluation.baselines import BaselineFit
from cloudlstm.evaluation.forecasts import Forecasts
from cloudlstm.evaluation.intervals import ConformalFit
from cloudlstm.evaluation.quant_rows import Slope
from cloudlstm.evaluation.scored import FoldFit, Scored, combined
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.report.build import ReportInputs, build_report
from cloudlstm.report.exogenous_models import Exogenous
from cloudlstm.report.models import Report
from cloudlstm.report.run_models import Epoch
from cloudlstm.report.schema import to_json
from cloudlstm.report.timeline import Timing
from cloudlstm.runs.manifest import Manifest, ManifestRow

HISTORY = [
    {
        "epoch": 0,
        "train_loss": None,
        "validation_loss": 1.3,
        "learning_rate": 0.0,
        "seconds": 0.0,
        "windows_per_s": 0.0,
    },
    {
        "epoch": 1,
        "train_loss": 1.1,
        "validation_loss": 1.2,
        "learning_rate": 1e-3,
        "seconds": 2.0,
        "windows_per_s": 9e3,
    },
    {
        "epoch": 2,
        "train_loss": 1.0,
        "validation_loss": 1.25,
        "learning_rate": 5e-4,
        "seconds": 4.0,
        "windows_per_s": 9e3,
    },
]


LABEL_DATES = {"train": ("2019-03-15", "2021-12-31"), "validation": ("2022-01-04", "2022-12-30")}
"""Split -> first and last target date of its labels."""

SUBMITTED = 1_750_000_000.0
"""Begin of the attempt of the sample run, seconds since the epoch."""


def days_from(date: str, n: int) -> NDArray[np.int32]:
    """`n` weekdays from `date` on, as days since 1970-01-01."""
    return np.busday_offset(date, np.arange(n), roll="forward").astype("datetime64[D]").astype(np.int32)


def make_forecasts(tickers: int = 6, dates: int = 80, *, seed: int = 0, skill: float = 0.0) -> Forecasts:
    """A test split: a market factor, prices of many sizes, and an LSTM that forecasts a share `skill` of the signal."""
    rng = np.random.default_rng(seed)
    days = days_from("2023-11-01", dates + 1)
    shape = (tickers, dates)
    signal = rng.normal(0.0, 0.005, shape)
    actual = rng.normal(0.0, 0.01, (1, dates)) + rng.normal(0.0, 0.01, shape) + signal
    close = rng.uniform(5.0, 500.0, (tickers, 1)) * np.exp(np.cumsum(actual, axis=1) - actual)
    models = {
        "naive": np.zeros(shape),
        "drift": np.repeat(rng.normal(0.0005, 0.0002, (tickers, 1)), dates, axis=1),
        "ridge": rng.normal(0.0, 0.001, shape),
        "lstm": skill * signal + rng.normal(0.0, 0.001, shape),
    }
    return Forecasts(
        tuple(f"T{number:04d}" for number in range(tickers)),
        np.repeat(np.arange(tickers), dates),
        np.tile(days[:-1], tickers),
        np.tile(days[1:], tickers),
        close.ravel(),
        actual.ravel(),
        {model: forecast.ravel() for model, forecast in models.items()},
    )


def make_extreme_forecasts(tickers: int = 6) -> Forecasts:
    """As `make_forecasts`, with LSTM errors larger by orders of magnitude, as with inputs on price levels."""
    test = make_forecasts(tickers=tickers)
    rng = np.random.default_rng(1)
    test.models["lstm"] = rng.normal(-0.4, 0.3, len(test)) * np.linspace(0.01, 4.0, len(test))
    return test


def make_unbalanced_forecasts() -> Forecasts:
    """Tickers that join late: the LSTM is worse than naive on 320 dates of 2 tickers, and better on 80 dates of 200."""
    rng = np.random.default_rng(5)
    days = days_from("2022-03-01", 401)
    at = np.concatenate([np.repeat(np.arange(320), 2), np.repeat(np.arange(320, 400), 200)])
    ticker = np.concatenate([np.tile(np.arange(2), 320), np.tile(np.arange(200), 80)])
    order = np.lexsort((at, ticker))
    at, ticker = at[order], ticker[order]
    actual = rng.normal(0.0, 0.01, len(at))
    lstm = np.where(at < 320, rng.normal(0.0, 0.006, len(at)), 0.4 * actual)
    models = {
        "naive": np.zeros(len(at)), "drift": np.full(len(at), 1e-4),
        "ridge": rng.normal(0.0, 1e-3, len(at)), "lstm": lstm,
    }  # fmt: skip
    names = tuple(f"T{number:04d}" for number in range(200))
    return Forecasts(names, ticker, days[at], days[at + 1], np.full(len(at), 100.0), actual, models)


def next_forecasts(test: Forecasts) -> Forecasts:
    """A forecast split after the end of the test split; the bars of the last ticker end a week earlier."""
    n = len(test.tickers)
    origin = np.full(n, test.target.max(), np.int32)
    origin[-1] -= 7
    at = np.array([np.flatnonzero(test.ticker == code)[-1] for code in range(n)])
    models = {model: forecast[at] for model, forecast in test.models.items()}
    return Forecasts(test.tickers, np.arange(n), origin, origin, test.last_close[at], np.full(n, np.nan), models)


def manifests() -> dict[str, Manifest | None]:
    """Manifests of the steps before evaluate, with their usual facts."""
    rows = (ManifestRow("memory://run/x", "bars", 20_000, 100, "ab" * 32),)
    engine = {"name": "spark", "version": "4.1.1", "master": "local[*]", "cores": 2, "start_s": 4.8}
    common = {"rows": 20_000, "rows_per_s": 1e6, "engine": engine}
    clean = {
        "kept": 19_990,
        "filled": 3,
        "refused": {"duplicate": 4, "outlier": 6},
        "refused_fraction": 5e-4,
        "tickers": 6,
        "withdrawn": {"outlier": 2},
        "missing_tickers": [],
        "same_bars": [["T0002", "T0003"]],
        "worst_tickers": [{"ticker": "T0001", "rows": 500, "refused_fraction": 0.012, "refused": {"outlier": 6}}],
    }
    coverage = {
        "asked": 8, "fetched": 6, "reused": 1, "empty": 1, "failed": 1, "as_of": "2025-01-02T21:00:00+00:00",
        "unfetched": [
            {"ticker": "GONE", "status": "empty", "cause": "no bars"},
            {"ticker": "LATE", "status": "failed", "cause": "HTTP 429 after 5 tries"},
        ],
    }  # fmt: skip
    windows = {"train": 15_000, "validation": 1_500, "test": 480, "forecast": 6}
    train = {
        "best_epoch": 1, "validation_loss": 1.2, "windows_per_s": 9e3, "steps": 120, "parameters": 70_000, "workers": 2,
        "replicas": 2, "devices": ["CPU:0"], "training_seconds": 6.0, "validation_loss_untrained": 1.3, "restarts": 1,
        "versions": {"tensorflow": "2.21.0"},
    }  # fmt: skip
    facts = {
        "ingest": common | {"coverage": coverage},
        "clean": common | clean,
        "features": common,
        "sequences": common | {"windows": windows},
        "train": train,
    }
    begins = dict(zip(facts, (10.0, 12.0, 14.5, 17.0, 29.0), strict=True))  # Spark took 4.8 s to start before 10
    ends = (("2019-01-02", "2024-06-28"), ("2020-02-03", "2024-07-01"))
    bars = tuple(
        ManifestRow("memory://run/x", "bars", 9_995, 100, "ab" * 32, {"first_date": first, "last_date": last})
        for first, last in ends
    )
    return {
        step: Manifest(step, "f" * 16, bars if step == "clean" else rows, 2.0, known, began=SUBMITTED + begins[step])
        for step, known in facts.items()
    }


def config(*words: str, source: str = "synthetic") -> RunConfig:
    path = {"path": "memory://bars.csv"} if source == "files" else {}
    return parse({"market": {"source": source} | path}, words)


def scored_of(
    test: Forecasts, forecast: Forecasts, fit: BaselineFit, seeds: int = 1, folds: int = 1, slope: float = 0.5
) -> Scored:
    """The forecasts with those of further seeds, the ensemble, the calibrated forecast and intervals."""
    rng, levels = np.random.default_rng(3), (0.5, 0.8, 0.95)
    quantiles = (0.7, 1.3, 2.0)
    for split in (test, forecast):
        lstm = split.models["lstm"]
        split.members.clear()
        others = {seed: lstm + rng.normal(0.0, 1e-3, len(split)) for seed in range(2, seeds + 1)}
        split.members.update({1: lstm} | others)
        if seeds > 1:
            split.models["ensemble"] = np.mean(list(split.members.values()), axis=0)
        split.models["calibrated"] = slope * split.models[combined(split)]
    fitted = FoldFit(
        fit,
        Slope(dates=250, slope=0.6, error=0.2, t=3.0, supported=slope),
        ConformalFit(levels=levels, quantiles=quantiles, dates=250, labels=1500),
    )
    volatility = np.full(len(test), 0.015) * (1.0 + 0.5 * np.sin(test.origin / 20.0))
    dates = np.unique(test.origin)
    return Scored(
        test=test,
        fold=np.searchsorted(dates, test.origin) * folds // len(dates),
        volatility=volatility,
        halves=np.outer(quantiles, volatility),
        fits=(fitted,) * folds,
        forecast=forecast,
        forecast_halves=np.outer(quantiles, np.full(len(forecast), 0.015)),
        levels=levels,
    )


def with_members(steps: dict[str, Manifest | None], scored: Scored) -> dict[str, Manifest | None]:
    """The manifests with what training says of every network, and the dates of every fold."""
    train, folds = steps.get("train"), range(len(scored.fits))
    if train is None or len(scored.test.members) * len(folds) == 1:
        return steps
    members = [
        {"seed": seed, "fold": fold, "epochs": 2, "best_epoch": 1, "validation_loss": 1.2 + 0.01 * seed,
         "windows": {"train": 15_000 + 500 * fold}, "seconds": 6.5, "peak_memory_mib": 900 + fold}
        for seed in scored.test.members
        for fold in folds
    ]  # fmt: skip
    dates = []
    for fold in folds:
        days = scored.test.target[scored.fold == fold]
        test = [str(np.datetime64(int(day), "D")) for day in (days.min(), days.max())]
        dates.append({"train": ["2019-03-15", f"{2021 + fold}-12-31"], "validation": list(LABEL_DATES["validation"]),
                      "test": test})  # fmt: skip
    return steps | {"train": replace(train, facts={**train.facts, "members": members, "folds": dates})}


def report_of(
    test: Forecasts,
    *words: str,
    steps: dict[str, Manifest | None] | None = None,
    history: list[dict[str, Any]] = HISTORY,
    usage: Sequence[Usage] = (),
    seeds: int = 1,
    folds: int = 1,
    slope: float = 0.5,
    sectors: Mapping[str, str] | None = None,
    exogenous: Exogenous | None = None,
    **choice: Any,
) -> Report:
    """The report on a test split; `steps` replaces the usual manifests, to which those of all networks are added."""
    forecast = next_forecasts(test)
    turnover = {name: 1e6 * (9 - number) for number, name in enumerate(test.tickers)}
    fit = BaselineFit(1e4, {1e2: 1.4, 1e4: 1.2}, 0.0004, 1.22)
    scored = scored_of(test, forecast, fit, seeds, folds, slope)
    if folds > 1:
        words = ("evaluation.walk.mode=expanding", *words)
    return build_report(
        ReportInputs(
            run_id="made-up",
            config=config(f"train.seeds={seeds}", *words, **choice),
            manifests=with_members(manifests() if steps is None else steps, scored),
            history=[Epoch.model_validate(row) for row in history],
            scored=scored,
            next_session_dates=forecast.origin + 1,
            label_dates=LABEL_DATES | {"test": tuple(str(test.target[at].astype("datetime64[D]")) for at in (0, -1))},
            turnover=turnover,
            windows=3000,
            timing=Timing(SUBMITTED, SUBMITTED + 32.0, 1.5),
            usage=usage,
            sectors=sectors,
            exogenous=exogenous,
        )
    )


_PRICES = "list prices of us-east-1, 2026-11"
USAGE = (
    Usage(1, "prepare", Rate("m6i.xlarge", 3, 0.72, spot=False, prices=_PRICES), began=0.0, ended=360.0),
    Usage(1, "train", Rate("p9.xlarge", 2, None, spot=True, prices=_PRICES), began=0.0, ended=1800.0),
)
"""Spark for a tenth of an hour, then two machines for half an hour whose price is not known."""


def document_of(report: Report) -> dict[str, Any]:
    """The report as report.json stores it."""
    document: dict[str, Any] = json.loads(to_json(report))
    return document


@dataclass
class ArrayWindows:
    """Windows in arrays, in any order."""

    raw: NDArray[np.float32]
    names: NDArray[np.str_]
    days: NDArray[np.int32]
    returns: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    unit: str = "D"

    def __len__(self) -> int:
        return len(self.raw)

    def windows(self, indices: NDArray[Any]) -> NDArray[np.float32]:
        return self.raw[indices]

    def last_bars(self, indices: NDArray[Any]) -> NDArray[np.float32]:
        return self.raw[indices, -1]

    def targets(self, indices: NDArray[Any]) -> NDArray[np.float32]:
        return self.returns[indices]

    def tickers(self, indices: NDArray[Any]) -> NDArray[np.str_]:
        return self.names[indices]

    def origin_dates(self, indices: NDArray[Any]) -> NDArray[np.datetime64]:
        return self.days[indices].astype("datetime64[D]")

    def taken(self, order: NDArray[Any]) -> ArrayWindows:
        return ArrayWindows(self.raw[order], self.names[order], self.days[order], self.returns[order])


def make_windows(
    tickers: int, dates: int, *, first: str, window: int = 6, seed: int = 0, signal: float = 0.0
) -> ArrayWindows:
    """Windows whose next log-return repeats `signal` times the last bar's return, plus noise."""
    rng = np.random.default_rng(seed)
    n = tickers * dates
    returns = rng.normal(0.0, 0.01, (n, window))
    close = 100.0 * np.exp(np.cumsum(returns, axis=1))
    columns = dict.fromkeys(FEATURE_NAMES, close) | {
        "volume": rng.uniform(1e5, 1e6, (n, window)),
        "daily_return": np.expm1(returns),
    }
    raw = np.stack([columns[name] for name in FEATURE_NAMES], axis=2).astype(np.float32)
    following = signal * returns[:, -1] + rng.normal(0.0, 0.002, n)
    names = np.repeat([f"T{number:04d}" for number in range(tickers)], dates)
    return ArrayWindows(raw, names, np.tile(days_from(first, dates), tickers), following.astype(np.float32))


def forecasts_for(windows: ArrayWindows) -> Forecasts:
    """Forecasts of zero for these windows, ordered by ticker and date."""
    order = np.lexsort((windows.days, windows.names))
    names, code = np.unique(windows.names[order], return_inverse=True)
    close = windows.raw[order, -1, FEATURE_NAMES.index("close")].astype(np.float64)
    actual = windows.returns[order].astype(np.float64)
    days = windows.days[order]
    return Forecasts(tuple(names.tolist()), code, days, days + 1, close, actual, {"lstm": np.zeros(len(order))})


def date(text: str) -> int:
    return (dt.date.fromisoformat(text) - dt.date(1970, 1, 1)).days
