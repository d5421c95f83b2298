"""docs/reliability.md names tests that exist, with their ids, and its numbers match the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
SAME = "reliability/test_killed_launchers.py"
"""What "the same" means at the begin of a row."""


def rows_of_the_matrix() -> list[str]:
    """The rows of every table whose last column is "test"; the other tables have measurements."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE):
        header, _, *rows = table.splitlines()
        found += rows if header.endswith("| test |") else []
    return found


def named_tests() -> Iterator[tuple[str, str, str, bool]]:
    """(row, "file::test", id or "", whether marked as one that may be skipped) of every test on the page."""
    for row in rows_of_the_matrix():
        last = row.rstrip("| ").rsplit(" | ", 1)[1]
        file, test = SAME if last.startswith("the same") else "", ""
        for found in re.finditer(r"`([^`]+)`(†?)|(the same)", last):
            if found[3]:
                continue
            name, marked = found[1], bool(found[2])
            name, _, bracket = name.partition("[")
            path, _, rest = name.rpartition("::")
            file, test = path or file, rest or test
            yield row, f"{file}::{test}" if test else "", bracket.rstrip("]"), marked


def test_every_row_names_a_test() -> None:
    for row in rows_of_the_matrix():
        last = row.rstrip("| ").rsplit(" | ", 1)[1]
        assert "::test_" in last or last.startswith("the same"), row


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """Every test with its id, as pytest collects it, of the files that the page names."""
    files = sorted({name.split("::")[0] for _, name, _, _ in named_tests() if name.split("::")[0]})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run([*command, *files], cwd=TESTS, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.removeprefix("tests/") for line in done.stdout.splitlines() if "::" in line}


def test_every_named_test_exists_with_its_id(collected: set[str]) -> None:
    named = list(named_tests())
    assert len(named) > 60
    for row, name, identity, _ in named:
        if not name:  # "the same, `[driver]`": an id of the tests of the row before
            assert any(each.startswith(f"{SAME}::") and identity in each.rpartition("[")[2] for each in collected), row
        elif identity:
            assert any(each.startswith(f"{name}[") and identity in each.rpartition("[")[2] for each in collected), row
        else:
            assert any(each == name or each.startswith(f"{name}[") for each in collected), (name, row)


def test_tests_that_may_be_skipped_are_marked() -> None:
    for row, name, _, marked in named_tests():
        if name:
            file, test = name.split("::")
            assert may_be_skipped(TESTS / file, test) == marked, f"{name} in {row}"


def may_be_skipped(path: Path, test: str) -> bool:
    """True if a test or one of its fixtures may be skipped because the machine lacks something."""
    functions: dict[str, ast.FunctionDef] = {}
    for each in [*(folder / "conftest.py" for folder in reversed(path.parents)), path]:
        if each.exists() and TESTS in [each.parent, *each.parents]:
            tree = ast.parse(each.read_text())
            functions |= {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    waiting, seen = [test], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        node = functions[name]
        if re.search(r"\b(without\(|pytest\.skip\()", ast.unparse(node)):
            return True
        waiting += [argument.arg for argument in node.args.args]
    return False


def test_its_numbers_match_the_code() -> None:
    from cloudlstm.config.models import TrainConfig
    from cloudlstm.pipeline import spark_errors
    from cloudlstm.runs import attempts
    from cloudlstm.storage import buckets, local
    from cloudlstm.targets.local import job as local_job
    from cloudlstm.training import cluster, waiting

    text = " ".join(PAGE.read_text().split())
    train = TrainConfig()
    hour = "others after an hour" if local._ABANDONED_AFTER_S == 3600 else "an hour is wrong"
    grace = f"have {local_job._ENDING_S:.0f} s to end ({local_job._STOPPED_GRACE_S:.0f} s beside a stopped one)"
    for claim in (
        f"not changed for {attempts.HEARTBEAT_DEAD_AFTER_S:.0f} s of the watcher's clock",
        f"its jobs every {attempts.HEARTBEAT_EVERY_S:.0f} s",
        f"a request is repeated for {buckets.RETRY_LIMIT_S:.0f} s",
        f"a Spark task is tried {spark_errors.TASK_TRIES} times",
        f"stays stopped for {local_job._STOPPED_S:.0f} s is lost",
        grace,
        f"`train.collective_timeout_s` ({train.collective_timeout_s:.0f} s) at least",
        f"stages or compiles after {cluster.BARRIER_S:,.0f} s",
        f"limit is {waiting.START_S:.0f} s",
        f"`train.max_restarts` ({train.max_restarts}) in a row",
        hour,
    ):
        assert claim in text


def test_it_names_the_objects_that_differ_after_a_kill() -> None:
    from reliability.test_killed_submit import CLOCK

    promise = PAGE.read_text().split("- **Whole")[0]
    output = {"model": "model.keras", "history": "history.jsonl", "events": "TensorBoard events"}
    assert set(CLOCK) == set(output)
    assert all(words in promise for words in output.values())
