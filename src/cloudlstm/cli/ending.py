"""`cancel` and `down`: what ends work that is going on."""

from __future__ import annotations

import sys

from cloudlstm import attempts
from cloudlstm.layout import RunLayout
from cloudlstm.targets.cloud import CloudTarget, open_cloud
from cloudlstm.text.printable import printable


def cancel_run(layout: RunLayout, target: str | None, *, trust_endpoints: bool = False) -> int:
    """Asks the run's launcher to end its jobs; where it is gone and a target is named, ends them itself."""
    number = attempts.latest_attempt(layout)
    if number and attempts.is_alive(layout, number):
        attempts.cancel(layout, number)
        sys.stdout.write(
            f"asked attempt {number} of {layout.run_id} to end: training saves its state, what is done is kept; "
            "submit again to go on\n"
        )
        return 0
    if number and target and attempts.was_lost(layout, number):
        attempts.cancel(layout, number)  # so that no launcher goes on with it
        for line in open_cloud(target, trust_endpoints=trust_endpoints).end(layout.uri):
            sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.write(f"run {layout.run_id} is not being worked on" + ("\n" if target else ", nothing to cancel\n"))
    return 0


def bring_down(where: str, *, trust_endpoints: bool = False) -> int:
    """Ends all that is at work on a target, and tells what remains and what would remove it."""
    target = open_cloud(where, trust_endpoints=trust_endpoints)
    for line in target.end() or ["nothing was at work"]:
        sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.write("what remains, and may cost money:\n")
    for line in target.remains():
        sys.stdout.write(f"  {printable(line)}\n")
    sys.stdout.write(f"to remove it: {_destroy(where, target)}\n")
    return 0


def _destroy(where: str, target: CloudTarget) -> str:
    if target.config.endpoints:
        return "make cloud-down"
    folder = f"infra/terraform/{target.config.cloud}" if "://" in where or where.endswith(".json") else where
    return f"terraform -chdir={folder} destroy"
