"""The folds of a walk-forward: every test label once, and nothing near a border is trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cloudlstm.config import RunConfig, parse
from cloudlstm.dataset import folds
from cloudlstm.dataset.folds import Fold
from cloudlstm.errors import ConfigError, DataError
from cloudlstm.features import EIGHT, FeatureSet

DATES = np.busday_offset("2018-01-01", np.arange(1500), roll="forward").astype("datetime64[D]")
WINDOW = 20


@dataclass
class DatedWindows:
    """Windows of which only the dates matter here: `at` is the number of the session of each origin."""

    at: NDArray[np.int64]
    horizon: int
    window_bars: int = WINDOW
    others: list[Any] = field(default_factory=list)
    features: FeatureSet = EIGHT
    unit: str = "D"

    def __len__(self) -> int:
        return len(self.at)

    def origin_dates(self, indices: NDArray[Any]) -> NDArray[np.datetime64]:
        return DATES[self.at[indices]]

    def target_dates(self, indices: NDArray[Any]) -> NDArray[np.datetime64]:
        return DATES[self.at[indices] + self.horizon]


def config_of(*words: str, horizon: int = 1) -> RunConfig:
    return parse(
        {
            "market": {"source": "synthetic", "start": "2018-01-01", "end": "2024-12-31"},
            "dataset": {
                "train_end": str(DATES[699]), "validation_end": str(DATES[899]), "window_bars": WINDOW,
                "horizon_bars": horizon,
            },
        },
        ["evaluation.walk.mode=expanding", *words],
    )  # fmt: skip


def splits_of(config: RunConfig, tickers: int = 2) -> dict[str, Any]:
    """All labels of some tickers, as the step "sequences" splits them: origin and target in one split."""
    horizon = config.dataset.horizon_bars
    found = {}
    for split, begin, end in (("train", WINDOW, 700), ("validation", 700, 900), ("test", 900, 1500)):
        found[split] = DatedWindows(np.tile(np.arange(begin, end - horizon), tickers), horizon)
    return found | {"forecast": DatedWindows(np.array([1490]), horizon)}


def sessions_of(fold: Fold, split: str) -> NDArray[np.int64]:
    """The sessions of a split's origins, one for each label."""
    own = fold.splits[split]
    return np.searchsorted(DATES, own.origin_dates(np.arange(len(own))))


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("step", [60, 200, 252, 5000])
def test_every_test_label_is_in_exactly_one_fold(step: int, horizon: int) -> None:
    config = config_of(f"evaluation.walk.step_bars={step}", horizon=horizon)
    splits = splits_of(config)
    made = folds.make(splits, config)
    tested = np.concatenate([sessions_of(fold, "test") for fold in made])
    assert sorted(tested) == sorted(splits["test"].at)
    assert [fold.number for fold in made] == list(range(len(made)))
    whole, rest = divmod(600 - horizon, step)
    assert len(made) == max(whole + (2 * rest >= step), 1), "a rest of less than half a step belongs to the fold before"
    assert ["forecast" in fold.splits for fold in made] == [False] * (len(made) - 1) + [True]


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("embargo", [None, 0, 7])
def test_no_label_reaches_into_the_embargo(embargo: int | None, horizon: int) -> None:
    words = [] if embargo is None else [f"evaluation.walk.embargo_bars={embargo}"]
    config = config_of("evaluation.walk.step_bars=100", *words, horizon=horizon)
    gap = WINDOW + horizon if embargo is None else embargo
    for number, fold in enumerate(folds.make(splits_of(config), config)):
        train, validation, test = (sessions_of(fold, split) for split in ("train", "validation", "test"))
        begins_validation, begins_test = 700 + 100 * number, 900 + 100 * number
        assert train.max() + horizon < begins_validation - gap
        assert validation.min() >= begins_validation
        assert validation.max() + horizon < begins_test - gap
        assert test.min() >= begins_test
        # The labels of the last session that may be used are used; the borders of `dataset` cost a few of later folds.
        assert train.max() + horizon >= begins_validation - gap - 1 - horizon
        if embargo is None:
            first_bar = test.min() - WINDOW + 1
            assert first_bar > validation.max() + horizon, "a window of the test has no bar that a label saw"


def test_training_expands_or_rolls() -> None:
    expanding = folds.make(splits_of(config_of()), config_of())
    assert {int(sessions_of(fold, "train").min()) for fold in expanding} == {WINDOW}
    sizes = [len(fold.splits["train"]) for fold in expanding]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    config = config_of("evaluation.walk.mode=rolling", "evaluation.walk.train_bars=300")
    rolling = folds.make(splits_of(config), config)
    spans = [np.ptp(np.unique(sessions_of(fold, "train"))) for fold in rolling]
    assert max(spans) <= 300
    assert min(spans) >= 298
    assert [int(sessions_of(fold, "train").min()) for fold in rolling] == sorted(
        int(sessions_of(fold, "train").min()) for fold in rolling
    )


def test_later_folds_train_on_what_was_tested_before() -> None:
    config = config_of("evaluation.walk.step_bars=100")
    made = folds.make(splits_of(config), config)
    for before, after in zip(made, made[3:], strict=False):
        assert set(sessions_of(before, "test")) & set(sessions_of(after, "train"))
        assert not set(sessions_of(after, "test")) & set(sessions_of(before, "train"))


def test_without_a_walk_the_splits_stay_as_they_are() -> None:
    config = config_of("evaluation.walk.mode=off")
    splits = splits_of(config)
    (only,) = folds.make(splits, config)
    assert all(only.splits[split] is splits[split] for split in splits)


def test_a_fold_without_labels_is_told_with_what_to_change() -> None:
    config = config_of("evaluation.walk.embargo_bars=199")
    with pytest.raises(DataError, match=r"fold 1 of the walk has no label in validation.*embargo of 199") as caught:
        folds.make(splits_of(config), config)
    assert "embargo_bars" in caught.value.hint
    days = DATES.astype("datetime64[D]").astype(np.int32)
    with pytest.raises(DataError, match="fold 1 of the walk has no label in validation"):
        folds.require_sessions(days, config)
    folds.require_sessions(days, config_of())
    folds.require_sessions(days[:30], config_of("evaluation.walk.mode=off"))
    late = config_of(f"dataset.validation_end={DATES[1499]}")
    with pytest.raises(DataError, match="the walk has no fold"):
        folds.make(splits_of(late), late)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluation.walk.train_bars=500"], "train_bars is for mode 'rolling'"),
        (["train.epochs=0"], "evaluation.walk trains every fold"),
        (["train.weights=s3://a/b"], "evaluation.walk trains every fold"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(*words)


def test_warm_folds_have_epochs_of_their_own() -> None:
    warm = config_of("evaluation.walk.start=warm", "evaluation.walk.warm_epochs=2", "train.epochs=9")
    assert [folds.epochs_of(warm, fold) for fold in range(3)] == [9, 2, 2]
    assert [folds.epochs_of(config_of("train.epochs=9"), fold) for fold in range(2)] == [9, 9]
