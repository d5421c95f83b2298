"""The commands `submit` and `predict`: each makes a plan, and carries it out unless it is a dry run."""

import shlex
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from cloudlstm.cli import terminal
from cloudlstm.cli.flags import command_line, parse_switch, parse_text

if TYPE_CHECKING:
    from cloudlstm.cli.estimate import Estimate
    from cloudlstm.runs.paths import RunPaths
    from cloudlstm.targets import Plan, Target


class Deferred:
    """Work that `main` does later. It has no public attribute, because Fire lets words select public attributes."""

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
    """Runs the pipeline from bars to a trained LSTM, forecasts and a report.

    The same submit again continues where an earlier one stopped; finished steps are skipped.

    Args:
        overrides: Settings by name, such as train.epochs=3 model.units=64.
        config: A TOML file, or its storage URI.
        root: The folder of all runs: a path, s3://bucket/prefix or gs://bucket/prefix; by default $CLOUDLSTM_ROOT,
            else ./runs.
        run: The id of the run; by default the name of the configuration and a hash of its settings.
        target: Where jobs run: a Terraform directory, a file of `terraform output -json`, or the URI of a bucket;
            by default this machine.
        detach: Run in the background.
        wait: Wait while another run uses the trainers of the target.
        dry_run: Check the settings and files, print the requests as JSON, for a cloud also an estimate of the cost, and
            do nothing else.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
    """
    from cloudlstm.cli import plans
    from cloudlstm.targets import open_target

    trusted = parse_switch("trust-endpoints", trust_endpoints)
    chosen = open_target(parse_text("target", target), wait=parse_switch("wait", wait), trust_endpoints=trusted)
    plan = plans.submit_plan(
        chosen,
        config=parse_text("config", config),
        overrides=[str(word) for word in overrides],
        root=parse_text("root", root),
        run=parse_text("run", run),
    )
    flags = {"config": config, "root": root, "run": run, "target": target}
    typed = command_line("submit", overrides, **flags, trust_endpoints=trusted)
    if parse_switch("detach", detach) and not parse_switch("dry-run", dry_run):
        from cloudlstm.cli.detach import detach as detached

        words = [*typed[1:], *(["--wait"] if parse_switch("wait", wait) else [])]
        watch = command_line("logs", (), run=plan.run, target=target)
        return Deferred(lambda: detached(words, plan.run, shlex.join([*watch, "--follow"])))
    return _deferred(plan, chosen, dry_run, typed, parse_text("root", root) or chosen.root)


def predict(
    *overrides: str,
    run: str | None = None,
    root: str | None = None,
    target: str | None = None,
    ensemble: bool = False,
    dry_run: bool = False,
    trust_endpoints: bool = False,
) -> Deferred:
    """Forecasts the next session with the weights of a finished run, without training.

    Args:
        overrides: Settings that differ from those of the run, usually market.path= and market.end= for newer bars.
        run: The run that has the weights; by default the last trained run.
        root: The folder of all runs.
        target: Where jobs run; by default this machine.
        ensemble: Forecast with the networks of all seeds and their mean; by default with that of the first seed.
        dry_run: Check the settings and files, print the requests as JSON, and do nothing else.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
    """
    from cloudlstm.cli import find, plans
    from cloudlstm.targets import open_target

    trusted = parse_switch("trust-endpoints", trust_endpoints)
    chosen = open_target(parse_text("target", target), trust_endpoints=trusted)
    base, named = parse_text("root", root) or chosen.root, parse_text("run", run)
    every = parse_switch("ensemble", ensemble)
    flags = {"run": run, "root": root, "target": target}
    typed = command_line("predict", overrides, **flags, ensemble=every, trust_endpoints=trusted)
    dry = parse_switch("dry-run", dry_run)

    def work() -> int:
        trained = find.find_run(base, named, among=find.is_trained, missing="no trained run in")
        words = [str(word) for word in overrides]
        plan = plans.predict_plan(chosen, run=trained, overrides=words, root=base, ensemble=every)
        return _deferred(plan, chosen, dry, typed, base)._work()

    return Deferred(work)


def _deferred(plan: "Plan", target: "Target", dry_run: object, typed: list[str], root: str | None) -> Deferred:
    """The work of a plan; `again` is the command line that continues it after an interruption."""
    if parse_switch("dry-run", dry_run):
        return Deferred(lambda: _printed(plan, target))

    def work() -> int:
        import time

        from cloudlstm.cli import result
        from cloudlstm.cli.status import kept_work
        from cloudlstm.runs.paths import RunPaths

        began = time.time()
        try:
            paths = launch(plan, target)
        except KeyboardInterrupt:
            terminal.write_error(f"stopped; {kept_work(RunPaths(plan.run))}\nto continue: {shlex.join(typed)}\n")
            return 130
        return result.show_results(paths, root=root, unchanged=result.unchanged(paths, began))

    return Deferred(work)


def launch(plan: "Plan", target: "Target", *, quiet: bool = False) -> "RunPaths":
    """Checks a plan and carries it out; shows the progress unless `quiet`. `cloudlstm.submit` calls it too."""
    from cloudlstm.cli.board import progress_display
    from cloudlstm.cli.plans import check_own_code, config_of, look
    from cloudlstm.cli.training_work import training_work
    from cloudlstm.cli.unchanged import inputs_of
    from cloudlstm.targets.launcher import carry_out, is_unchanged, require_own, skip

    config = config_of(plan)
    require_own(plan)
    inputs = inputs_of(config) if target.root is None else None  # the machines of a cloud may see other files
    if inputs and is_unchanged(plan, inputs):
        with nullcontext(lambda _: None) if quiet else progress_display(plan) as watch:
            return skip(plan, watch)
    check_own_code(config)
    tickers = look(plan, config, target, quiet=quiet)
    if not quiet and (note := training_work(config).note()):
        terminal.write_error(f"note: {note}\n")
    if not quiet and (estimate := _estimate(plan, target, tickers)):
        more = "" if estimate.complete else " and what is not known yet"
        terminal.write_error(f"estimate: {estimate.usd:.2f} USD{more}; --dry-run shows its parts\n")
    target.check(config, plan.run.rsplit("/", 1)[0])
    with nullcontext(lambda _: None) if quiet else progress_display(plan) as watch:
        return carry_out(plan, target, watch, inputs=inputs)


def _printed(plan: "Plan", target: "Target") -> int:
    """Prints a plan, unless its source of bars or of weights is not there."""
    from cloudlstm.cli.plans import check_own_code, config_of, look
    from cloudlstm.cli.training_work import training_work

    config = config_of(plan)
    check_own_code(config, run=False)
    tickers = look(plan, config, target, services=False)
    terminal.write(plan.to_json() + "\n")
    if note := training_work(config).note():
        terminal.write_error(f"note: {note}\n")
    if estimate := _estimate(plan, target, tickers):
        terminal.write_error(estimate.table() + "\n")
    return 0


def _estimate(plan: "Plan", target: "Target", tickers: int | None) -> "Estimate | None":
    """What the plan will cost; None on this machine."""
    from cloudlstm.targets.cloud import CloudTarget

    if not isinstance(target, CloudTarget):
        return None
    from cloudlstm.cli.estimate import estimate
    from cloudlstm.cli.plans import config_of

    return estimate(target.config, config_of(plan), tickers)
