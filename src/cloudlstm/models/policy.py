"""The policy of a model: when challengers are trained, how they are judged, and what they may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cloudlstm.models.gate import MOST_SESSIONS

Estimator = Literal["lstm", "ridge"]


@dataclass(frozen=True, slots=True)
class OtherRecipe:
    """A challenger with other settings.

    Attributes:
        name: Its name.
        overrides: Settings by name, such as "model.units=64".
        model: What of its runs competes: the network or the ridge.
    """

    name: str
    overrides: tuple[str, ...]
    model: Estimator = "lstm"


@dataclass(frozen=True, slots=True)
class Policy:
    """When challengers are trained, and how they are judged.

    Attributes:
        warm_every: Sessions between two warm challengers, which start from the champion's weights; None: none.
        warm_epochs: Most passes of a warm challenger over the training windows.
        refresh_after: Sessions after which a warm challenger replaces the champion if it is not shown to be worse;
            None: only on skill.
        cold_every: Sessions between two cold challengers, which start from new weights; None: only after an alarm.
        others: Challengers of other recipes; each is trained as often as a cold one.
        validation_sessions: Sessions of validation labels of a challenger.
        test_sessions: Sessions of test labels after them.
        max_usd_month: Most that the model may cost in a month in USD; trainings beyond it are refused. None: no limit.
    """

    warm_every: int | None = 21
    warm_epochs: int = 2
    refresh_after: int | None = 5
    cold_every: int | None = 126
    others: tuple[OtherRecipe, ...] = ()
    validation_sessions: int = 126
    test_sessions: int = 21
    max_usd_month: float | None = None

    def model_of(self, recipe: str) -> Estimator:
        """What of a recipe's runs competes."""
        return next((each.model for each in self.others if each.name == recipe), "lstm")

    @property
    def cold_a_year(self) -> int:
        """Cold challengers that may start within 252 sessions; one after an alarm counts as well."""
        return 1 if self.cold_every is None else math.ceil(MOST_SESSIONS / self.cold_every)

    @property
    def challengers(self) -> int:
        """Challengers judged on skill that may start within 252 sessions; the gate is corrected for this number."""
        warm = math.ceil(MOST_SESSIONS / self.warm_every) if self.warm_every and self.refresh_after is None else 0
        return self.cold_a_year * (1 + len(self.others)) + warm
