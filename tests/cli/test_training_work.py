"""What a run with several networks trains is told before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlstm.cli import main
from cloudlstm.cli.training_work import training_work
from cloudlstm.config import RunConfig, parse
from cloudlstm.market.calendar import sessions

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
    assert five.note() == "5 trainings (5 seeds x 1 fold), at most 5.0 times the windows of a single one"


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
    assert "note: 4 trainings (2 seeds x 2 folds), at most 4." in captured.err
    assert captured.out.startswith("{")
    assert not list(tmp_path.iterdir())
