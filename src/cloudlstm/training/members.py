"""The networks that one run trains: one for each seed and fold, and for each group of inputs in an ablation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudlstm.config import RunConfig
from cloudlstm.dataset.folds import Fold
from cloudlstm.runs.manifest import fingerprint


@dataclass(frozen=True, slots=True)
class Member:
    """One network of a run.

    Attributes:
        seed: Seeds its weights, the order of its samples and its dropout masks.
        fold: The fold that it is trained for, from 0.
        ablation: In an ablation, the group of exogenous columns that it gets instead of those of the run; else "".
    """

    seed: int
    fold: int
    ablation: str = ""

    @property
    def name(self) -> str:
        """Names its folder among the objects of the step."""
        return f"seed-{self.seed}-fold-{self.fold:03d}" + (f"-{self.ablation}" if self.ablation else "")


def members_of(config: RunConfig, folds: Sequence[Fold]) -> list[Member]:
    """All networks of a run in the order in which they are trained: the folds of the first seed, then of the next.

    Those of an ablation come last.
    """
    return [
        Member(seed, fold.number, ablation)
        for ablation in ("", *config.ablations)
        for seed in config.train.all_seeds
        for fold in folds
    ]


def record_of(members: Sequence[Member]) -> Member:
    """The network that stands for the run where one is needed, as in `predict`: of the first seed and the last fold."""
    own = [each for each in members if each.seed == members[0].seed and not each.ablation]
    return max(own, key=lambda each: each.fold)


def checkpoints_name(fingerprint_of_step: str, members: Sequence[Member], member: Member) -> str:
    """Names the folder of a network's checkpoints: the fingerprint of its training."""
    return fingerprint_of_step if len(members) == 1 else fingerprint([fingerprint_of_step, member.name])
