"""`logs`: the lines of many workers in one stream."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.cli import logs, main
from cloudlstm.cli.logs import HOLD_S, Merger, Parts, show_logs, stamp_of
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.paths import RunPaths
from module_time import replace_time

NEVER = float("inf")


def stamped(second: float, text: str) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(1_700_000_000 + second))}+0000 INFO {text}"


def put(paths: RunPaths, worker: str, part: int, *lines: str) -> None:
    storage.write(paths.log("train", worker, part), ("\n".join(lines) + "\n").encode())


def test_lines_of_different_workers_are_ordered_by_time_stamp() -> None:
    merger = Merger()
    merger.add("a", [stamped(1, "a1"), stamped(4, "a2")], 0.0)
    merger.add("b", [stamped(2, "b1"), "  a line of a traceback", stamped(5, "b2")], 0.0)
    output = [text.split(" INFO ")[-1] for _, text in merger.ready(NEVER)]
    assert output == ["a1", "b1", "  a line of a traceback", "a2", "b2"]


def test_a_line_waits_for_earlier_ones_of_slower_workers() -> None:
    merger = Merger()
    merger.add("a", [stamped(10, "later")], 100.0)
    assert list(merger.ready(100.0 - HOLD_S)) == []
    merger.add("b", [stamped(9, "earlier")], 101.5)
    assert [text.split()[-1] for _, text in merger.ready(101.5)] == ["earlier", "later"]


@pytest.mark.parametrize("seed", range(20))
def test_lines_of_a_worker_keep_their_order(seed: int) -> None:
    chance = random.Random(seed)
    workers = {f"train/worker-{index}": chance.uniform(-3, 3) for index in range(3)}
    counts = {name: itertools.count() for name in workers}
    merger, output = Merger(), []
    for now in range(30):
        for name, skew in workers.items():
            if chance.random() < 0.7:
                jitter = chance.choice([0.0, 0.0, -5.0])  # a clock that is set back
                lines = [stamped(now + skew + jitter, f"{next(counts[name])}") for _ in range(chance.randrange(3))]
                merger.add(name, lines, float(now))
        output += merger.ready(now - HOLD_S)
    output += merger.ready(NEVER)
    for name in workers:
        numbers = [int(text.rsplit(" ", 1)[1]) for source, text in output if source == name]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) == next(counts[name])


def test_a_part_that_is_listed_late_is_not_overtaken(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/run")
    parts = Parts(paths)
    put(paths, "worker-0", 0, "first")
    assert [lines for _, lines in parts.poll()] == [["first"]]
    put(paths, "worker-0", 2, "third")
    assert list(parts.poll()) == []
    put(paths, "worker-0", 1, "second")
    assert [lines for _, lines in parts.poll()] == [["second"], ["third"]]
    put(paths, "worker-0", 9, "after a gap that never fills")
    assert list(parts.poll()) == list(parts.poll()) == list(parts.poll()) == []
    assert [lines for _, lines in parts.poll()] == [["after a gap that never fills"]]


def test_follow_ends_with_the_launcher_and_prints_every_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_POLL_S", 0.05)
    paths = RunPaths(f"file://{tmp_path}/run")
    put(paths, "worker-0", 0, stamped(1, "before"))
    held, go = threading.Event(), threading.Event()

    def launcher() -> None:
        with Attempt(paths):
            held.set()
            go.wait(10)
            put(paths, "worker-1", 0, stamped(3, "of a peer"))
            put(paths, "worker-0", 1, stamped(2, "restarted"))

    thread = threading.Thread(target=launcher)
    thread.start()
    held.wait(10)
    threading.Timer(0.2, go.set).start()
    assert show_logs(paths, follow=True) == 0
    thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["train/worker-0", "train/worker-0", "train/worker-1"]
    assert [line.rsplit(" INFO ", 1)[1] for line in lines] == ["before", "restarted", "of a peer"]


def test_ctrl_c_ends_follow_without_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    replace_time(monkeypatch, logs, sleep=interrupted)
    with Attempt(RunPaths(f"file://{tmp_path}/run")):
        assert show_logs(RunPaths(f"file://{tmp_path}/run"), follow=True) == 130
    assert capsys.readouterr().err == ""


def test_stamps_have_offsets() -> None:
    assert stamp_of("2026-11-23T13:19:24+0000 INFO x") == stamp_of("2026-11-23T14:19:24+0100 INFO x")
    assert stamp_of("Traceback (most recent call last):") is None
    assert stamp_of("") is None


@pytest.fixture
def stored(tmp_path: Path) -> RunPaths:
    """A run with the lines of three workers."""
    paths = RunPaths(f"file://{tmp_path}/run")
    with Attempt(paths):
        pass
    storage.write(paths.log("prepare", "driver", 0), stamped(1, "bars").encode())
    put(paths, "worker-0", 0, stamped(2, "first"), "a traceback", stamped(4, "third"))
    put(paths, "worker-1", 0, stamped(3, "second"))
    return paths


@pytest.mark.parametrize(
    ("flags", "ends"),
    [
        (["--tail=2"], ["second", "third"]),
        (["--step=clean"], ["bars"]),
        (["--step=evaluate", "--worker=worker-1"], ["second"]),
        (["--worker=worker-0", "--tail=1"], ["third"]),
        (["--follow", "--tail=1"], ["third"]),
    ],
)
def test_lines_are_selected(
    flags: list[str], ends: list[str], stored: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", stored.uri, *flags]) == 0
    assert [line.rsplit(" ", 1)[1] for line in capsys.readouterr().out.splitlines()] == ends


@pytest.mark.parametrize(
    ("flag", "output"),
    [("--step=clen", "there is no step 'clen'"), ("--worker=worker-7", "try: --worker=driver or --worker=worker-0"),
     ("--tail=0", "--tail needs a whole number"), ("--tail", "--tail needs a whole number")],
)  # fmt: skip
def test_a_selection_of_nothing_is_an_error(
    flag: str, output: str, stored: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", stored.uri, flag]) == 2
    assert output in capsys.readouterr().err


def test_the_logs_as_json(stored: RunPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", stored.uri, "--json", "--worker=worker-0"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [line["text"] for line in document["lines"]] == ["first", "a traceback", "third"]
    assert document["lines"][0] == {
        "time": "2023-11-14T22:13:22+00:00", "job": "train", "worker": "worker-0", "level": "INFO", "text": "first",
    }  # fmt: skip
    assert document["lines"][1]["time"] is None
    assert main(["logs", stored.uri, "--json", "--follow"]) == 2
