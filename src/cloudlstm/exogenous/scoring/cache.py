"""Scores that are kept by content: a headline is scored once for all runs of a root.

    <root>/scores/<scorer>-<hash>/<sha256 of the object>.parquet

The hash is of what scores depend on (`scorer.identity`), so another version of a scorer has another folder. An object,
called piece, has a row a headline: `digest`, the first 16 bytes of the SHA-256 of its UTF-8 text, and `score`. It does
not have the text. Pieces are written once, each when its headlines are scored, so a killed run continues after them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectExistsError, ObjectNotFoundError
from cloudlstm.exogenous.scoring.scorer import Scorer, identity
from cloudlstm.runs import paths
from cloudlstm.runs.manifest import fingerprint

PIECE = pa.schema([("digest", pa.binary(16)), ("score", pa.float32())])
"""The columns of a piece, sorted by digest."""

_NAME = re.compile(r"[0-9a-f]{64}\.parquet")
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class CachedScores:
    """The scores in a folder.

    Attributes:
        by_digest: Digest of a headline -> score.
        damaged: URIs of objects that are not what their name says; nothing of them is used.
    """

    by_digest: Mapping[bytes, float]
    damaged: frozenset[str] = frozenset()


def folder_of(root: str, scorer: Scorer) -> str:
    """Returns the URI of the folder of a scorer's scores below `root`, without a slash at the end."""
    return paths.join(paths.scores(root), f"{scorer.name}-{fingerprint(identity(scorer))}")


def digest_of(headline: str) -> bytes:
    """Returns what stands for a headline in a piece."""
    return hashlib.sha256(headline.encode()).digest()[:16]


def read(folder: str) -> CachedScores:
    """Reads all pieces of a folder; other objects are ignored.

    If two pieces have different scores of a headline (two runs at the same time, and a scorer that is not exact), the
    piece with the lower name counts, in every run.
    """
    uris = [found.uri for found in storage.list_objects(f"{folder}/") if _NAME.fullmatch(found.uri.rpartition("/")[2])]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tables = list(pool.map(_read_piece, uris))
    scores: dict[bytes, float] = {}
    for table in reversed([each for each in tables if each is not None]):
        scores.update(zip(table.column("digest").to_pylist(), table.column("score").to_pylist(), strict=True))
    return CachedScores(scores, frozenset(uri for uri, table in zip(uris, tables, strict=True) if table is None))


def write(
    folder: str,
    headlines: Sequence[str],
    scores: NDArray[np.float32],
    about: Mapping[str, Any],
    damaged: Collection[str] = (),
) -> str:
    """Writes a piece, unless it is there already, and returns its URI.

    Args:
        folder: From `folder_of`.
        headlines: Different texts (n,).
        scores: Their scores (n,).
        about: What the scores depend on, for the metadata of the Parquet object.
        damaged: URIs of damaged objects. A piece that has to stand at one of them replaces it: its name is the hash of
            its bytes, so what is written there is what was there.
    """
    order = sorted(range(len(headlines)), key=(digests := [digest_of(each) for each in headlines]).__getitem__)
    table = pa.table([pa.array([digests[each] for each in order], pa.binary(16)), pa.array(scores[order])], PIECE)
    sink = pa.BufferOutputStream()
    metadata = {"cloudlstm": json.dumps(about, sort_keys=True)}
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd", use_dictionary=False)
    data = sink.getvalue().to_pybytes()
    uri = f"{folder}/{hashlib.sha256(data).hexdigest()}.parquet"
    with suppress(ObjectExistsError):  # it has the same bytes
        storage.write(uri, data, if_absent=uri not in damaged)
    return uri


def _read_piece(uri: str) -> pa.Table | None:
    """The rows of a piece; None if it is damaged, and no rows if it has just been deleted."""
    try:
        data = storage.read(uri)
    except ObjectNotFoundError:
        return PIECE.empty_table()
    except CorruptObjectError:
        return None
    if hashlib.sha256(data).hexdigest() != uri.rpartition("/")[2].removesuffix(".parquet"):
        return None
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    except (pa.ArrowException, OSError):
        return None
    return table if table.schema.equals(PIECE) and not any(each.null_count for each in table.columns) else None
