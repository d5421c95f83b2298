"""The list of runs: the last run is found with few requests, and other files in the index are ignored."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.cli.find import find_run, is_finished, is_trained
from cloudlstm.config import parse
from cloudlstm.errors import UsageError
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.index import forget, mark, newest_first
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths, index
from cloudlstm.storage import registry, verbs

CONFIG = parse({"market": {"source": "synthetic"}}).model_dump(mode="json")


def marked(root: str, run_id: str, submitted: float | None, written: float | None = None) -> None:
    """A marker that says `submitted`, if it is one of this release, in a file of the time `written`."""
    document = {"run": run_id} | ({} if submitted is None else {"submitted": submitted})
    storage.write_json(index(root, run_id), document)
    when = submitted if written is None else written
    assert when is not None
    os.utime(index(root, run_id).removeprefix("file://"), (when, when))


def made(root: str, run_id: str, *, trained: bool = False) -> RunPaths:
    """A run folder as a submit leaves it."""
    paths = RunPaths.of(root, run_id)
    with Attempt(paths):
        storage.write_json(paths.config, CONFIG)
    if trained:
        Manifest("train", "0123456789abcdef", (), 1.0).save(paths)
        storage.write_json(paths.report("report.json"), {"models": [], "data": {}})
    return paths


@pytest.fixture
def root(tmp_path: Path) -> str:
    return f"file://{tmp_path}"


class Counting:
    """Storage that counts its requests, and how many are under way at once."""

    def __init__(self, behind: Any) -> None:
        self._behind, self._guard = behind, threading.Lock()
        self.requests: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            with self._guard:
                self.requests[name] += 1
            return getattr(self._behind, name)(*arguments, **options)

        return counted


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    backend = Counting(registry.storage_for("file:///"))
    monkeypatch.setattr(verbs, "storage_for", lambda _: backend)
    return backend


@pytest.mark.parametrize("words", [["status"], ["logs"], ["report"], ["cancel"], ["predict", "--dry-run"]], ids=str)
def test_requests_do_not_grow_with_the_number_of_runs(root: str, words: list[str], counting: Counting) -> None:
    """The number of requests is the same for 30 and 300 runs; the newest two are a finished and an unfinished run."""
    spent = []
    for few, many in ((0, 30), (30, 300)):
        for number in range(few, many):
            marked(root, f"run-{number:03d}", 1000.0 + number)
        for run_id, trained in (("zebra", True), ("aardvark", False)):
            made(root, run_id, trained=trained)
        marked(root, "zebra", 5000.0)
        marked(root, "aardvark", 5001.0)
        counting.requests.clear()
        assert main([*words, f"--root={root}"]) == 0
        spent.append(counting.requests.total())
    assert spent[0] == spent[1] < 60, counting.requests


def test_the_last_run_is_the_one_that_was_submitted_last(root: str) -> None:
    for number in range(40):
        marked(root, f"run-{number:02d}", 1000.0 + (number * 7) % 40)
    expected = sorted(range(40), key=lambda number: -((number * 7) % 40))
    assert list(newest_first(root)) == [f"run-{number:02d}" for number in expected]


def test_only_the_markers_that_may_be_the_newest_are_read(root: str, counting: Counting) -> None:
    for number in range(200):
        marked(root, f"run-{number:03d}", 1000.0 + 10 * number)
    counting.requests.clear()
    assert next(newest_first(root)) == "run-199"
    assert counting.requests["list"] == 1
    assert counting.requests["read"] <= 10


def test_a_root_that_was_copied_keeps_its_order(root: str) -> None:
    """All markers were written at about the same time there, the oldest last."""
    for number in range(40):
        marked(root, f"run-{number:02d}", submitted=1000.0 + number, written=9000.0 - number / 10)
    assert next(newest_first(root)) == "run-39"


def test_markers_of_an_older_release_count_from_when_they_were_written(root: str) -> None:
    for number in range(20):
        marked(root, f"old-{number:02d}", submitted=None, written=1000.0 + number)
    marked(root, "new", submitted=1010.5)
    found = list(newest_first(root))
    assert found[:2] == ["old-19", "old-18"]
    assert found.index("new") == 9


def test_clocks_that_differ_do_not_hide_a_run(root: str) -> None:
    """The store's clock is an hour ahead of those who submit."""
    for number in range(30):
        marked(root, f"run-{number:02d}", submitted=1000.0 + number, written=4600.0 + number)
    assert next(newest_first(root)) == "run-29"


@pytest.mark.parametrize("content", [b"my notes\n", b"{}", b'{"run": "another"}', b"[1]"])
def test_a_file_of_others_is_not_a_marker_and_is_not_overwritten(root: str, content: bytes) -> None:
    uri = index(root, "core6-1a2b")
    storage.write(uri, content)
    with pytest.raises(UsageError, match="is not a marker"):
        mark(root, "core6-1a2b")
    forget(root, "core6-1a2b")
    assert storage.read(uri) == content


def test_each_submit_writes_the_marker_again(root: str) -> None:
    for _ in range(2):
        before = time.time()
        mark(root, "core6-1a2b")
        found = storage.read_json(index(root, "core6-1a2b"))
        assert (found["run"], before <= found["submitted"] <= time.time()) == ("core6-1a2b", True)


FOREIGN = [
    ".DS_Store",
    "Thumbs.db",
    "notes",
    "core6-1a2b (conflicted copy)",
    "9lives",
    "Run",
    "deep/er",
    "a_b",
    "index",
]


@pytest.fixture
def littered(root: str) -> str:
    """A root with one run whose index is also somebody's own folder."""
    for name in FOREIGN:
        storage.write(f"{root}/index/{name}", b"\x00\x01 not ours")
    storage.write_json(f"{root}/index/list", [1, 2])
    storage.write_json(f"{root}/index/other", {"run": "not-other"})
    made(root, "core6-1a2b", trained=True)
    marked(root, "core6-1a2b", 1000.0)
    return root


@pytest.mark.parametrize(
    "words",
    [["status"], ["logs"], ["report"], ["cancel"], ["runs"], ["predict", "--dry-run"],
     ["status", "1a2b"], ["runs", "1a2b"]],
    ids=str,
)  # fmt: skip
def test_every_verb_ignores_other_files_in_the_index(
    littered: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, f"--root={littered}"]) == 0
    output = capsys.readouterr().out
    for name in (*FOREIGN, "list"):
        assert f"{name} " not in output
    if words[0] in ("status", "runs"):
        assert "core6-1a2b" in output


def test_a_run_whose_folder_is_gone_is_passed_over(root: str) -> None:
    made(root, "there")
    marked(root, "there", 1000.0)
    for number in range(20):
        marked(root, f"gone-{number}", 2000.0 + number)
    assert find_run(root, None).run_id == "there"


def test_the_last_run_of_a_kind_is_found_behind_many_others(root: str) -> None:
    made(root, "finished", trained=True)
    marked(root, "finished", 1000.0)
    for number in range(20):
        made(root, f"begun-{number:02d}")
        marked(root, f"begun-{number:02d}", 2000.0 + number)
    assert find_run(root, None).run_id == "begun-19"
    assert find_run(root, None, among=is_finished).run_id == "finished"


@pytest.mark.parametrize("damage", [b'{"retired": 1}', b"{", b"[]"])
def test_a_run_that_cannot_be_read_hides_no_other(root: str, damage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    for number, run_id in enumerate(("sound", "broken")):
        made(root, run_id, trained=True)
        marked(root, run_id, 1000.0 + number)
    storage.write(RunPaths.of(root, "broken").config, damage)
    assert find_run(root, None, among=is_trained).run_id == "sound"
    assert main(["runs", f"--root={root}"]) == 0
    assert "sound" in capsys.readouterr().out


def test_without_a_finished_run_report_names_what_is_missing(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    made(root, "begun")
    marked(root, "begun", 1000.0)
    assert main(["report", f"--root={root}"]) == 2
    assert "run begun has no report yet (try: cloudlstm status begun)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "output"),
    [([], "no trained run in"), (["--run=begun"], "run begun has not been trained"), (["--run=x"], "no run x in")],
)
def test_predict_needs_a_trained_run(
    root: str, words: list[str], output: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made(root, "begun")
    marked(root, "begun", 1000.0)
    before = sorted(tmp_path.rglob("*"))
    assert main(["predict", f"--root={root}", *words]) == 2
    assert output in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before, "nothing is made"


def test_weights_of_no_training_are_refused_before_anything_is_made(
    root: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    begun = made(root, "begun")
    before = sorted(tmp_path.rglob("*"))
    words = ["market.source=synthetic", f"train.weights={begun.uri}"]
    assert main(["submit", *words, f"--root={root}"]) == 2
    assert f"train.weights: no trained run at {begun.uri}" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
