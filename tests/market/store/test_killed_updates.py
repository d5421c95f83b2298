"""An update that ends at any write, and is repeated, leaves the objects of an undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cloudlstm.errors import StorageUnavailableError
from cloudlstm.market.store import update as module
from cloudlstm.market.store.update import update
from cloudlstm.market.store.version import Store
from cloudlstm.storage.file import FileStorage
from daily_bars import DAYS, Vendor, config_of

FIRST, LAST = 60, 66


def objects(store: Store) -> dict[str, bytes]:
    """The content of all objects of a store, by path."""
    folder = Path(store.folder.removeprefix("file://"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def vendor_on(number: int) -> Vendor:
    """The vendor as on a day; there is a split on one and a correction on the next."""
    vendor = Vendor.synthetic()
    if number >= FIRST + 3:
        vendor.split("SYN000002", DAYS[FIRST + 3], 2.0)
    if number >= FIRST + 4:
        vendor.correct("SYN000003", DAYS[FIRST + 2], 1.25)
    return vendor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bars.csv"


@pytest.fixture
def undisturbed(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The objects of a store after all updates; the last but one moves all bars into new base pieces."""
    monkeypatch.setattr(module, "COMPACTED_AFTER", 4)
    store = Store.of(str(tmp_path / "undisturbed"), config_of(path))
    for number in range(FIRST, LAST):
        vendor_on(number).publish(DAYS[number], path)
        update(store, config_of(path), DAYS[number])
    assert store.version(DAYS[FIRST + 5]).changes.compacted
    return objects(store)


def test_updates_that_fail_at_every_write(
    undisturbed: dict[str, bytes], path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.of(str(tmp_path / "failing"), config_of(path))
    real, failures, left = FileStorage.write, 0, 0

    def write(self: FileStorage, uri: str, data: bytes, *, if_absent: bool = False) -> None:
        nonlocal left
        if left == 0:
            raise StorageUnavailableError(f"{uri} cannot be written")
        left -= 1
        real(self, uri, data, if_absent=if_absent)

    monkeypatch.setattr(FileStorage, "write", write)
    for number in range(FIRST, LAST):
        vendor_on(number).publish(DAYS[number], path)
        for allowed in range(20):
            left, before = allowed, store.newest()
            try:
                update(store, config_of(path), DAYS[number])
                break
            except StorageUnavailableError:
                failures += 1
                assert store.newest() == before, "a version is there only when its update has ended"
    assert failures >= LAST - FIRST + 2
    assert objects(store) == undisturbed


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_an_update_whose_process_is_killed(
    undisturbed: dict[str, bytes], path: Path, tmp_path: Path, writes: int
) -> None:
    store = Store.of(str(tmp_path / "killed"), config_of(path))
    last = LAST - 1
    for number in range(FIRST, last):
        vendor_on(number).publish(DAYS[number], path)
        update(store, config_of(path), DAYS[number])
    vendor_on(last).publish(DAYS[last], path)
    script = textwrap.dedent(f"""
        import os, signal
        from cloudlstm.market.store import update as module
        from cloudlstm.market.store.update import update
        from cloudlstm.market.store.version import Store
        from cloudlstm.storage import local
        from cloudlstm.storage.file import FileStorage
        from daily_bars import DAYS, config_of

        module.COMPACTED_AFTER = 4
        left, real, sync = [{writes}], FileStorage.write, os.fsync

        def write(self, uri, data, *, if_absent=False):
            if not left[0]:
                os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # in the middle of the write
            left[0] -= 1
            real(self, uri, data, if_absent=if_absent)

        FileStorage.write = write
        update(Store({store.folder!r}), config_of({str(path)!r}), DAYS[{last}])
    """)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # where this process found the tests
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, env=env)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert store.days() == DAYS[FIRST:last]
    update(store, config_of(path), DAYS[last])
    found = {name: data for name, data in objects(store).items() if not name.endswith(".tmp")}
    assert found == undisturbed
