"""What a run with several networks trains is told before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.cli.plans import config_of as config_of_plan
from cloudlstm.cli.plans import predict_plan
from cloudlstm.cli.training_work import training_work
from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import UsageError
from cloudlstm.market.calendar import sessions
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.local.target import LocalTarget

BASE = {
    "market": {"source": "synthetic", "start": "2010-01-01", "end": "2019-12-31", "synthetic": {"tickers": 3}},
    "dataset": {"train_end": "2013-12-31", "validation_end": "2014-12-31"},
    "train": {"epochs": 4},
}
WALK = ["evaluation.walk.mode=expanding", "evaluation.walk.step_bars=252"]


def config_of(*words: str) -> RunConfig:
    return parse(BASE, words)


def test_one_network_needs_no_note() -> None:
    assert training_work(config_of()).note() == ""


def test_seeds_multiply_the_windows() -> None:
    one, five = training_work(config_of()), training_work(config_of("train.seeds=5"))
    assert (five.networks, five.windows) == (5, 5 * one.windows)
    assert five.note() == (
        "5 trainings (5 seeds x 1 fold), about 5.0 times the windows of a single one; those that stop early see fewer"
    )
    assert training_work(config_of("train.seeds=5", "train.epochs=0")).note() == ""


@pytest.mark.parametrize("mode", ["expanding", "rolling"])
def test_folds_count_their_training_sessions(mode: str) -> None:
    config = config_of("train.seeds=2", f"evaluation.walk.mode={mode}", "evaluation.walk.step_bars=252")
    found = training_work(config)
    market = config.market
    tested = len(sessions(market.calendar, config.dataset.validation_end, market.end))
    assert found.folds == -(-(tested - 1) // 252) == 5
    first = len(sessions(market.calendar, market.start, config.dataset.train_end))
    embargo = config.dataset.window_bars + 1
    length = first - (config.dataset.window_bars - 1) - embargo
    grown = [length + (252 * fold if mode == "expanding" else 0) for fold in range(5)]
    assert found.windows == 2 * 4 * sum(grown)


def test_a_warm_walk_trains_less(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cold = training_work(config_of(*WALK))
    warm = training_work(config_of(*WALK, "evaluation.walk.start=warm", "evaluation.walk.warm_epochs=1"))
    assert warm.windows < 0.45 * cold.windows
    words = ["market.source=synthetic", "market.synthetic.tickers=3", "train.seeds=2", *WALK, f"--root={tmp_path}"]
    assert main(["submit", *words, "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert "note: 4 trainings (2 seeds x 2 folds), about 4." in captured.err
    assert captured.out.startswith("{")
    assert not list(tmp_path.iterdir())


def test_predict_of_a_walk_tests_only_what_its_network_has_not_seen(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/walked")
    storage.write_json(paths.config, config_of("train.seeds=2", *WALK).model_dump(mode="json"))
    folds = [
        {"train": ["2010-04-01", "2013-10-17"], "validation": ["2014-01-02", "2014-10-17"]},
        {"train": ["2010-04-01", "2014-10-17"], "validation": ["2015-01-05", "2015-10-19"]},
    ]
    Manifest("train", "f", (), 0.0, {"folds": folds}).save(paths)
    for ensemble, seeds in ((False, (1,)), (True, (1, 2))):
        plan = predict_plan(LocalTarget(), run=paths, overrides=[], root=str(tmp_path), ensemble=ensemble)
        config = config_of_plan(plan)
        assert str(config.dataset.train_end) == "2014-10-17"
        assert str(config.dataset.validation_end) == "2015-10-19"
        assert (config.evaluation.walk.mode, config.train.epochs) == ("off", 0)
        assert config.train.all_seeds == seeds


def test_an_ensemble_needs_several_seeds(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/single")
    storage.write_json(paths.config, config_of().model_dump(mode="json"))
    Manifest("train", "f", (), 0.0, {}).save(paths)
    with pytest.raises(UsageError, match="run single has one seed"):
        predict_plan(LocalTarget(), run=paths, overrides=[], root=str(tmp_path), ensemble=True)


def test_predict_has_the_interval_of_the_run_with_the_weights(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/minutes")
    storage.write_json(paths.config, config_of("market.interval=5m").model_dump(mode="json"))
    Manifest("train", "f", (), 0.0, {}).save(paths)
    with pytest.raises(UsageError, match=r"minutes was trained on bars of 5m, and market\.interval is 1m"):
        predict_plan(LocalTarget(), run=paths, overrides=["market.interval=1m"], root=str(tmp_path))
    plan = predict_plan(LocalTarget(), run=paths, overrides=[], root=str(tmp_path))
    assert config_of_plan(plan).market.interval == "5m"
