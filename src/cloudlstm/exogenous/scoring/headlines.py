"""Scores headlines: those without a score in the cache, in chunks that any engine can run, and makes rows of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.exogenous.columns import NEWS, NOVELTY
from cloudlstm.exogenous.scoring import cache
from cloudlstm.exogenous.scoring.novelty import novelty
from cloudlstm.exogenous.scoring.scorer import Scorer, checked_scores, identity
from cloudlstm.exogenous.table import EXOGENOUS

CHUNK = 4096
"""Headlines of one task: half a second of VADER, and a minute or two of a network on a CPU."""

Chunk = Sequence[str]
Run = Callable[["ScoreChunk", Sequence[Chunk]], Sequence[NDArray[np.float32]]]
"""Runs the function on each chunk and returns the results in order; `Engine.map` of pipeline/engine.py is one."""


@dataclass(frozen=True)
class ScoreChunk:
    """Scores one chunk of different headlines and writes a piece of the cache. It can be pickled.

    Attributes:
        scorer: From `open_scorer`.
        folder: URI of the folder of its scores.
        about: What the scores depend on, for the metadata of the piece.
        damaged: URIs of damaged objects in the folder, which may be replaced.
    """

    scorer: Scorer
    folder: str
    about: Mapping[str, Any] = field(default_factory=dict)
    damaged: frozenset[str] = frozenset()

    def __call__(self, chunk: Chunk) -> NDArray[np.float32]:
        """Returns the scores (n,) of the chunk."""
        scores = checked_scores(self.scorer, pa.array(chunk, pa.string()))
        cache.write(self.folder, chunk, scores, self.about, self.damaged)
        return scores


@dataclass(frozen=True, slots=True)
class Scored:
    """Scored headlines.

    Attributes:
        rows: EXOGENOUS: the series NEWS, then NOVELTY.
        distinct: Number of different headlines.
        scored: How many of them had no score in the cache.
        notes: What a user should know, as sentences.
    """

    rows: pa.Table
    distinct: int
    scored: int
    notes: tuple[str, ...] = ()


def score_headlines(
    headlines: pa.Table, scorer: Scorer, *, root: str, novelty_days: int, run: Run | None = None
) -> Scored:
    """Scores headlines, and says how new each is.

    Args:
        headlines: HEADLINES, in any order.
        scorer: From `open_scorer`.
        root: URI of the root of runs, where scores are kept.
        novelty_days: See `novelty`.
        run: Runs chunks; None: in this process.

    Raises:
        DataError: The scorer returned something else than scores.
    """
    folder = cache.folder_of(root, scorer)
    cached = cache.read(folder)
    missing = plan(headlines.column("headline"), cached.by_digest)
    chunks = chunks_of(missing)
    work = ScoreChunk(scorer, folder, identity(scorer), cached.damaged)
    found = run(work, chunks) if run else [work(chunk) for chunk in chunks]
    scores = dict(cached.by_digest)
    for chunk, values in zip(chunks, found, strict=True):
        scores.update(zip(map(cache.digest_of, chunk), values.tolist(), strict=True))
    notes = [
        f"{uri} is damaged: its headlines were scored again, and it may be deleted" for uri in sorted(cached.damaged)
    ]
    table = ordered(headlines)
    rows = pa.concat_tables([score_table(table, scores), novelty_table(table, novelty_days)])
    return Scored(rows, len(set(table.column("headline").to_pylist()) - {None}), len(missing), tuple(notes))


def plan(headlines: pa.ChunkedArray, cached: Mapping[bytes, float]) -> list[str]:
    """Returns the different headlines that have no score yet, sorted; null is no headline."""
    return [
        text
        for text in sorted(each for each in headlines.unique().to_pylist() if each is not None)
        if cache.digest_of(text) not in cached
    ]


def chunks_of(headlines: Sequence[str], size: int = CHUNK) -> list[Chunk]:
    """Returns the headlines in chunks of at most `size`."""
    return [headlines[first : first + size] for first in range(0, len(headlines), size)]


def ordered(headlines: pa.Table) -> pa.Table:
    """Returns HEADLINES in the order (entity, available_at, period, headline, source)."""
    names = ("entity", "available_at", "period", "headline", "source")
    return headlines.sort_by([(name, "ascending") for name in names])


def score_table(headlines: pa.Table, scores: Mapping[bytes, float]) -> pa.Table:
    """Returns the scores as EXOGENOUS rows of the series NEWS, in the order of `ordered`.

    Args:
        headlines: HEADLINES, in any order.
        scores: Digest of a headline -> score. A headline that has none gets NaN, and is not counted by the join.

    `vintage` numbers the headlines of the same entity, period and available_at from 0: news has no vintages, and many
    headlines that have a date only become known at the same time. So the key of each row is its own.
    """
    table = ordered(headlines)
    encoded = table.column("headline").combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    texts = encoded.dictionary.to_pylist()
    values = np.array([*(scores.get(cache.digest_of(text), np.nan) for text in texts), np.nan], np.float64)
    return _rows(table, NEWS, values[encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)])


def novelty_table(headlines: pa.Table, novelty_days: int) -> pa.Table:
    """Returns how new each headline is as EXOGENOUS rows of the series NOVELTY, in the order of `ordered`."""
    table = ordered(headlines)
    return _rows(table, NOVELTY, novelty(table, novelty_days))


def _rows(table: pa.Table, series: str, values: NDArray[np.float64]) -> pa.Table:
    """EXOGENOUS rows of ordered headlines and their values (n,)."""
    rows = table.num_rows
    first = np.ones(rows, bool)  # of its entity, period and available_at
    if rows:
        same = np.ones(rows - 1, bool)
        for name in ("entity", "available_at", "period"):
            column = table.column(name).to_numpy()
            same &= column[1:] == column[:-1]
        first[1:] = ~same
    place = np.arange(rows)
    vintage = place - np.maximum.accumulate(np.where(first, place, 0))
    arrays = {"series": pa.repeat(series, rows), "value": pa.array(values), "vintage": pa.array(vintage, pa.int32())}
    return pa.table([arrays.get(name, table[name] if name in table.column_names else None) for name in EXOGENOUS.names],
                    schema=EXOGENOUS)  # fmt: skip
