"""Several networks in one run: each is the network that a run of its own would train, also after a kill."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.errors import UsageError
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.weights import source
from dataset.tables import features_table
from training.runs import config_of, make_run, trained, workers
from training.submitted import log_of

SETTINGS = {
    "train.batch_windows": 64,
    "train.epochs": 3,
    "train.learning_rate": 5e-3,
    "train.checkpoint_every_s": 0.0,
    "train.steps_per_call": 4,
    "model.units": 8,
}
WALK = {"evaluation.walk.mode": "expanding", "evaluation.walk.step_bars": 36, "evaluation.walk.embargo_bars": 11}


def make(folder: Path, name: str, **settings: object) -> RunPaths:
    tables = [features_table(tickers=2, bars=480, seed=seed, signal=0.5) for seed in range(2)]
    return make_run(folder, name, tables, SETTINGS | settings)


def objects_of(manifest: Manifest) -> dict[tuple[str, int, int], str]:
    """Kind, seed and fold of every object -> hash of its bytes; without the history, which has times."""
    return {
        (row.kind.removeprefix("member_"), row.extra["seed"], row.extra["fold"]): row.sha256
        for row in manifest.objects
        if row.kind not in ("model", "events") and not row.kind.endswith("history")
    }


@pytest.fixture(scope="module")
def walked(folder: Path) -> Manifest:
    """Two seeds and three folds."""
    return trained(make(folder, "walked", **WALK, **{"train.seeds": 2}))


def test_each_seed_trains_the_network_of_a_run_of_its_own(folder: Path) -> None:
    both = trained(make(folder, "both", **{"train.seeds": [1, 5]}))
    alone = trained(make(folder, "alone", **{"train.seed": 5}))
    mine, own = objects_of(both), objects_of(alone)
    assert {kind: mine[kind, 5, 0] for kind, *_ in own} == {kind: sha for (kind, *_), sha in own.items()}
    assert mine["weights", 1, 0] != mine["weights", 5, 0]
    assert [row.extra["seed"] for row in both.of_kind("weights")] == [1], "the first seed stands for the run"
    assert [(row["seed"], row["fold"]) for row in both.facts["members"]] == [(1, 0), (5, 0)]


def test_a_fold_trains_on_the_labels_before_its_test(walked: Manifest) -> None:
    folds = walked.facts["folds"]
    assert len(folds) == 3
    for fold in folds:
        assert fold["train"][1] < fold["validation"][0] <= fold["validation"][1] < fold["test"][0]
    for before, after in itertools.pairwise(folds):
        assert before["test"][1] <= after["test"][0]
        assert before["train"][1] < after["train"][1]
    rows = [row for row in walked.objects if row.kind.endswith("predictions")]
    tested = {}
    for row in rows:
        table = pq.read_table(io.BytesIO(read_object(row)))
        assert set(table["fold"].to_pylist()) == {row.extra["fold"]}
        assert set(table["seed"].to_pylist()) == {row.extra["seed"]}
        test = table.filter([value == "test" for value in table["split"].to_pylist()])
        labels = set(zip(test["ticker"].to_pylist(), test["origin_date"].to_pylist(), strict=True))
        tested.setdefault(row.extra["seed"], []).append(labels)
        assert ("forecast" in table["split"].to_pylist()) == (row.extra["fold"] == 2), "the last one forecasts"
    for parts in tested.values():
        assert sum(map(len, parts)) == len(set.union(*parts)), "no label is tested twice"


def test_members_tell_their_time_and_memory(walked: Manifest) -> None:
    members = walked.facts["members"]
    assert len(members) == 6
    assert all(row["seconds"] >= row["training_seconds"] > 0.0 for row in members)
    assert all(50 < row["peak_memory_mib"] < 20_000 for row in members)
    assert walked.facts["training_seconds"] == pytest.approx(sum(row["training_seconds"] for row in members))
    assert [row["windows"]["train"] for row in members[:3]] == sorted(row["windows"]["train"] for row in members[:3])


@pytest.mark.parametrize("step", [70, 250])
def test_a_killed_run_ends_with_the_same_networks(folder: Path, walked: Manifest, step: int) -> None:
    """The worker is killed in its second network, or in a later one."""
    paths = make(folder, f"killed-{step}", **WALK, **{"train.seeds": 2})
    planned = [row["steps"] for row in walked.facts["members"]]
    kills_at = next(number for number in range(1, 7) if sum(planned[:number]) > step)
    with workers(paths, signals={0: f"SIGKILL {step}"}) as started:
        assert [process.wait(timeout=300) for process, _ in started] == [-9]
    listed = [item.uri.split("/") for item in storage.list_objects(paths.step_data("train"))]
    done = [parts[-2] for parts in listed if parts[-1] == "member.json"]
    assert len(done) == kills_at - 1
    assert ("seed-1-fold-002" in done) == (step == 250), (
        "the network that stands for the run is among the finished ones"
    )
    found = trained(paths)
    assert objects_of(found) == objects_of(walked)
    again = [
        line.split("training ")[1].split()[0] for line in log_of(paths, "train/worker-0") if "training seed-" in line
    ]
    assert [name for name in done if again.count(name) > 1] == [], "finished networks are not trained again"
    assert len(set(again)) >= 6 - len(done)
    assert not list(storage.list_objects(paths.all_checkpoints))


def test_a_warm_fold_starts_where_the_fold_before_ended(folder: Path, walked: Manifest) -> None:
    warm = {"evaluation.walk.start": "warm", "evaluation.walk.warm_epochs": 1}
    found = trained(make(folder, "warm", **WALK, **warm))
    assert [row["epochs"] for row in found.facts["members"]] == [3, 1, 1]
    rows = {row.extra["fold"]: row for row in found.objects if row.kind.endswith("history")}
    first = {fold: json.loads(read_object(row).splitlines()[0])["validation_loss"] for fold, row in rows.items()}
    untrained = {row["fold"]: row["validation_loss_untrained"] for row in walked.facts["members"]}
    assert first[0] == untrained[0], "the first fold starts with new weights"
    assert first[1] < 0.95 * untrained[1], "a network that has learnt the signal forecasts better than an untrained one"
    again = objects_of(found)["weights", 1, 0], objects_of(walked)["weights", 1, 0]
    assert again[0] == again[1]


def test_weights_of_another_run_are_those_of_the_same_seed(folder: Path, walked: Manifest) -> None:
    before = RunPaths(f"file://{folder}/walked")
    settings = {"train.weights": before.uri, "train.epochs": 0, "train.seeds": [2, 7]}
    _, last_trained = walked.facts["folds"][-1]["train"]
    _, last_validated = walked.facts["folds"][-1]["validation"]
    refused = make(folder, "refused", **settings)
    with pytest.raises(UsageError, match=f"fitted on labels up to {last_validated}") as caught:
        source(config_of(refused))
    assert caught.value.hint == f"dataset.train_end={last_trained} dataset.validation_end={last_validated}"
    later = {"dataset.train_end": last_trained, "dataset.validation_end": last_validated}
    found = trained(make(folder, "ensemble", **settings, **later))
    weights = {row.extra["seed"]: row.sha256 for row in found.objects if row.kind.endswith("weights")}
    known = {(row.extra["seed"], row.extra["fold"]): row.sha256 for row in walked.objects if "weights" in row.kind}
    assert weights[2] == known[2, 2], "of the last fold"
    assert weights[7] == known[1, 2], "a seed that the run does not have gets the network that stands for it"
    np.testing.assert_array_equal(len(known), 6)


def test_two_workers_train_the_same_networks_fold_by_fold(folder: Path, walked: Manifest) -> None:
    """Worker 1 writes nothing; the chief tells it which networks are finished."""
    found = trained(make(folder, "by-two", **WALK, **{"train.seeds": 1}), 2, devices=1)
    assert [(row["seed"], row["fold"]) for row in found.facts["members"]] == [(1, 0), (1, 1), (1, 2)]
    for fold in range(3):
        mine, theirs = (weights_of(manifest, seed=1, fold=fold) for manifest in (found, walked))
        for name, values in theirs.items():
            np.testing.assert_allclose(mine[name], values, rtol=1e-3, atol=1e-5)


def weights_of(manifest: Manifest, *, seed: int, fold: int) -> dict[str, np.ndarray]:
    [row] = [
        row for row in manifest.objects
        if row.kind.endswith("weights") and (row.extra["seed"], row.extra["fold"]) == (seed, fold)
    ]  # fmt: skip
    with np.load(io.BytesIO(read_object(row))) as file:
        return {name: file[name] for name in file.files}
