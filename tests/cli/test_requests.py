"""Reading commands send as many requests to a root with 1,000 runs as to one with 60."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import wraps
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.cli import main, runs
from cloudlstm.config import parse
from cloudlstm.runs.liveness import Owner
from cloudlstm.runs.paths import RunPaths, index
from cloudlstm.storage import ObjectInfo, memory

ROOT = "memory://requests/runs"
SETTINGS = parse({"market": {"source": "synthetic"}}).model_dump(mode="json")


def add_runs(numbers: range) -> None:
    """Runs that were submitted a minute apart and stopped before their first step; a marker is as old as its run."""
    for number in numbers:
        paths, submitted = RunPaths.of(ROOT, f"run-{number:04d}"), time.time() - 3600 * 24 + number * 60
        storage.write_json(paths.config, SETTINGS)
        storage.write_json(paths.attempt(1), asdict(replace(Owner.me(), started=submitted)))
        storage.write_json(paths.heartbeat(1), {"time": submitted, "ended": True})
        uri = index(ROOT, paths.run_id)
        storage.write_json(uri, {"run": paths.run_id, "submitted": submitted})
        content, write, _ = memory._objects[uri]
        memory._objects[uri] = (content, write, submitted)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The requests so far, by kind; a listing takes one for each 1,000 objects."""
    requests: Counter[str] = Counter()

    def counting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def counts(*words: Any, **named: Any) -> Any:
            requests[name] += 1
            return method(*words, **named)

        return counts

    for name in ("read", "read_range", "write", "list", "stat", "delete"):
        method = listed if name == "list" else getattr(memory.MemoryStorage, name)
        monkeypatch.setattr(memory.MemoryStorage, name, counting(name, method))
    return requests


def listed(_storage: memory.MemoryStorage, prefix: str, within: str = "") -> list[ObjectInfo]:
    """As a bucket answers: without a request for each object."""
    found = sorted((uri, *content) for uri, content in memory._objects.items() if uri.startswith(prefix))
    return [ObjectInfo(uri, len(data), str(write), modified) for uri, data, write, modified in found]


COMMANDS = (
    ["status", f"--root={ROOT}"],
    ["status", "run-0059", f"--root={ROOT}"],
    ["runs", f"--root={ROOT}"],
    ["runs", f"--root={ROOT}", "--limit=3"],
    ["runs", f"--root={ROOT}", "--limit=3", "--json"],
)


def test_the_number_of_requests_does_not_grow_with_the_runs(
    counted: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def requests_of(words: list[str]) -> dict[str, int]:
        counted.clear()
        assert main(words) == 0
        return dict(counted)

    add_runs(range(60))
    few = [requests_of(words) for words in COMMANDS]
    add_runs(range(60, 1000))
    capsys.readouterr()
    assert [requests_of(words) for words in COMMANDS] == few
    output = capsys.readouterr().out
    assert f"not listed: {1000 - runs._MOST_RUNS} earlier runs" in output
    assert "run-0999" in output
    assert max(sum(requests.values()) for requests in few[:2]) <= 40, "of one run"
