"""A selection of several staged splits reads the same windows as the splits themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cloudlstm.config import DatasetConfig
from cloudlstm.dataset import sequences
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.dataset.window_set import Selection
from cloudlstm.runs.manifest import write_object
from dataset.tables import features_table

READS = ("windows", "last_bars", "targets", "tickers", "last_close", "origin_dates", "target_dates")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SequenceSet]:
    folder = tmp_path_factory.mktemp("sets")
    config = DatasetConfig(window_bars=10, train_end="2021-12-31", validation_end="2022-03-31")
    staged = {}
    for split, shard in sequences.build(features_table(tickers=3, bars=400), config).items():
        row = write_object(f"file://{folder}/{split}", shard.data, kind=split, rows=shard.windows)
        staged[split] = SequenceSet.stage([row], window_bars=10, horizon_bars=1, cache_dir=folder / "cache")
    return staged


def test_a_selection_reads_what_its_sets_read(splits: dict[str, SequenceSet]) -> None:
    rng = np.random.default_rng(4)
    sets = [splits[split] for split in ("train", "validation", "test")]
    chosen = [np.sort(rng.choice(len(own), 40, replace=False)) for own in sets]
    selection = Selection(sets, chosen)
    assert (len(selection), selection.window_bars) == (120, 10)
    for indices in (rng.permutation(120), np.arange(40, 80), np.array([119, 0, 119]), np.zeros(0, np.int64)):
        for name in READS:
            expected = [getattr(sets[at // 40], name)(chosen[at // 40][at % 40 : at % 40 + 1])[0] for at in indices]
            found = getattr(selection, name)(indices)
            assert len(found) == len(indices)
            if len(indices):
                np.testing.assert_array_equal(found, np.array(expected))


def test_sets_without_a_chosen_window_take_no_part(splits: dict[str, SequenceSet]) -> None:
    sets, none = [splits["train"], splits["validation"], splits["test"]], np.zeros(0, np.int64)
    alone = Selection(sets, [none, none, np.array([5, 7])])
    np.testing.assert_array_equal(alone.windows(np.array([1])), splits["test"].windows(np.array([7])))
    empty = Selection(sets, [none, none, none])
    assert len(empty) == 0
    assert empty.windows(none).shape[1:] == (10, 8)


def test_tickers_of_different_lengths_are_not_cut(tmp_path: Path, splits: dict[str, SequenceSet]) -> None:
    table = features_table(tickers=1, bars=100)
    table = table.set_column(0, "ticker", [["A-LONGER-NAME"] * 100])
    shard = sequences.build(table, DatasetConfig(window_bars=10))["train"]
    row = write_object(f"file://{tmp_path}/long", shard.data, kind="train", rows=shard.windows)
    other = SequenceSet.stage([row], window_bars=10, horizon_bars=1, cache_dir=tmp_path / "cache")
    mixed = Selection([splits["train"], other], [np.array([0]), np.array([0])])
    assert mixed.tickers(np.array([1, 0])).tolist() == ["A-LONGER-NAME", "T000"]
