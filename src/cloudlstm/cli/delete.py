"""`cloudlstm delete`: shows what a run takes up, asks, and removes it."""

from __future__ import annotations

import sys

from cloudlstm.cli import terminal
from cloudlstm.errors import UsageError
from cloudlstm.runs import deletion
from cloudlstm.runs.paths import RunPaths

_SHOWN = 10
"""Files that are not the run's and are named."""


def delete_run(paths: RunPaths, *, yes: bool) -> int:
    """Removes a run after a look at it; the exit status is 1 when the user does not want that after all.

    Args:
        paths: The run.
        yes: Whether the user has agreed already.
    """
    deletion.require_idle(paths)
    found = deletion.contents(paths)
    size = f"{found.objects:,} objects, {found.size_bytes / 2**20:,.1f} MiB"
    if not found.objects:
        size = "nothing but its entry in the index"
    terminal.write(f"run {paths.run_id} in {paths.root.removeprefix('file://')}: {size}\n")
    if found.others:
        terminal.write(f"{len(found.others):,} other files lie in its folder and stay there\n")
    if not (yes or _agreed(paths)):
        terminal.write("nothing was deleted\n")
        return 1
    left = deletion.delete(paths, lambda line: terminal.write(f"{line}\n"))
    terminal.write(f"deleted run {paths.run_id}\n")
    for uri in left[:_SHOWN]:
        terminal.write(f"left    {uri}\n")
    if len(left) > _SHOWN:
        terminal.write(f"        and {len(left) - _SHOWN:,} more\n")
    return 0


def _agreed(paths: RunPaths) -> bool:
    """Whether the user says yes; UsageError where nobody can be asked."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(
            f"delete asks before it removes run {paths.run_id}, and there is no terminal to ask on",
            hint=f"cloudlstm delete {paths.uri} --yes",
        )
    terminal.write(f"delete run {paths.run_id}? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
