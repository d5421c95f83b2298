"""`cancel` and `down`: stop work that is going on."""

from __future__ import annotations

from cloudlstm.cli import terminal
from cloudlstm.cli.json_output import Down, print_document
from cloudlstm.cli.resources import existing, show
from cloudlstm.runs import attempts
from cloudlstm.runs.liveness import Verdict
from cloudlstm.runs.paths import RunPaths
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.targets import launchers
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


def cancel_stream(paths: StreamPaths, target: str | None, *, trust_endpoints: bool = False) -> int:
    """Asks the process that works on a stream to end, and ends its job on a target if one is given."""
    folder = RunPaths(paths.uri)
    number = attempts.latest_attempt(folder)
    at_work = number and attempts.watch(folder, number).look() in (Verdict.ALIVE, Verdict.UNDECIDED)
    if at_work:
        attempts.cancel(folder, number)
        terminal.write(f"asked attempt {number} of stream {paths.name} to stop: it ends within seconds\n")
    ended = open_cloud(target, trust_endpoints=trust_endpoints).end(paths.uri) if target else []
    terminal.write("".join(f"{line}\n" for line in ended))
    if not at_work and not ended:
        terminal.write(f"nothing works on stream {paths.name}\n")
    return 0


def _host(paths: RunPaths, number: int) -> str:
    owner = attempts.read_owner(paths, number)
    return owner.host if owner else "another machine"


def bring_down(where: str, *, trust_endpoints: bool = False, as_json: bool = False) -> int:
    """Stops all work on a target, and prints what remains, what of it costs money, and the commands that remove it."""
    target = open_cloud(where, trust_endpoints=trust_endpoints)
    ended = [*launchers.stop(target.config), *target.end()]
    if not as_json:
        terminal.write("".join(f"{line}\n" for line in ended or ["no work was running"]))
    found = existing(target)
    if target.config.schedule:
        terminal.write_error("note: the schedule goes on: to end it, set `schedule` to null and terraform apply\n")
    remove, remove_bucket = _commands(where, target)
    if as_json:
        lists = {"ended": ended, "remaining": found.costs, "free": found.free, "bucket": found.kept}
        print_document(Down.model_validate(lists | {"remove": remove, "remove_bucket": remove_bucket}))
        return 0
    show(found)
    if remove_bucket == remove:
        terminal.write(f"to remove all of it: {remove}\n")
    else:
        terminal.write(f"to remove all but the bucket of runs: {remove}\n")
        terminal.write(f"to remove the bucket with all its runs, after that: {remove_bucket}\n")
    return 0


def _commands(where: str, target: CloudTarget) -> tuple[str, str]:
    """Returns the command that removes all but the bucket of runs, and those that remove the bucket after it."""
    if target.config.endpoints:
        return "make cloud-down", "make cloud-down"
    folder = f"infra/terraform/{target.config.cloud}" if "://" in where or where.endswith(".json") else where
    storage = f"terraform -chdir={folder.rstrip('/')}/storage"
    return f"terraform -chdir={folder} destroy", f"{storage} apply -var force_destroy=true, then {storage} destroy"
