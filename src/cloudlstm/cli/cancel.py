"""`cancel` and `down`: stop work that is going on."""

from __future__ import annotations

from cloudlstm.cli import terminal
from cloudlstm.cli.json_output import Down, print_document
from cloudlstm.runs import attempts
from cloudlstm.runs.liveness import Verdict
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.cloud import CloudTarget, open_cloud


def cancel_run(paths: RunPaths, target: str | None, *, trust_endpoints: bool = False) -> int:
    """Asks the launcher of a run to stop its jobs; stops them itself if it is gone and a target is given."""
    number = attempts.latest_attempt(paths)
    verdict = attempts.watch(paths, number).look() if number else Verdict.ENDED
    lost = verdict in (Verdict.DEAD, Verdict.UNDECIDED) and attempts.was_lost(paths, number)
    # An undecided launcher may be alive; then it reads this within seconds.
    if verdict in (Verdict.ALIVE, Verdict.UNDECIDED) or (lost and target):
        attempts.cancel(paths, number)  # so that no other launcher continues this attempt
    if verdict is Verdict.ALIVE or (verdict is Verdict.UNDECIDED and not target):
        condition = "" if verdict is Verdict.ALIVE else f", if its launcher on {_host(paths, number)} is still alive"
        terminal.write(
            f"asked attempt {number} of {paths.run_id} to stop{condition}: training saves its state, "
            "finished steps are kept; submit again to continue\n"
        )
        return 0
    if lost and target:
        for line in open_cloud(target, trust_endpoints=trust_endpoints).end(paths.uri):
            terminal.write(f"{line}\n")
    terminal.write(f"run {paths.run_id} is not being worked on" + ("\n" if target else ", nothing to cancel\n"))
    return 0


def _host(paths: RunPaths, number: int) -> str:
    owner = attempts.read_owner(paths, number)
    return owner.host if owner else "another machine"


def bring_down(where: str, *, trust_endpoints: bool = False, as_json: bool = False) -> int:
    """Stops all work on a target, and prints its resources that remain and the command that removes them."""
    target = open_cloud(where, trust_endpoints=trust_endpoints)
    ended = target.end()
    if not as_json:
        terminal.write("".join(f"{line}\n" for line in ended or ["no work was running"]))
    remaining, remove = target.list_resources(), _destroy(where, target)
    if as_json:
        print_document(Down(ended=tuple(ended), remaining=tuple(remaining), remove=remove))
        return 0
    terminal.write("resources that remain and may cost money:\n")
    for line in remaining:
        terminal.write(f"  {line}\n")
    terminal.write(f"to remove them: {remove}\n")
    return 0


def _destroy(where: str, target: CloudTarget) -> str:
    if target.config.endpoints:
        return "make cloud-down"
    folder = f"infra/terraform/{target.config.cloud}" if "://" in where or where.endswith(".json") else where
    return f"terraform -chdir={folder} destroy"
