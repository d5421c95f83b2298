"""The other commands. Each checks what was typed and returns a Deferred; the work is done later, by `main`."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from cloudlstm import __version__
from cloudlstm.cli import terminal
from cloudlstm.cli.flags import command_line, parse_number, parse_switch, parse_text
from cloudlstm.cli.submit import Deferred, predict, submit
from cloudlstm.errors import UsageError

if TYPE_CHECKING:
    from cloudlstm.runs.paths import RunPaths


def status(
    run: str | None = None,
    *,
    root: str | None = None,
    target: str | None = None,
    watch: bool = False,
    json: bool = False,
) -> Deferred:
    """Shows the state of a run, step by step.

    Args:
        run: The id or URI of the run; by default the last one.
        root: The folder of all runs.
        target: A target whose bucket holds the runs, unless root is given.
        watch: Show it anew every two seconds until the run has ended.
        json: Print a JSON document.
    """
    from cloudlstm.cli.status_view import show_status

    again, as_json = parse_switch("watch", watch), parse_switch("json", json)
    return _on_run(run, root, target, lambda paths: show_status(paths, watch=again, as_json=as_json))


def logs(
    run: str | None = None,
    *,
    root: str | None = None,
    target: str | None = None,
    follow: bool = False,
    tail: int | None = None,
    step: str | None = None,
    worker: str | None = None,
    json: bool = False,
) -> Deferred:
    """Prints the log lines of all jobs and workers of a run.

    Args:
        run: The id or URI of the run; by default the last one.
        root: The folder of all runs.
        target: A target whose bucket holds the runs, unless root is given.
        follow: Continue until the launcher of the run has ended.
        tail: Print this many last lines only.
        step: Print the lines of the job that runs this step only.
        worker: Print the lines of this worker only, such as driver or worker-0.
        json: Print a JSON document.
    """
    from cloudlstm.cli.logs import Selection, job_of, show_logs

    on, as_json = parse_switch("follow", follow), parse_switch("json", json)
    job = job_of(name) if (name := parse_text("step", step)) else None
    selection = Selection(job, parse_text("worker", worker), parse_number("tail", tail))
    return _on_run(run, root, target, lambda paths: show_logs(paths, follow=on, selection=selection, as_json=as_json))


def cancel(
    run: str | None = None,
    *,
    root: str | None = None,
    target: str | None = None,
    trust_endpoints: bool = False,
) -> Deferred:
    """Stops a run that is being worked on; a later submit continues it.

    Args:
        run: The id or URI of the run; by default the last one.
        root: The folder of all runs.
        target: The target of its jobs, to stop them there if their launcher is gone.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
    """
    from cloudlstm.cli.cancel import cancel_run

    where, trusted = parse_text("target", target), parse_switch("trust-endpoints", trust_endpoints)
    return _on_run(run, root, target, lambda paths: cancel_run(paths, where, trust_endpoints=trusted))


def delete(
    run: str | None = None, *, yes: bool = False, root: str | None = None, target: str | None = None
) -> Deferred:
    """Deletes a run and its entry in the index, after a question; other files in its folder stay.

    Args:
        run: The id or URI of the run.
        yes: Do not ask; the id of the run must then be complete.
        root: The folder of all runs.
        target: A target whose bucket holds the runs, unless root is given.
    """
    from cloudlstm.cli import find

    name, agreed = parse_text("run", run), parse_switch("yes", yes)
    if not name:
        raise UsageError("delete needs the id of a run", hint="cloudlstm runs")
    base = find.chosen_root(parse_text("root", root), parse_text("target", target))

    def work() -> int:
        from cloudlstm.cli.delete import delete_run

        return delete_run(find.find_deletable(base, name, whole=agreed), yes=agreed)

    return Deferred(work)


def down(*, target: str | None = None, trust_endpoints: bool = False, json: bool = False) -> Deferred:
    """Stops all work on a target, and lists its resources that remain and the command that removes them.

    Args:
        target: A Terraform directory, a file of `terraform output -json`, or the URI of a bucket.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
        json: Print a JSON document.
    """
    from cloudlstm.cli.cancel import bring_down
    from cloudlstm.targets import TARGETS

    where = parse_text("target", target)
    if not where or where in TARGETS:
        raise UsageError("down needs a cloud target", hint="cloudlstm down --target=infra/terraform/aws")
    trusted, as_json = parse_switch("trust-endpoints", trust_endpoints), parse_switch("json", json)
    return Deferred(lambda: bring_down(where, trust_endpoints=trusted, as_json=as_json))


def report(
    run: str | None = None,
    *,
    root: str | None = None,
    target: str | None = None,
    open: bool = False,  # noqa: A002 - the name of the flag
    to: str | None = None,
    json: bool = False,
) -> Deferred:
    """Prints the results of a finished run and the place of its report.

    Args:
        run: The id or URI of the run; by default the last finished one.
        root: The folder of all runs.
        target: A target whose bucket holds the runs, unless root is given.
        open: Open the report in the browser.
        to: Copy report.html, report.json and the tables of forecasts into this folder.
        json: Print report.json.
    """
    from cloudlstm.cli import copies, find
    from cloudlstm.cli.result import show_json, show_results

    base, named = find.chosen_root(parse_text("root", root), parse_text("target", target)), parse_text("run", run)
    to_open, folder, as_json = parse_switch("open", open), parse_text("to", to), parse_switch("json", json)
    if as_json and (to_open or folder):
        raise UsageError("report --json prints, --open and --to do not", hint="one of them at a time")

    def work() -> int:
        paths = find.find_run(base, named, among=find.is_finished)
        if as_json:
            return show_json(paths)
        if to_open or folder:
            return copies.show_copies(paths, folder=folder, to_open=to_open)
        return show_results(paths, root=base)

    return Deferred(work)


def runs(
    *names: str,
    root: str | None = None,
    target: str | None = None,
    failed: bool = False,
    limit: int | None = None,
    json: bool = False,
) -> Deferred:
    """Lists all runs, or compares some of them side by side.

    A comparison shows the settings that differ, and the results. Part of an id is enough if only one run has it.

    Args:
        names: The runs to compare; without names, all runs are listed, the newest first.
        root: The folder of all runs.
        target: A target whose bucket holds the runs, unless root is given.
        failed: List failed runs only.
        limit: List this many runs at most.
        json: Print a JSON document.
    """
    from cloudlstm.cli import comparison, find, runs

    base = find.root_uri(find.chosen_root(parse_text("root", root), parse_text("target", target)))
    only, most, as_json = parse_switch("failed", failed), parse_number("limit", limit), parse_switch("json", json)
    if names and (only or most is not None):
        raise UsageError("--failed and --limit are for the list of all runs", hint="leave them out, or the names")
    if names:
        return Deferred(lambda: comparison.show_comparison(base, [str(name) for name in names], as_json=as_json))
    again = command_line("runs", (), root=root, target=target)
    return Deferred(lambda: runs.show_runs(base, again, failed=only, limit=most, as_json=as_json))


def doctor(
    *overrides: str,
    config: str | None = None,
    root: str | None = None,
    target: str | None = None,
    trust_endpoints: bool = False,
    json: bool = False,
) -> Deferred:
    """Checks Java, Python, packages, storage rights and Yahoo, and names the fix of each fault.

    Args:
        overrides: Settings of a planned run, such as market.source=files.
        config: The TOML file of a planned run, or its storage URI.
        root: The folder of all runs; checked by writing, reading and deleting one small object.
        target: A cloud to check instead of this machine: rights, cluster, trainers, quota, and the bundle of code.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
        json: Print a JSON document.
    """
    from cloudlstm.cli import find, plans
    from cloudlstm.cli.doctor import examine, examine_target
    from cloudlstm.targets import TARGETS

    where, as_json = parse_text("target", target), parse_switch("json", json)
    if where and where not in TARGETS:
        from cloudlstm.config import load

        words = [str(word) for word in overrides]
        settings = load(parse_text("config", config), words) if config or words else None
        trusted = parse_switch("trust-endpoints", trust_endpoints)
        return Deferred(lambda: examine_target(where, settings, trust_endpoints=trusted, as_json=as_json))

    base = find.root_uri(parse_text("root", root))
    yahoo = not (config or overrides) or plans.source_name(parse_text("config", config), overrides) == "yahoo"
    return Deferred(lambda: examine(base, yahoo=yahoo, as_json=as_json))


def completion(shell: str, /) -> Deferred:
    """Prints the script that completes commands, flags, settings and runs in a shell.

    In ~/.bashrc or ~/.zshrc: eval "$(cloudlstm completion bash)", with the name of the shell. For fish:
    cloudlstm completion fish > ~/.config/fish/completions/cloudlstm.fish

    Args:
        shell: bash, zsh or fish.
    """
    from cloudlstm.cli.completion import SHELLS, script

    name = parse_text("shell", shell)
    if name not in SHELLS:
        raise UsageError(f"there is no completion for {name}", hint="cloudlstm completion bash, zsh or fish")

    def work() -> int:
        terminal.write(script(name, COMMANDS))
        return 0

    return Deferred(work)


def version() -> Deferred:
    """Prints the version."""

    def work() -> int:
        terminal.write(f"cloudlstm {__version__}\n")
        return 0

    return Deferred(work)


COMMANDS = {
    each.__name__: each
    for each in (submit, status, logs, cancel, report, runs, predict, delete, doctor, down, completion, version)
}

SWITCHES = frozenset(
    f"--{flag.name.replace('_', '-')}"
    for command in COMMANDS.values()
    for flag in inspect.signature(command).parameters.values()
    if flag.default is False
)
"""The flags without a value, of all commands."""


def _on_run(
    run: str | None,
    root: str | None,
    target: str | None,
    view: "Callable[[RunPaths], int]",
) -> Deferred:
    """Work on an existing run, which is searched after Fire has accepted every word."""
    from cloudlstm.cli import find

    base, named = find.chosen_root(parse_text("root", root), parse_text("target", target)), parse_text("run", run)
    return Deferred(lambda: view(find.find_run(base, named)))
