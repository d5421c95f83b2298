"""Symbolic links below a folder: files behind them are never removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.errors import StorageError
from cloudlstm.storage import links


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of somebody's own."""
    folder = tmp_path / "victim"
    for name in ("final.tex", "photos/1.jpg"):
        storage.write(f"file://{folder}/{name}", b"mine")
    return folder


@pytest.fixture
def run(tmp_path: Path, victim: Path) -> str:
    """A run folder with links into the other folder, below and at its end."""
    folder = tmp_path / "runs" / "run"
    storage.write(f"file://{folder}/data/clean/object", b"ours")
    (folder / "data" / "features").symlink_to(victim)
    (folder / "data" / "clean" / "inner").symlink_to(victim / "photos")
    return f"file://{folder}"


def names(prefix: str, within: str = "") -> list[str]:
    return [item.uri.removeprefix(prefix) for item in storage.list_objects(prefix, within=within)]


def test_a_listing_within_a_folder_enters_no_link_below_it(run: str) -> None:
    assert names(f"{run}/", within=run) == ["data/clean/object"]
    for prefix in ("data/features/", "data/features/photos/", "data/clean/inner/", "data/features/fin"):
        assert names(f"{run}/{prefix}", within=run) == [], prefix
    assert names(f"{run}/data/features/") == ["final.tex", "photos/1.jpg"], "without a folder the prefix is entered"


@pytest.mark.parametrize("name", ["data/features/final.tex", "data/features/photos/1.jpg", "data/clean/inner/1.jpg"])
def test_an_object_behind_a_link_is_not_deleted(run: str, victim: Path, name: str) -> None:
    with pytest.raises(StorageError, match="is a symbolic link, and the files behind it may not be of this run"):
        storage.delete(f"{run}/{name}", within=run)
    assert len(list(victim.rglob("*.*"))) == 2
    storage.delete(f"{run}/{name}")
    assert len(list(victim.rglob("*.*"))) == 1, "the same without the folder's name: the test would see it"


def test_a_link_to_a_file_is_deleted_and_the_file_is_not(run: str, victim: Path) -> None:
    folder = Path(run.removeprefix("file://"))
    (folder / "data" / "clean" / "linked").symlink_to(victim / "final.tex")
    storage.delete(f"{run}/data/clean/linked", within=run)
    assert not (folder / "data" / "clean" / "linked").is_symlink()
    assert (victim / "final.tex").read_text() == "mine"


def test_the_folder_itself_may_lie_behind_links(run: str, tmp_path: Path) -> None:
    (tmp_path / "disk").symlink_to(tmp_path / "runs")
    (tmp_path / "runs" / "moved").symlink_to(tmp_path / "runs" / "run")
    moved = f"file://{tmp_path}/disk/moved"
    assert names(f"{moved}/", within=moved) == ["data/clean/object"]
    storage.delete(f"{moved}/data/clean/object", within=moved)
    assert names(f"{run}/", within=run) == []


def test_a_link_that_is_created_after_the_check_is_not_followed(
    run: str, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(run.removeprefix("file://"))
    storage.write(f"{run}/data/clean/final.tex", b"ours")
    look = os.stat

    def swapped(path: str, **options: object) -> os.stat_result:
        found = look(path, **options)  # type: ignore[arg-type]
        if path == "clean":
            (folder / "data" / "clean").rename(folder / "data" / "aside")
            (folder / "data" / "clean").symlink_to(victim)
        return found

    monkeypatch.setattr(links.os, "stat", swapped)
    storage.delete(f"{run}/data/clean/final.tex", within=run)
    assert (victim / "final.tex").read_text() == "mine"


@pytest.mark.parametrize("name", ["../other/object", "data/../../other/object", "data/./../../other/object"])
def test_a_path_outside_the_folder_is_rejected(run: str, tmp_path: Path, name: str) -> None:
    other = f"file://{tmp_path}/runs/other/object"
    storage.write(other, b"another run's")
    with pytest.raises(StorageError, match="is not below"):
        storage.delete(f"{run}/{name}", within=run)
    with pytest.raises(StorageError, match="is not below"):
        storage.delete(other, within=run)
    assert storage.exists(other)


def test_sweep_follows_no_link(run: str, victim: Path) -> None:
    folder, name = Path(run.removeprefix("file://")), ".cloudlstm-1-0123456789abcdef.tmp"
    for place in (victim, folder / "data"):
        (place / name).write_bytes(b"half")
        os.utime(place / name, (0, 0))
    storage.sweep(f"{run}/")
    assert (victim / name).exists()
    assert not (folder / "data" / name).exists()


def test_empty_folders_are_removed_and_remaining_files_are_returned(run: str, victim: Path) -> None:
    folder = Path(run.removeprefix("file://"))
    (folder / "logs" / "prepare" / "driver").mkdir(parents=True)
    storage.delete(f"{run}/data/clean/object", within=run)
    assert storage.remove_folders(run) == (f"{run}/data/clean/inner", f"{run}/data/features")
    assert sorted(path.name for path in folder.iterdir()) == ["data"]
    assert len(list(victim.rglob("*.*"))) == 2
    for link in (folder / "data" / "features", folder / "data" / "clean" / "inner"):
        link.unlink()
    assert storage.remove_folders(run) == ()
    assert not folder.exists()
    assert folder.parent.exists()
    assert storage.remove_folders(run) == ()
