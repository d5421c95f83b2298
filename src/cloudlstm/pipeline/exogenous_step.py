"""The step "exogenous": macro series and scored headlines, with the time at which each was known.

It runs before all other steps, since one round over the shards computes features and joins these rows to them. What
services answered is part of its objects, so a repeated run sees the same.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.exogenous.collect import Collected, collect, identity
from cloudlstm.exogenous.scoring import scorer as scorers
from cloudlstm.exogenous.scoring.headlines import Chunk, ScoreChunk, Scored, score_headlines
from cloudlstm.market import universe
from cloudlstm.pipeline.engine import Engine
from cloudlstm.pipeline.exogenous_io import write_refused, write_rows
from cloudlstm.pipeline.shard_io import TaskResult
from cloudlstm.runs.context import RunContext, StepRun
from cloudlstm.runs.manifest import fingerprint
from cloudlstm.runs.steps import EXOGENOUS

_LOG = logging.getLogger(__name__)


def prepared(context: RunContext, engine: Engine) -> tuple[StepRun, Callable[[], TaskResult]]:
    """The step for the settings of a run and the present content of its sources, and its work.

    Raises:
        UsageError: settings contradict each other, or the scorer is not there.
        MissingExtraError: a package is not installed.
    """
    config = context.config
    tickers = universe.requested_tickers(config.universe, config.market) or None
    news = config.exogenous.news
    scorer = scorers.open_scorer(news) if news.source != "off" else None
    inputs = [identity(config, tickers), scorers.identity(scorer) if scorer else None, news.novelty_days]
    step = context.step(EXOGENOUS.name, fingerprint([__version__, EXOGENOUS.name, inputs]))

    def work() -> TaskResult:
        collected = collect(config, tickers)
        scored = _scored(collected, scorer, step, engine, config) if scorer else None
        return _written(step, collected, scored, scorer)

    return step, work


def _scored(collected: Collected, scorer: scorers.Scorer, step: StepRun, engine: Engine, config: RunConfig) -> Scored:
    """Scores the headlines that no earlier run of the root has scored, on all cores of the engine."""

    def run(work: ScoreChunk, chunks: Sequence[Chunk]) -> Sequence[NDArray[np.float32]]:
        total = sum(map(len, chunks))
        if not total:
            return []
        step.report(0, total, "headlines")
        engine.start(len(chunks))
        return engine.map(work, chunks, units=len, report=lambda done: step.report(done, total, "headlines"))

    root = step.context.paths.root
    return score_headlines(
        collected.headlines, scorer, root=root, novelty_days=config.exogenous.news.novelty_days, run=run
    )


def _written(step: StepRun, collected: Collected, scored: Scored | None, scorer: scorers.Scorer | None) -> TaskResult:
    """Writes the rows and what was refused."""
    rows = pa.concat_tables([collected.rows, *([scored.rows] if scored else [])])
    objects = [*write_rows(step.data, rows), *write_refused(step.data, collected.refused)]
    notes = [*collected.notes, *(scored.notes if scored else ())]
    for note in notes:
        _LOG.info("%s", note)
    facts: dict[str, Any] = {
        "notes": notes,
        "missing": collected.missing,
        "incomplete": collected.incomplete,
        "refused": dict(sorted(Counter(collected.refused.column("reason").to_pylist()).items())),
        "headlines": collected.headlines.num_rows,
        "scored": scored.scored if scored else 0,
        "scorer": f"{scorer.name} {scorer.version}" if scorer else None,
    }
    return TaskResult(objects, rows.num_rows, facts)
