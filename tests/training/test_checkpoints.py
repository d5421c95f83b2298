"""Checkpoints survive storage, and every corrupt one is skipped."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError
from cloudlstm.runs.paths import RunPaths
from cloudlstm.training.checkpoint import Checkpoints, State


def a_state(step: int = 5) -> State:
    return State(
        weights=[np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([1.5])],
        slots=[np.array(step), np.zeros((2, 3), np.float32)],
        step=step,
        losses=[0.1] * step,
        history=[{"epoch": 0, "validation_loss": 1.25}],
        best=[np.ones((2, 3), np.float32), np.float32([2.5])],
        best_loss=1.25,
        waited=2,
        seconds=3.5,
    )


def test_a_state_survives_its_bytes() -> None:
    before = a_state()
    after = State.from_bytes(before.to_bytes(), "x")
    for name in ("weights", "slots", "best"):
        for mine, theirs in zip(getattr(before, name), getattr(after, name), strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
    for name in ("step", "losses", "history", "best_epoch", "best_loss", "waited", "seconds"):
        assert getattr(before, name) == getattr(after, name)


class SingleWorker:
    """A cluster of this process."""

    class membership:  # noqa: N801
        chief = True

    def broadcast_from_chief(self, number: int) -> int:
        return number


class Second(SingleWorker):
    """The second of two workers; the chief has found the checkpoint of step 100."""

    class membership:  # noqa: N801
        chief = False

    def broadcast_from_chief(self, number: int) -> int:
        assert number == -1
        return 100


def saved(place: str, *steps: int) -> tuple[Checkpoints, list[str]]:
    """Checkpoints of the given steps, and their URIs."""
    paths = RunPaths(f"memory://checkpoints/{place}")
    with Checkpoints(paths, "f", 0, writes=True) as checkpoints:
        for step in steps:
            checkpoints.save(a_state(step))
    return checkpoints, [found.uri for found in storage.list_objects(paths.checkpoints("f"))]


def test_the_newest_of_the_two_kept_checkpoints_is_restored() -> None:
    checkpoints, uris = saved("newest", 5, 6, 100)
    assert [uri.rsplit("/", 1)[1][:14] for uri in uris] == ["step-000000006", "step-000000100"]
    assert checkpoints.restore(SingleWorker()).step == 100
    with Checkpoints(RunPaths("memory://checkpoints/newest"), "another", 0, writes=True) as other:
        assert other.restore(SingleWorker()) is None


def test_every_worker_restores_the_step_that_the_chief_found() -> None:
    checkpoints, uris = saved("second", 100, 102)
    assert checkpoints.restore(Second()).step == 100
    storage.write(uris[0], b"")
    with pytest.raises(CorruptObjectError, match="no checkpoint of step 100"):
        checkpoints.restore(Second())


def damaged(data: bytes, how: str) -> bytes:
    random = np.random.default_rng(7)
    if how == "longer":
        return data + b"\0"
    if how.startswith("first"):
        return data[: int(len(data) * float(how.split()[1]))]
    flipped = bytearray(data)
    flipped[int(random.integers(len(data))) if how == "a bit" else 3] ^= 1 << int(random.integers(8))
    return bytes(flipped)


@pytest.mark.parametrize("how", ["first 0", "first 0.01", "first 0.5", "first 0.99", "longer", "a bit", "a byte"])
def test_a_corrupt_checkpoint_is_skipped(how: str) -> None:
    checkpoints, uris = saved(f"damaged-{how}", 6, 100)
    whole = storage.read(uris[1])
    storage.write(uris[1], damaged(whole, how))
    assert checkpoints.restore(SingleWorker()).step == 6
    storage.write(uris[1], whole)
    assert checkpoints.restore(SingleWorker()).step == 100


def test_a_checkpoint_with_a_flipped_bit_is_never_loaded() -> None:
    checkpoints, uris = saved("bits", 100)
    whole = storage.read(uris[0])
    for place in np.random.default_rng(3).integers(8 * len(whole), size=300).tolist():
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        storage.write(uris[0], bytes(flipped))
        assert checkpoints.restore(SingleWorker()) is None, f"bit {place}"


def test_files_of_others_in_the_folder_are_neither_read_nor_deleted() -> None:
    checkpoints, uris = saved("foreign", 5, 6)
    folder = uris[0].rpartition("/")[0]
    foreign = [f"{folder}/{name}" for name in (".DS_Store", "step-000000100.npz", "step-000000007 (2).npz", "z.npz")]
    for uri in foreign:
        storage.write(uri, b"not ours")
    assert checkpoints.restore(SingleWorker()).step == 6
    checkpoints.discard()
    assert {found.uri for found in storage.list_objects(folder)} == set(foreign)


class MakesFolderWhenUnpickled:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_that_holds_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    """A writer to the run folder can give it the right hash."""
    paths, file = RunPaths("memory://checkpoints/pickle"), io.BytesIO()
    np.savez(file, small=np.array([MakesFolderWhenUnpickled(tmp_path / "ran")], dtype=object))
    data = file.getvalue()
    storage.write(paths.checkpoint("f", 100, hashlib.sha256(data).hexdigest()), data)
    with Checkpoints(paths, "f", 0, writes=True) as checkpoints:
        assert checkpoints.restore(SingleWorker()) is None
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive", b"\x93NUMPY"])
def test_bytes_that_are_not_a_state_are_named(content: bytes) -> None:
    with pytest.raises(CorruptObjectError, match="checkpoint-7"):
        State.from_bytes(content, "checkpoint-7")


def test_only_the_chief_writes_checkpoints() -> None:
    paths = RunPaths("memory://checkpoints/peer")
    with Checkpoints(paths, "f", 0, writes=False) as checkpoints:
        assert not checkpoints.due
        checkpoints.save(a_state())
    assert not list(storage.list_objects(paths.checkpoints("f")))
