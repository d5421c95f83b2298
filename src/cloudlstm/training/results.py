"""What each network of a run leaves: its objects, and a record that it is finished, so that a resumed run skips it.

A run with one network keeps its objects in the folder of the step. With several, each has a folder:

    data/train/<fingerprint>/seed-1-fold-000/weights.npz, predictions.parquet, …
    data/train/<fingerprint>/seed-1-fold-000/member.json      written last

The kinds of the objects in the manifest:

    weights, inputs, model, history, losses, events   of the network that stands for the run (`members.record_of`)
    importance                                         of the same, if it has features beyond the eight
    predictions                                        of the first seed, one object for each fold
    ablation_…                                         of the networks of an ablation
    member_…                                           of all other networks
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.runs import documents
from cloudlstm.runs.context import StepData
from cloudlstm.runs.manifest import Manifest, ManifestRow, missing_objects, write_object
from cloudlstm.training.members import Member, record_of

_PREDICTIONS, _ABLATION = "predictions", "ablation_"


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Facts about the training of one network, for the manifest of the step.

    Attributes:
        seed: Its seed.
        fold: Its fold, from 0.
        inputs: Its group of exogenous columns: "none", "macro", "news" or "both".
        ablation: The same if it is a network of an ablation, else "".
        epochs: Epochs that it was trained.
        best_epoch: The epoch whose weights were kept.
        steps: Training steps.
        windows: Its windows by split.
        windows_seen: Training windows that it has seen.
        parameters: Its weights.
        train_loss: Of the last epoch; None without one.
        validation_loss: Of the kept weights; None without validation windows.
        validation_loss_untrained: Before the first step; None if it started from the fold before.
        training_seconds: In training steps.
        seconds: From its first weights to its written forecasts.
        peak_memory_mib: Most resident memory of the process meanwhile; None if it is not known.
    """

    seed: int
    fold: int
    epochs: int
    best_epoch: int
    steps: int
    windows: Mapping[str, int]
    windows_seen: int
    parameters: int
    train_loss: float | None
    validation_loss: float | None
    validation_loss_untrained: float | None
    training_seconds: float
    seconds: float
    peak_memory_mib: int | None
    inputs: str = "none"
    ablation: str = ""

    @property
    def member(self) -> Member:
        """The network."""
        return Member(self.seed, self.fold, self.ablation)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished network: its objects, as in the manifest of the step, and its facts."""

    objects: tuple[ManifestRow, ...]
    facts: NetworkFacts


class Results:
    """Names, writes and finds the objects of the networks of a step.

    Args:
        data: Names the objects of the step.
        members: All networks of the run.

    Attributes:
        record: The network that stands for the run.
    """

    def __init__(self, data: StepData, members: Sequence[Member]) -> None:
        self._data, self.members = data, members
        self.record = record_of(members)

    def uri(self, member: Member, name: str) -> str:
        """The URI of an object of a network."""
        return self._data.uri(name if len(self.members) == 1 else f"{member.name}/{name}")

    def read(self, member: Member, name: str) -> bytes:
        """The bytes of an object of a network."""
        return storage.read(self.uri(member, name))

    def write(self, member: Member, name: str, data: bytes, kind: str, rows: int) -> ManifestRow:
        """Writes an object of a network and returns its manifest row."""
        own = member == self.record or (kind == _PREDICTIONS and member.seed == self.record.seed)
        whose = _ABLATION if member.ablation else "" if own else "member_"
        return write_object(self.uri(member, name), data, kind=whose + kind, rows=rows, extra=asdict(member))

    def finish(self, member: Member, result: Result) -> None:
        """Records that one of several networks is finished, after all its objects are written."""
        storage.write_json(self.uri(member, "member.json"), asdict(result))

    def find(self, member: Member) -> Result | None:
        """The result of a network that an earlier job finished; None if it did not, or an object is missing."""
        if len(self.members) == 1:
            return None
        try:
            found = documents.read(Result, self.uri(member, "member.json"))
        except (ObjectNotFoundError, CorruptObjectError):
            return None
        folder = self.uri(member, "") + "/"
        ours = all(row.uri.startswith(folder) for row in found.objects)  # else the run was copied
        return found if ours and not missing_objects(Manifest("train", "", found.objects, 0.0)) else None


def several(manifest: Manifest, kind: str, ablation: str = "") -> list[ManifestRow]:
    """The objects of a kind of all networks of the run itself, in the order in which they were trained.

    Args:
        manifest: Of the step "train".
        kind: The kind, without the beginning that says whose an object is.
        ablation: The group of inputs of networks of an ablation, whose objects are wanted instead.
    """
    if ablation:
        return [row for row in manifest.of_kind(_ABLATION + kind) if member_of(row).ablation == ablation]
    return [row for row in manifest.objects if row.kind in (kind, f"member_{kind}")]


def ablations_of(manifest: Manifest) -> list[str]:
    """The groups of inputs of the networks of an ablation, in the order in which they were trained."""
    return list(dict.fromkeys(member_of(row).ablation for row in manifest.of_kind(_ABLATION + _PREDICTIONS)))


def member_of(row: ManifestRow) -> Member:
    """The network that an object belongs to; older manifests do not name it."""
    return Member(int(row.extra.get("seed", 0)), int(row.extra.get("fold", 0)), str(row.extra.get("ablation", "")))
