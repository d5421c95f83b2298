"""From headlines to rows: only what is missing is scored, and what was scored before is found again."""

from __future__ import annotations

import dataclasses
import secrets
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm import storage
from cloudlstm.config.exogenous import NewsConfig
from cloudlstm.errors import UsageError
from cloudlstm.exogenous.columns import NEWS, NOVELTY
from cloudlstm.exogenous.scoring import cache
from cloudlstm.exogenous.scoring.headlines import (
    ScoreChunk,
    Scored,
    chunks_of,
    plan,
    score_headlines,
    score_table,
)
from cloudlstm.exogenous.scoring.scorer import open_scorer
from cloudlstm.exogenous.table import EXOGENOUS, HEADLINES
from cloudlstm.pipeline.local_engine import LocalEngine
from cloudlstm.runs.paths import RunPaths
from exogenous.scoring.made_headlines import LengthScorer, Row, at, headlines, length_score

NEWEST: list[Row] = [
    ("MSFT", at(1), "Microsoft wins"), ("AAPL", at(0), "Apple beats estimates"), ("AAPL", at(2), "Apple falls"),
    ("AAPL", at(2), "Apple beats estimates"), ("MSFT", at(2), "Apple falls"),
]  # fmt: skip
DISTINCT = ["Apple beats estimates", "Apple falls", "Microsoft wins"]


@pytest.fixture
def root() -> str:
    return f"memory://{secrets.token_hex(6)}/runs"


@pytest.fixture
def scorer(tmp_path: Path) -> LengthScorer:
    return LengthScorer(tmp_path / "calls")


def score(scorer: LengthScorer, root: str, rows: list[Row] = NEWEST) -> Scored:
    return score_headlines(headlines(rows), scorer, root=root, novelty_days=7)


def pieces(scorer: LengthScorer, root: str) -> list[str]:
    return [found.uri for found in storage.list_objects(cache.folder_of(root, scorer) + "/")]


def test_each_headline_gets_its_score_and_its_novelty(scorer: LengthScorer, root: str) -> None:
    found = score(scorer, root)
    assert found.rows.schema == EXOGENOUS
    assert (found.distinct, found.scored, found.notes) == (3, 3, ())
    news, novelty = (
        found.rows.filter(pa.compute.equal(found.rows["series"], name)).to_pylist() for name in (NEWS, NOVELTY)
    )
    got = [(row["entity"], row["available_at"], row["value"], row["vintage"]) for row in news]
    assert got == [
        ("AAPL", at(0), length_score("Apple beats estimates"), 0),
        ("AAPL", at(2), length_score("Apple beats estimates"), 0),
        ("AAPL", at(2), length_score("Apple falls"), 1),
        ("MSFT", at(1), length_score("Microsoft wins"), 0),
        ("MSFT", at(2), length_score("Apple falls"), 0),
    ]
    assert [row["value"] for row in novelty] == [1.0, 0.0, 0.75, 1.0, 1.0]
    assert [row["vintage"] for row in novelty] == [row["vintage"] for row in news]
    assert {row["source"] for row in news} == {"test"}


def test_a_headline_is_scored_once_for_all_runs(scorer: LengthScorer, root: str) -> None:
    first = score(scorer, root)
    assert scorer.scored == DISTINCT
    more: list[Row] = [*NEWEST, ("TSLA", at(5), "Tesla rises")]
    second = score(scorer, root, more)
    assert scorer.scored == [*DISTINCT, "Tesla rises"]
    assert (second.distinct, second.scored) == (4, 1)
    assert second.rows.filter(pa.compute.not_equal(second.rows["entity"], "TSLA")).equals(first.rows)
    assert len(pieces(scorer, root)) == 2


def test_another_version_scores_anew(scorer: LengthScorer, root: str) -> None:
    score(scorer, root)
    score(dataclasses.replace(scorer, version="2"), root)
    assert scorer.scored == sorted(DISTINCT * 2)


def test_a_killed_run_continues_after_its_finished_chunks(
    scorer: LengthScorer, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks_of, "__defaults__", (1,))
    with pytest.raises(KeyboardInterrupt):
        score(dataclasses.replace(scorer, fails_at=frozenset(DISTINCT[2:])), root)
    assert scorer.scored == DISTINCT[:2]
    assert score(scorer, root).scored == 1
    assert scorer.scored == DISTINCT


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "values", "columns"])
def test_a_damaged_piece_is_told_and_replaced(scorer: LengthScorer, root: str, damage: str) -> None:
    before = score(scorer, root)
    (uri,) = pieces(scorer, root)
    good = storage.read(uri)
    bad = {"cut": good[:-9], "bit": good[:60] + bytes([good[60] ^ 1]) + good[61:], "empty": b""}.get(damage)
    if damage == "values":
        other = cache.write(f"{root}/other", DISTINCT, np.zeros(3, np.float32), {})
        bad = storage.read(other)
    if bad is None:
        uri, bad = other_columns(uri)
    storage.write(uri, bad)
    again = score(scorer, root)
    if damage == "columns":  # an object whose name is right, and whose content is no piece
        assert again.scored == 0
    else:
        assert scorer.scored == sorted(DISTINCT * 2)
        assert storage.read(uri) == good
        assert score(scorer, root).notes == ()
    assert len(again.notes) == 1
    assert uri in again.notes[0]
    assert again.rows.equals(before.rows)


def other_columns(uri: str) -> tuple[str, bytes]:
    """The place and the content of an object beside a piece that has other columns and the right name."""
    import hashlib

    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"digest": ["a"], "score": [0.5]}), sink)
    data = sink.getvalue().to_pybytes()
    return f"{uri.rpartition('/')[0]}/{hashlib.sha256(data).hexdigest()}.parquet", data


def test_other_objects_in_the_folder_are_ignored(scorer: LengthScorer, root: str) -> None:
    score(scorer, root)
    storage.write(cache.folder_of(root, scorer) + "/notes.txt", b"mine")
    assert score(scorer, root).notes == ()


def test_no_headline_leaves_no_object(scorer: LengthScorer, root: str) -> None:
    found = score(scorer, root, [])
    assert found.rows.equals(EXOGENOUS.empty_table())
    assert (found.distinct, found.scored) == (0, 0)
    assert pieces(scorer, root) == []


def test_null_is_no_headline(scorer: LengthScorer, root: str) -> None:
    found = score(scorer, root, [("AAPL", at(0), None), ("AAPL", at(1), "Apple falls")])
    assert scorer.scored == ["Apple falls"]
    assert found.distinct == 1
    values = found.rows.column("value").to_pylist()
    assert values[1] == length_score("Apple falls")
    assert np.isnan(values[0])


def test_processes_give_the_same_rows(scorer: LengthScorer, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks_of, "__defaults__", (16,))
    words = ["good", "bad", "crash", "not", "great", "quarter", "very", "BUT", "!"]
    rng = np.random.default_rng(2)
    rows: list[Row] = [("AAPL", at(place), " ".join(rng.choice(words, 6))) for place in range(100)]
    vader, other = open_scorer(NewsConfig()), f"{root}2"
    here = score_headlines(headlines(rows), vader, root=other, novelty_days=7)
    # Memory is not shared with the processes, so theirs is on a disk.
    shared = f"file://{scorer.calls.parent}/runs"
    with LocalEngine(2) as engine:
        there = score_headlines(headlines(rows), vader, root=shared, novelty_days=7, run=engine.map)
    assert there.rows.equals(here.rows)
    assert len(set(there.rows["value"].to_pylist())) > 20
    names = [
        [found.uri.rpartition("/")[2] for found in storage.list_objects(cache.folder_of(place, vader))]
        for place in (other, shared)
    ]
    assert names[0] == names[1]
    assert len(names[0]) > 1


@given(st.data())
def test_the_order_of_headlines_changes_nothing(data: st.DataObject) -> None:
    times = st.integers(0, 3).map(at)
    row = st.tuples(st.sampled_from(["AAPL", ""]), times, st.text(max_size=3) | st.none())
    rows = data.draw(st.lists(row, max_size=12))
    scores = {cache.digest_of(text): len(text) / 3 for _, _, text in rows if text is not None}
    table = score_table(headlines(rows), scores)
    shuffled = score_table(headlines(data.draw(st.permutations(rows))), scores)
    assert str(table.to_pylist()) == str(shuffled.to_pylist())  # as text, NaN equals NaN
    keys = [(line["entity"], line["period"], line["available_at"], line["vintage"]) for line in table.to_pylist()]
    assert len(set(keys)) == len(keys) == len(rows)
    expected = sorted(str(np.nan if text is None else len(text) / 3) for _, _, text in rows)
    assert sorted(str(line["value"]) for line in table.to_pylist()) == expected


@given(st.lists(st.text(), max_size=20), st.sets(st.text(), max_size=5), st.integers(1, 7))
def test_the_plan_is_every_other_headline_once(texts: list[str], known: set[str], size: int) -> None:
    missing = plan(pa.chunked_array([texts], pa.string()), {cache.digest_of(text): 0.0 for text in known})
    assert missing == sorted(set(texts) - known)
    chunks = chunks_of(missing, size)
    assert [text for chunk in chunks for text in chunk] == missing
    assert all(0 < len(chunk) <= size for chunk in chunks)
    assert all(len(chunk) == size for chunk, _ in pairwise(chunks))


def test_two_runs_at_the_same_time_may_write_the_same_piece(scorer: LengthScorer, root: str) -> None:
    work = ScoreChunk(scorer, cache.folder_of(root, scorer))
    assert work(DISTINCT).tolist() == work(DISTINCT).tolist()
    assert len(pieces(scorer, root)) == 1


def test_no_run_can_have_the_name_of_the_folder() -> None:
    with pytest.raises(UsageError, match="scores of headlines"):
        RunPaths.of("memory://any/runs", "scores")


def test_the_tables_have_their_columns() -> None:
    assert score_table(HEADLINES.empty_table(), {}).equals(EXOGENOUS.empty_table())
