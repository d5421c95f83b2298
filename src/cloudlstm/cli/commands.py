"""The verbs of the command. Each checks what was typed and returns a Deferred; nothing is done here."""

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from cloudlstm import __version__
from cloudlstm.cli import terminal
from cloudlstm.cli.flags import command, text, truth
from cloudlstm.errors import UsageError

if TYPE_CHECKING:
    from cloudlstm.runs.paths import RunPaths
    from cloudlstm.targets import Plan, Target


class Deferred:
    """Work for `main` to do. It has no public name, so that a stray word cannot select one through Fire."""

    __slots__ = ("_work",)

    def __init__(self, work: Callable[[], int]) -> None:
        self._work = work


def submit(
    *overrides: str,
    config: str | None = None,
    root: str | None = None,
    run: str | None = None,
    target: str | None = None,
    detach: bool = False,
    wait: bool = False,
    dry_run: bool = False,
    trust_endpoints: bool = False,
) -> Deferred:
    """Takes a universe from bars to a trained LSTM, forecasts and a report.

    Submitting the same configuration again goes on where an earlier submit stopped; what is done is skipped.

    Args:
        overrides: Settings by name, such as train.epochs=3 model.units=64.
        config: A TOML file, or its storage URI.
        root: Where runs lie: a folder, s3://bucket/prefix or gs://bucket/prefix; by default $CLOUDLSTM_ROOT, else
            the folder runs here.
        run: The run's id; by default the configuration's name and a hash of it.
        target: Where jobs run: a Terraform directory, a saved `terraform output -json`, or a bucket's URI; by
            default this machine.
        detach: Go on in the background.
        wait: Wait while another run has the target's trainers.
        dry_run: Print the requests as JSON and do nothing.
        trust_endpoints: Let the target's document name services on other machines, which get your credentials.
    """
    from cloudlstm.cli import plans
    from cloudlstm.targets import open_target

    trusted = truth("trust-endpoints", trust_endpoints)
    chosen = open_target(text("target", target), wait=truth("wait", wait), trust_endpoints=trusted)
    plan = plans.submit_plan(
        chosen,
        config=text("config", config),
        overrides=[str(word) for word in overrides],
        root=text("root", root),
        run=text("run", run),
    )
    flags = {"config": config, "root": root, "run": run, "target": target}
    again = command("submit", overrides, **flags, trust_endpoints=trusted)
    if truth("detach", detach) and not truth("dry-run", dry_run):
        from cloudlstm.cli.detach import detach as detached

        words = [*again[1:], *(["--wait"] if truth("wait", wait) else [])]
        watch = command("logs", (), run=plan.run, target=target)
        return Deferred(lambda: detached(words, plan.run, shlex.join([*watch, "--follow"])))
    return _planned(plan, chosen, dry_run, again, text("root", root) or chosen.root)


def predict(
    *overrides: str,
    run: str | None = None,
    root: str | None = None,
    target: str | None = None,
    dry_run: bool = False,
    trust_endpoints: bool = False,
) -> Deferred:
    """Forecasts the next session with the weights of a finished run, without training.

    Args:
        overrides: Settings that differ from the run's, usually market.path= and market.end= of newer bars.
        run: The run whose weights to use; by default the last one that was trained.
        root: Where runs lie.
        target: Where jobs run; by default this machine.
        dry_run: Print the requests as JSON and do nothing.
        trust_endpoints: Let the target's document name services on other machines, which get your credentials.
    """
    from cloudlstm.cli import plans
    from cloudlstm.targets import open_target

    trusted = truth("trust-endpoints", trust_endpoints)
    chosen = open_target(text("target", target), trust_endpoints=trusted)
    base, named = text("root", root) or chosen.root, text("run", run)
    again = command("predict", overrides, run=run, root=root, target=target, trust_endpoints=trusted)
    dry = truth("dry-run", dry_run)

    def work() -> int:
        trained = plans.find_run(base, named, among=plans.is_trained, missing="no trained run in")
        plan = plans.predict_plan(chosen, run=trained, overrides=[str(word) for word in overrides], root=base)
        return _planned(plan, chosen, dry, again, base)._work()

    return Deferred(work)


def status(run: str | None = None, *, root: str | None = None, target: str | None = None) -> Deferred:
    """Shows how far a run is, step by step.

    Args:
        run: The run's id or URI; by default the last one.
        root: Where runs lie.
        target: A target whose bucket has them, unless root says otherwise.
    """
    from cloudlstm.cli import status

    return _on_run(run, root, target, status.show_status)


def logs(
    run: str | None = None, *, root: str | None = None, target: str | None = None, follow: bool = False
) -> Deferred:
    """Prints what the jobs of a run have logged, all workers together.

    Args:
        run: The run's id or URI; by default the last one.
        root: Where runs lie.
        target: A target whose bucket has them, unless root says otherwise.
        follow: Go on printing until the run's launcher has ended.
    """
    from cloudlstm.cli.logs import show_logs

    on = truth("follow", follow)
    return _on_run(run, root, target, lambda paths: show_logs(paths, follow=on))


def cancel(
    run: str | None = None,
    *,
    root: str | None = None,
    target: str | None = None,
    trust_endpoints: bool = False,
) -> Deferred:
    """Ends a run that is being worked on; a later submit goes on where it stopped.

    Args:
        run: The run's id or URI; by default the last one.
        root: Where runs lie.
        target: Where its jobs run: they are ended there although their launcher is gone.
        trust_endpoints: Let the target's document name services on other machines, which get your credentials.
    """
    from cloudlstm.cli.cancel import cancel_run

    where, trusted = text("target", target), truth("trust-endpoints", trust_endpoints)
    return _on_run(run, root, target, lambda paths: cancel_run(paths, where, trust_endpoints=trusted))


def delete(
    run: str | None = None, *, yes: bool = False, root: str | None = None, target: str | None = None
) -> Deferred:
    """Removes a run and its entry in the index, after asking; other files in its folder stay.

    Args:
        run: The run's id or URI.
        yes: Do not ask; then the run's id has to be whole.
        root: Where runs lie.
        target: A target whose bucket has them, unless root says otherwise.
    """
    from cloudlstm.cli import plans

    name, agreed = text("run", run), truth("yes", yes)
    if not name:
        raise UsageError("delete needs the name of a run", hint="cloudlstm runs")
    base = plans.chosen_root(text("root", root), text("target", target))

    def work() -> int:
        from cloudlstm.cli.delete import delete_run

        return delete_run(plans.find_deletable(base, name, whole=agreed), yes=agreed)

    return Deferred(work)


def down(*, target: str | None = None, trust_endpoints: bool = False) -> Deferred:
    """Ends all that is at work on a target, lists what remains of it, and says what would remove that.

    Args:
        target: A Terraform directory, a saved `terraform output -json`, or a bucket's URI.
        trust_endpoints: Let the target's document name services on other machines, which get your credentials.
    """
    from cloudlstm.cli.cancel import bring_down
    from cloudlstm.targets import TARGETS

    where = text("target", target)
    if not where or where in TARGETS:
        raise UsageError("down is for a cloud", hint="cloudlstm down --target=infra/terraform/aws")
    trusted = truth("trust-endpoints", trust_endpoints)
    return Deferred(lambda: bring_down(where, trust_endpoints=trusted))


def report(run: str | None = None, *, root: str | None = None, target: str | None = None) -> Deferred:
    """Prints the results of a finished run and where its report lies.

    Args:
        run: The run's id or URI; by default the last finished one.
        root: Where runs lie.
        target: A target whose bucket has them, unless root says otherwise.
    """
    from cloudlstm.cli import plans
    from cloudlstm.cli.result import show_results

    base, named = plans.chosen_root(text("root", root), text("target", target)), text("run", run)
    return Deferred(lambda: show_results(plans.find_run(base, named, among=plans.is_finished), root=base))


def runs(*names: str, root: str | None = None, target: str | None = None) -> Deferred:
    """Compares runs: all in a table, or those that are named side by side.

    Side by side are shown the settings that differ, and the results. A part of an id is enough where one run alone
    has it.

    Args:
        names: The runs to put side by side; without any, all are listed, the newest first.
        root: Where runs lie.
        target: A target whose bucket has them, unless root says otherwise.
    """
    from cloudlstm.cli import plans, runs

    base = plans.root_uri(plans.chosen_root(text("root", root), text("target", target)))
    if names:
        return Deferred(lambda: runs.show_comparison(base, [str(name) for name in names]))
    return Deferred(lambda: runs.show_runs(base, command("runs", (), root=root, target=target)))


def doctor(
    *overrides: str,
    config: str | None = None,
    root: str | None = None,
    target: str | None = None,
    trust_endpoints: bool = False,
) -> Deferred:
    """Checks Java, Python, packages, storage rights and Yahoo, and says how to mend what is missing.

    Args:
        overrides: Settings of the run that is to come, such as market.source=files.
        config: Its TOML file, or its storage URI.
        root: Where runs are going to lie; checked by writing, reading and deleting one small object.
        target: A cloud to look at instead of this machine: rights, cluster, trainers, quota, and the bundle of code.
        trust_endpoints: Let the target's document name services on other machines, which get your credentials.
    """
    from cloudlstm.cli import plans
    from cloudlstm.cli.doctor import examine, examine_target
    from cloudlstm.targets import TARGETS

    where = text("target", target)
    if where and where not in TARGETS:
        from cloudlstm.config import load

        words = [str(word) for word in overrides]
        settings = load(text("config", config), words) if config or words else None
        trusted = truth("trust-endpoints", trust_endpoints)
        return Deferred(lambda: examine_target(where, settings, trust_endpoints=trusted))

    base = plans.root_uri(text("root", root))
    yahoo = not (config or overrides) or plans.source_name(text("config", config), overrides) == "yahoo"
    return Deferred(lambda: examine(base, yahoo=yahoo))


def version() -> Deferred:
    """Prints the version."""

    def work() -> int:
        terminal.write(f"cloudlstm {__version__}\n")
        return 0

    return Deferred(work)


VERBS = {
    verb.__name__: verb for verb in (submit, status, logs, cancel, report, runs, predict, delete, doctor, down, version)
}


def _on_run(
    run: str | None,
    root: str | None,
    target: str | None,
    view: "Callable[[RunPaths], int]",
) -> Deferred:
    """Work on an existing run. It is looked for when all that was typed has been understood."""
    from cloudlstm.cli import plans

    base, named = plans.chosen_root(text("root", root), text("target", target)), text("run", run)
    return Deferred(lambda: view(plans.find_run(base, named)))


def _planned(plan: "Plan", target: "Target", dry_run: object, again: list[str], root: str | None) -> Deferred:
    """Work that carries a plan out; `again` is what to type to go on after an interruption."""
    if truth("dry-run", dry_run):
        return Deferred(lambda: _printed(plan.to_json()))

    def work() -> int:
        import time

        from cloudlstm.cli import plans, result
        from cloudlstm.cli.board import progress_display
        from cloudlstm.cli.status import kept
        from cloudlstm.runs.paths import RunPaths
        from cloudlstm.runs.weights import source
        from cloudlstm.targets.launcher import carry_out, require_own

        began = time.time()
        config = plans.config_of(plan)
        require_own(plan)
        source(config)
        target.check(config, plan.run.rsplit("/", 1)[0])
        try:
            with progress_display(plan) as watch:
                paths = carry_out(plan, target, watch)
        except KeyboardInterrupt:
            terminal.tell(f"stopped; {kept(RunPaths(plan.run))}\nto go on: {shlex.join(again)}\n")
            return 130
        return result.show_results(paths, root=root, unchanged=result.unchanged(paths, began))

    return Deferred(work)


def _printed(document: str) -> int:
    terminal.write(document + "\n")
    return 0
