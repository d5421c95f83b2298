"""`cloudlstm delete`: shows the size of a run or of a benchmark, asks, and deletes it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cloudlstm.benchmark import records
from cloudlstm.benchmark.paths import BenchmarkPaths
from cloudlstm.cli import terminal
from cloudlstm.errors import UsageError
from cloudlstm.runs import deletion, index
from cloudlstm.runs.paths import RunPaths
from cloudlstm.text.numbers import counted

_SHOWN = 10
"""Files of others that are listed at most."""


def delete_run(paths: RunPaths, *, yes: bool) -> int:
    """Deletes a run after it has shown its size. Returns exit status 1 if the user does not agree.

    Args:
        paths: The run.
        yes: Whether the user has agreed with --yes.
    """
    deletion.require_idle(paths)
    found = deletion.contents(paths)
    size = f"{counted(found.objects, 'object')}, {found.size_bytes / 2**20:,.1f} MiB"
    if not found.objects:
        size = "only its entry in the index"
    terminal.write(f"run {paths.run_id} in {paths.root.removeprefix('file://')}: {size}\n")
    if found.others:
        stay = "stays" if len(found.others) == 1 else "stay"
        terminal.write(f"{counted(len(found.others), 'other file')} in its folder {stay}\n")
    if not (yes or _agreed(f"run {paths.run_id}", paths.uri)):
        terminal.write("nothing was deleted\n")
        return 1
    left = deletion.delete(paths, lambda line: terminal.write(f"{line}\n"))
    terminal.write(f"deleted run {paths.run_id}\n")
    _show_left(left)
    return 0


def delete_benchmark(paths: BenchmarkPaths, *, yes: bool) -> int:
    """Deletes a benchmark with all its runs after it has shown their size; as `delete_run`."""
    runs = [paths.run(run_id) for run_id in index.run_ids(paths.cells)]
    for run in runs:
        deletion.require_idle(run)
    size = sum(deletion.contents(run).size_bytes for run in runs)
    terminal.write(f"benchmark {paths.name}: {counted(len(runs), 'run')}, {size / 2**20:,.1f} MiB\n")
    if not (yes or _agreed(f"benchmark {paths.name}", paths.uri)):
        terminal.write("nothing was deleted\n")
        return 1
    for run in runs:
        deletion.delete(run, lambda line: terminal.write(f"{line}\n"))
    left = records.remove(paths)
    terminal.write(f"deleted benchmark {paths.name}\n")
    _show_left(left)
    return 0


def _show_left(left: Sequence[str]) -> None:
    """Prints the first files of others that stay."""
    for uri in left[:_SHOWN]:
        terminal.write(f"left    {uri}\n")
    if len(left) > _SHOWN:
        terminal.write(f"        and {len(left) - _SHOWN:,} more\n")


def _agreed(what: str, uri: str) -> bool:
    """True if the user answers yes. Raises UsageError without a terminal."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(
            f"delete asks before it deletes {what}, and there is no terminal",
            hint=f"cloudlstm delete {uri} --yes",
        )
    terminal.write(f"delete {what}? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
