"""How a child process ended."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cloudlstm.workers import processes
from cloudlstm.workers.processes import Process


@pytest.mark.parametrize(
    ("counted", "ending", "out_of_memory"),
    [(3, "kill -9 $$", True), (2, "kill -9 $$", False), (3, "exit 1", False), (None, "kill -9 $$", False)],
)
def test_a_kill_for_want_of_memory_is_told_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: int | None, ending: str, out_of_memory: bool
) -> None:
    vmstat = tmp_path / "vmstat"
    if counted is not None:
        vmstat.write_text("pgfault 7\noom_kill 2\npgscan 1\n")
        ending = f"echo oom_kill {counted} > {vmstat}; {ending}"
    monkeypatch.setattr(processes, "VMSTAT", vmstat)
    child = Process("worker-0", ["sh", "-c", ending], {}, tmp_path / "console.txt")
    child.stop(time.monotonic() + 30)
    assert child.out_of_memory == out_of_memory


@pytest.mark.skipif(not processes.VMSTAT.exists(), reason="only Linux counts them")
def test_linux_counts_kills_for_want_of_memory() -> None:
    assert "\noom_kill " in processes.VMSTAT.read_text()
