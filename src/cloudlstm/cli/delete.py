"""`cloudlstm delete`: shows the size of a run, asks, and deletes it."""

from __future__ import annotations

import sys

from cloudlstm.cli import terminal
from cloudlstm.errors import UsageError
from cloudlstm.runs import deletion
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
    """True if the user answers yes. Raises UsageError without a terminal."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(
            f"delete asks before it deletes run {paths.run_id}, and there is no terminal",
            hint=f"cloudlstm delete {paths.uri} --yes",
        )
    terminal.write(f"delete run {paths.run_id}? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
