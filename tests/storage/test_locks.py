"""File locks: one holder at a time, and only regular files are locked."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cloudlstm.storage.locks import locked


def test_a_second_holder_waits_or_fails(tmp_path: Path) -> None:
    path = str(tmp_path / "l")
    code = f"from cloudlstm.storage.locks import *\nwith locked(Path({path!r})): print('mine')"
    with locked(tmp_path / "l"):
        with pytest.raises(BlockingIOError), locked(tmp_path / "l", wait=False):
            pass
        waiting = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
    assert waiting.communicate(timeout=60)[0] == "mine\n"


def test_a_waiting_process_locks_a_new_file_if_the_old_one_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened, there = tmp_path / "l", threading.Event(), []

    def wait() -> None:
        with locked(path):
            there.append(path.exists())

    with locked(path):
        take = fcntl.flock
        monkeypatch.setattr(fcntl, "flock", lambda *what: opened.set() or take(*what))
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert opened.wait(60)
        path.unlink()
    waiting.join(60)
    assert there == [True]


def test_a_missing_lock_file_is_created_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked(tmp_path / "l", create=False):
        pass
    with locked(tmp_path / "l"):
        pass
    with locked(tmp_path / "l", create=False):
        pass


@pytest.mark.parametrize("wait", [True, False])
def test_pipes_devices_folders_and_links_cannot_be_locked(tmp_path: Path, wait: bool) -> None:
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
