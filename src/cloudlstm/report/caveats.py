"""The limits of the results that readers should know: those of this run, as far as the run knows them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cloudlstm.config import RunConfig
from cloudlstm.config.data import CORE_SIX
from cloudlstm.market.grid import around
from cloudlstm.market.interval import Interval
from cloudlstm.report.exogenous_models import Exogenous
from cloudlstm.report.models import Caveat, NextForecasts
from cloudlstm.report.run_models import Members, Quality, Training
from cloudlstm.text.numbers import counted
from cloudlstm.text.printable import shortened

_SYNTHETIC = (
    "The market is simulated by a random generator with a fixed seed. These results say nothing about real prices."
)
_COSTS = (
    "The results are forecast errors, not trading results: they include no costs, no capacity and no risk. The best of "
    "many runs on one test period is an optimistic choice."
)
_MISSING_COMPANIES = (
    "If companies that failed or left the exchange are missing, returns look higher than they were. Comparisons "
    "between models on the same labels are affected less."
)
_MISSING_SOURCES = (
    "Not found, or not read: {}. The features that need them are missing for all bars, and their inputs are 0. So the "
    "run says nothing about what they would bring."
)
_ACROSS_CLOSE = (
    "The last bars end a session, so the next bar is one of the next session. No label crosses a close, so no model "
    "has learned what happens overnight: these forecasts leave it out, and their intervals are far too narrow for it."
)
_NO_GAIN = (
    "No epoch of training improved on the untrained network in the validation split, so validation gives no reason to "
    "prefer the trained network. The test split does not change that."
)


def caveats(
    config: RunConfig,
    training: Training,
    quality: Quality,
    forecasts: NextForecasts,
    members: Members | None = None,
    exogenous: Exogenous | None = None,
) -> list[Caveat]:
    """The caveats of a run.

    Args:
        config: Its configuration.
        training: Course and result of its training.
        quality: Result of its cleaning.
        forecasts: Its forecasts for the next session, which show where the bars of its tickers end.
        members: Membership of its tickers; None without a table of periods.
        exogenous: Its features beyond the eight; None without any.
    """
    simulated = config.market.origin == "synthetic"
    found = [
        Caveat(name="synthetic", text=_SYNTHETIC)
        if simulated
        else Caveat(name="survivorship", text=" ".join(_survivorship(config, quality, forecasts, members))),
        Caveat(name="no trading result", text=_COSTS),
    ]
    if config.model.build:
        text = f"The row lstm is the network that {config.model.build} made, not the LSTM of cloudlstm."
        found.append(Caveat(name="own network", text=text))
    trained, untrained = training.best_validation_loss, training.untrained_validation_loss
    if training.best_epoch and trained is not None and untrained is not None and trained >= untrained:
        same = " With relative inputs the untrained network is the naive forecast."
        text = _NO_GAIN + (same if config.train.inputs == "relative" and not config.model.build else "")
        found.append(Caveat(name="no gain in validation", text=text))
    if exogenous and exogenous.sources and (missing := exogenous.sources.missing):
        found.append(
            Caveat(
                name="missing sources", text=_MISSING_SOURCES.format(", ".join(shortened(name, 60) for name in missing))
            )
        )
    return found


def across_close(config: RunConfig, forecasts: NextForecasts) -> tuple[Caveat, ...]:
    """The caveat of forecasts of bars within a day for a bar of the next session, which no label has prepared for."""
    interval = Interval(config.market.interval)
    ends = forecasts.origin_date, forecasts.target_date
    if interval.daily or config.dataset.labels_across_closes or not all(ends):
        return ()
    dates = np.array([interval.number(str(end)) for end in ends], np.int32)
    origin, target = around(config.market, dates).session_of(dates)
    return () if origin == target else (Caveat(name="forecast across a close", text=_ACROSS_CLOSE),)


def _survivorship(
    config: RunConfig, quality: Quality, forecasts: NextForecasts, members: Members | None
) -> Iterator[str]:
    """What is known about companies that are missing from a real universe, and what is not."""
    tickers = "tickers that are still members" if members else "tickers"
    yield from _membership(members) if members else _origin(config)
    if config.market.origin == "yahoo":
        yield "Yahoo Finance has no bars of most companies that left the exchange."
    if n := len(quality.missing_tickers):
        yield f"{n:,} requested ticker{' has' if n == 1 else 's have'} no bars; no results include them."
    if forecasts.origin_date and forecasts.ended_earlier:
        ends = "ends" if forecasts.ended_earlier == 1 else "end"
        yield f"Of {forecasts.tickers:,} {tickers} {forecasts.ended_earlier:,} {ends} before the last date."
    elif forecasts.origin_date and forecasts.tickers > 1:
        yield f"All {forecasts.tickers:,} {tickers} have bars to the last date, {forecasts.origin_date}."
    yield _MISSING_COMPANIES


def _origin(config: RunConfig) -> Iterator[str]:
    """Where the tickers of a universe without periods come from."""
    core = set(config.universe.tickers) == set(CORE_SIX) and not config.universe.path and not config.universe.exclude
    if core:
        origin = "the six default ones, chosen because their companies did well"
    else:
        named = config.universe.path or config.universe.tickers
        origin = "named in the settings of the run" if named else "those of the data"
    yield (
        f"The tickers are {origin}. The run cannot know whether companies are missing that failed or left the exchange "
        "before the last date."
    )


def _membership(members: Members) -> Iterator[str]:
    """What the periods of the tickers tell, and what they do not."""
    left, kept = members.left, members.bars_to_end
    gone = f"{left:,}" if left else "none"
    yield (
        f"Members as they were at the time: {counted(members.tickers, 'ticker')}, {gone} of them left before the last "
        f"date, {members.last_date}."
    )
    if left:
        have, whose = ("has", "its") if kept == 1 else ("have", "their")
        yield f"Of the {left:,} that left, {kept:,} {have} bars to the end of {whose} membership."
    else:
        yield "A table without members that left may hold only those of today."
    if left > kept:
        yield f"Of the other {left - kept:,} the last labels are missing, or all."
    if members.excluded:
        yield f"The settings exclude {counted(members.excluded, 'member')}."
    if members.without_periods:
        yield f"In addition the settings name {counted(members.without_periods, 'ticker')} without periods."
    yield "The run cannot know whether the table is complete."
