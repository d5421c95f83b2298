"""Applies the quality gate to the result of the step "clean"."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc

from cloudlstm import storage
from cloudlstm.config import MarketConfig, RunConfig
from cloudlstm.market import universe
from cloudlstm.market.calendar_fit import Problem, describe_bars
from cloudlstm.market.cleaning import quality_gate
from cloudlstm.market.cleaning.duplicate_series import find_duplicate_series
from cloudlstm.market.cleaning.gate_problems import Evidence
from cloudlstm.market.interval_fit import describe_times
from cloudlstm.pipeline.shard_io import TaskResult, read_shard
from cloudlstm.runs.context import StepData
from cloudlstm.runs.manifest import Manifest

_LOG = logging.getLogger(__name__)


def judge(raw: Manifest, results: Sequence[TaskResult], config: RunConfig, data: StepData) -> dict[str, Any]:
    """Returns the facts of the step, JSON-ready.

    Args:
        raw: The manifest of ingest.
        results: Of the tasks, one a shard.
        config: The settings of the run.
        data: Where the step writes.

    Raises:
        DataError: there are no bars, or too many are rejected.
    """
    facts = quality_gate.evaluate_gate(
        (each.facts["counts"] for each in results),
        universe.requested_tickers(config.universe, config.market),
        config.clean,
        _evidence(raw, results, data, config.market),
    )
    facts["same_bars"] = find_duplicate_series(each.facts["sketches"] for each in results)
    for group in facts["same_bars"]:
        _LOG.warning("these tickers have the same bars: %s", ", ".join(group))
    return facts


def _evidence(raw: Manifest, results: Sequence[TaskResult], data: StepData, market: MarketConfig) -> Evidence:
    """Returns what the message of the quality gate can tell beyond the counts; it reads bars only for a failed gate."""

    def dates(ticker: str) -> Problem | None:
        shards = zip(raw.of_kind("bars"), results, strict=True)
        holder = next(row for row, each in shards if ticker in each.facts["counts"])
        table = read_shard(holder)
        own = table.filter(pc.equal(table.column("ticker"), ticker))
        return describe_bars(own, market.calendar) if market.interval == "1d" else describe_times(own, market)

    numbers = itertools.count(1)

    def save(names: str) -> str:
        uri = data.uri(f"tickers-{next(numbers)}.txt")
        storage.write(uri, names.encode())
        return uri.removeprefix("file://")

    causes = {each["ticker"]: each["cause"] for each in raw.facts.get("coverage", {}).get("unfetched", ())}
    examples: dict[str, str] = {}
    for each in results:
        examples = each.facts["examples"] | examples  # the first shard with a reason gives its example
    return Evidence(causes, examples, dates, save)
