"""Locks of this machine: one holder at a time, and nothing but a file is ever locked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudlstm.storage.locks import locked


def test_a_second_holder_waits_or_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "l")
    code = f"from cloudlstm.storage.locks import *\nwith locked(Path({path!r})): print('mine')"
    with locked(tmp_path / "l"):
        with pytest.raises(BlockingIOError), locked(tmp_path / "l", wait=False):
            pass
        waiting = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
    assert waiting.communicate(timeout=60)[0] == "mine\n"


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with locked(path):
        path.unlink()
        with locked(path, wait=False):
            assert path.exists()


def test_a_lock_that_is_not_there_is_made_or_missed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked(tmp_path / "l", create=False):
        pass
    with locked(tmp_path / "l"):
        pass
    with locked(tmp_path / "l", create=False):
        pass


@pytest.mark.parametrize("wait", [True, False])
def test_pipes_devices_folders_and_links_are_no_locks(tmp_path: Path, wait: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "nowhere").symlink_to(tmp_path / "new")
    for path in (*map(tmp_path.joinpath, ("pipe", "folder", "link", "nowhere")), Path("/dev/null")):
        with pytest.raises(OSError), locked(path, wait=wait):  # noqa: PT011 - each has an errno of its own
            pass
    assert (tmp_path / "file").read_text() == "precious"
    assert not (tmp_path / "new").exists()
