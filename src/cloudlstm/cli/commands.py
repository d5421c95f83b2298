"""All commands. Each checks what was typed and returns a Deferred; the work is done later, by `main`."""

import inspect

from cloudlstm import __version__
from cloudlstm.cli import terminal
from cloudlstm.cli.audit import audit
from cloudlstm.cli.benchmark import benchmark
from cloudlstm.cli.daily import daily
from cloudlstm.cli.flags import parse_switch, parse_text
from cloudlstm.cli.models import models, monitor, promote, rollback
from cloudlstm.cli.reading import logs, on_run, report, runs, status
from cloudlstm.cli.replay import replay
from cloudlstm.cli.schedule import schedule
from cloudlstm.cli.stream import stream
from cloudlstm.cli.submit import Deferred, predict, submit
from cloudlstm.errors import UsageError


def cancel(
    run: str | None = None,
    *,
    root: str | None = None,
    target: str | None = None,
    trust_endpoints: bool = False,
) -> Deferred:
    """Stops a run or a stream that is being worked on; the same command as before continues it.

    Args:
        run: The id or URI of the run, or streams/NAME; by default the last run.
        root: The folder of all runs.
        target: The target of its jobs, to stop them there if their launcher is gone.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
    """
    from cloudlstm.cli.cancel import cancel_run, cancel_stream

    where, trusted = parse_text("target", target), parse_switch("trust-endpoints", trust_endpoints)
    return on_run(
        run, root, target,
        lambda paths: cancel_run(paths, where, trust_endpoints=trusted),
        lambda paths: cancel_stream(paths, where, trust_endpoints=trusted),
    )  # fmt: skip


def delete(
    run: str | None = None, *, yes: bool = False, root: str | None = None, target: str | None = None
) -> Deferred:
    """Deletes a run or a benchmark and its entry in the index, after a question; other files in its folder stay.

    Args:
        run: The id or URI of the run or benchmark.
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
        from cloudlstm.cli.delete import delete_benchmark, delete_run

        if benchmark := find.find_benchmark(base, name):
            if agreed and name not in (benchmark.name, benchmark.uri):
                raise UsageError(f"no run {name} in {find.root_uri(base)}", hint=f"the complete id, {benchmark.name}")
            return delete_benchmark(benchmark, yes=agreed)
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


def doctor(
    *overrides: str,
    config: str | None = None,
    root: str | None = None,
    target: str | None = None,
    before_apply: bool = False,
    trust_endpoints: bool = False,
    json: bool = False,
) -> Deferred:
    """Checks Java, Python, packages, storage rights and Yahoo, and names the fix of each fault.

    Args:
        overrides: Settings of a planned run, such as market.source=files; with --before-apply also values of Terraform
            variables, such as trainer_gpu=none.
        config: The TOML file of a planned run, or its storage URI.
        root: The folder of all runs; checked by writing, reading and deleting one small object.
        target: A cloud to check instead of this machine: rights, cluster, trainers, quota, the bundle of code, and what
            exists and costs money.
        before_apply: The target is a Terraform directory that is not applied yet: check the account's quotas only.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
        json: Print a JSON document.
    """
    from cloudlstm.cli import find, plans
    from cloudlstm.cli.doctor import examine, examine_before_apply, examine_target
    from cloudlstm.targets import TARGETS

    where, as_json = parse_text("target", target), parse_switch("json", json)
    if parse_switch("before-apply", before_apply):
        if not where or where in TARGETS:
            raise UsageError(
                "doctor --before-apply needs a Terraform directory",
                hint="cloudlstm doctor --before-apply --target=infra/terraform/aws",
            )
        from cloudlstm.config import load

        folder, trusted = where, parse_switch("trust-endpoints", trust_endpoints)
        words = [str(word) for word in overrides]
        run = [word for word in words if "." in word.partition("=")[0]]
        variables = [word for word in words if word not in run]
        path = parse_text("config", config)
        workers = load(path, run).train.workers if path or run else None
        return Deferred(
            lambda: examine_before_apply(folder, variables, workers, trust_endpoints=trusted, as_json=as_json)
        )
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


_ON_RUNS = (submit, status, logs, cancel, report, runs, predict, benchmark, delete)
_ON_MODELS = (models, daily, monitor, promote, rollback, schedule)
_ON_STREAMS = (stream, replay)
_OTHERS = (audit, doctor, down, completion, version)
COMMANDS = {each.__name__: each for each in (*_ON_RUNS, *_ON_MODELS, *_ON_STREAMS, *_OTHERS)}

SWITCHES = frozenset(
    f"--{flag.name.replace('_', '-')}"
    for command in COMMANDS.values()
    for flag in inspect.signature(command).parameters.values()
    if flag.default is False
)
"""The flags without a value, of all commands."""
