"""Settings of the evaluation: walk-forward, intervals, and what trading would cost."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from cloudlstm.config.data import Section


class WalkConfig(Section):
    """Walk-forward: the network and the baselines are fitted again for each stretch of the test split."""

    mode: Literal["off", "expanding", "rolling"] = "off"
    """`expanding`: each fold trains on all labels from `market.start`; `rolling`: on the last `train_bars` sessions
    before its validation; `off`: one training serves the whole test split."""
    step_bars: int = Field(default=252, ge=5, le=5040)
    """Sessions of the test split in one fold. The first fold has the split dates of `dataset`; in each later one they
    are this many sessions later."""
    train_bars: int | None = Field(default=None, ge=20)
    """For `rolling`: sessions of training labels; by default as many as the first fold has."""
    embargo_bars: int | None = Field(default=None, ge=0, le=2048)
    """Sessions before validation, and before the test, whose labels are not used; by default `window_bars` +
    `horizon_bars`, so that no window of one split shares a bar with a label of the split before. Of bars within a day
    these, too, are sessions, by default as many as a window and its label may reach over; 0 if they lie in one."""
    start: Literal["cold", "warm"] = "cold"
    """`cold`: every fold trains new weights; `warm`: from the second fold on it starts from the fold before's."""
    warm_epochs: int = Field(default=3, ge=1, le=10_000)
    """For `warm`: most passes over the training windows from the second fold on."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.train_bars is not None and self.mode != "rolling":
            raise ValueError(f"train_bars is for mode 'rolling' and mode is {self.mode!r}")
        return self


class EvaluationConfig(Section):
    """How forecasts are evaluated."""

    ridge_alphas: tuple[float, ...] = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
    """Penalties that are tried for the ridge baseline; the validation split selects one."""
    ic_min_tickers: int = Field(default=20, ge=3)
    """Fewest tickers of a date for which its information coefficient counts, and its decile portfolio."""
    interval_levels: tuple[float, ...] = (0.5, 0.8, 0.95)
    """Probabilities of the forecast intervals."""
    cost_bps: float = Field(default=5.0, ge=0.0, le=1000.0)
    """Cost of trading in the decile portfolio, in basis points (0.01 %) of the traded value."""
    walk: WalkConfig = WalkConfig()

    @field_validator("interval_levels")
    @classmethod
    def _are_levels(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or not all(0.0 < level < 1.0 for level in value):
            raise ValueError("levels must be between 0 and 1, as in 0.5, 0.8, 0.95")
        return tuple(sorted(set(value)))
