"""`cloudlstm delete`: shows what a run takes up, asks, and removes it."""

from __future__ import annotations

import sys

from cloudlstm.cli import terminal
from cloudlstm.errors import UsageError
from cloudlstm.runs import deletion
from cloudlstm.runs.paths import RunLayout

_SHOWN = 10
"""Files that are not the run's and are named."""


def delete_run(layout: RunLayout, *, yes: bool) -> int:
    """Removes a run after a look at it; the exit status is 1 when the user does not want that after all.

    Args:
        layout: The run.
        yes: Whether the user has agreed already.
    """
    deletion.require_idle(layout)
    found = deletion.contents(layout)
    size = f"{found.objects:,} objects, {found.size_bytes / 2**20:,.1f} MiB"
    if not found.objects:
        size = "nothing but its entry in the index"
    terminal.write(f"run {layout.run_id} in {layout.root.removeprefix('file://')}: {size}\n")
    if found.others:
        terminal.write(f"{len(found.others):,} other files lie in its folder and stay there\n")
    if not (yes or _agreed(layout)):
        terminal.write("nothing was deleted\n")
        return 1
    left = deletion.delete(layout, lambda line: terminal.write(f"{line}\n"))
    terminal.write(f"deleted run {layout.run_id}\n")
    for uri in left[:_SHOWN]:
        terminal.write(f"left    {uri}\n")
    if len(left) > _SHOWN:
        terminal.write(f"        and {len(left) - _SHOWN:,} more\n")
    return 0


def _agreed(layout: RunLayout) -> bool:
    """Whether the user says yes; UsageError where nobody can be asked."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(
            f"delete asks before it removes run {layout.run_id}, and there is no terminal to ask on",
            hint=f"cloudlstm delete {layout.uri} --yes",
        )
    terminal.write(f"delete run {layout.run_id}? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
