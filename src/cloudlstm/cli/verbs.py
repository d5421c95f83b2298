"""The verbs of the command. Each checks what was typed and returns a Deferred; nothing is done here."""

import shlex
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from cloudlstm import __version__
from cloudlstm.errors import UsageError

if TYPE_CHECKING:
    from cloudlstm.layout import RunLayout
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
    dry_run: bool = False,
) -> Deferred:
    """Takes a universe from bars to a trained LSTM, forecasts and a report.

    Submitting the same configuration again goes on where an earlier submit stopped; what is done is skipped.

    Args:
        overrides: Settings by name, such as train.epochs=3 model.units=64.
        config: A TOML file, or its storage URI.
        root: Where runs lie: a folder, s3://bucket/prefix or gs://bucket/prefix; by default $CLOUDLSTM_ROOT, else
            the folder runs here.
        run: The run's id; by default the configuration's name and a hash of it.
        target: Where jobs run; by default this machine.
        dry_run: Print the requests as JSON and do nothing.
    """
    from cloudlstm.cli import plans
    from cloudlstm.targets import open_target

    chosen = open_target(_text("target", target))
    plan = plans.submit_plan(
        chosen,
        config=_text("config", config),
        overrides=[str(word) for word in overrides],
        root=_text("root", root),
        run=_text("run", run),
    )
    again = _command("submit", overrides, config=config, root=root, run=run, target=target)
    return _planned(plan, chosen, dry_run, again, _text("root", root))


def predict(
    *overrides: str,
    run: str | None = None,
    root: str | None = None,
    target: str | None = None,
    dry_run: bool = False,
) -> Deferred:
    """Forecasts the next session with the weights of a finished run, without training.

    Args:
        overrides: Settings that differ from the run's, usually market.path= and market.end= of newer bars.
        run: The run whose weights to use; by default the last one that was trained.
        root: Where runs lie.
        target: Where jobs run; by default this machine.
        dry_run: Print the requests as JSON and do nothing.
    """
    from cloudlstm.cli import plans
    from cloudlstm.targets import open_target

    chosen = open_target(_text("target", target))
    base = _text("root", root)
    trained = plans.find_run(base, _text("run", run), among=plans.is_trained)
    plan = plans.predict_plan(chosen, run=trained, overrides=[str(word) for word in overrides], root=base)
    again = _command("predict", overrides, run=run, root=root, target=target)
    return _planned(plan, chosen, dry_run, again, base)


def status(run: str | None = None, *, root: str | None = None) -> Deferred:
    """Shows how far a run is, step by step.

    Args:
        run: The run's id or URI; by default the last one.
        root: Where runs lie.
    """
    from cloudlstm.cli import views

    return _on_run(run, root, views.show_status)


def logs(run: str | None = None, *, root: str | None = None, follow: bool = False) -> Deferred:
    """Prints what the jobs of a run have logged, all workers together.

    Args:
        run: The run's id or URI; by default the last one.
        root: Where runs lie.
        follow: Go on printing until the run's launcher has ended.
    """
    from cloudlstm.cli.follow import show_logs

    on = _truth("follow", follow)
    return _on_run(run, root, lambda layout: show_logs(layout, follow=on))


def cancel(run: str | None = None, *, root: str | None = None) -> Deferred:
    """Ends a run that is being worked on; a later submit goes on where it stopped.

    Args:
        run: The run's id or URI; by default the last one.
        root: Where runs lie.
    """
    from cloudlstm.cli import views

    return _on_run(run, root, views.cancel_run)


def report(run: str | None = None, *, root: str | None = None) -> Deferred:
    """Prints the results of a finished run and where its report lies.

    Args:
        run: The run's id or URI; by default the last finished one.
        root: Where runs lie.
    """
    from cloudlstm.cli.results import show_report

    base = _text("root", root)
    return _on_run(run, root, lambda layout: show_report(layout, root=base), finished=True)


def runs(*names: str, root: str | None = None) -> Deferred:
    """Compares runs: all in a table, or those that are named side by side.

    Side by side are shown the settings that differ, and the results. A part of an id is enough where one run alone
    has it.

    Args:
        names: The runs to put side by side; without any, all are listed, the newest first.
        root: Where runs lie.
    """
    from cloudlstm.cli import compare, plans

    base = plans.root_uri(_text("root", root))
    if names:
        return Deferred(lambda: compare.show_comparison(base, [str(name) for name in names]))
    return Deferred(lambda: compare.show_runs(base))


def doctor(*overrides: str, config: str | None = None, root: str | None = None) -> Deferred:
    """Checks Java, Python, packages, storage rights and Yahoo, and says how to mend what is missing.

    Args:
        overrides: Settings of the run that is to come, such as market.source=files.
        config: Its TOML file, or its storage URI.
        root: Where runs are going to lie; checked by writing, reading and deleting one small object.
    """
    from cloudlstm.cli import plans
    from cloudlstm.cli.doctor import examine

    base = plans.root_uri(_text("root", root))
    yahoo = not (config or overrides) or plans.source_name(_text("config", config), overrides) == "yahoo"
    return Deferred(lambda: examine(base, yahoo=yahoo))


def version() -> Deferred:
    """Prints the version."""

    def work() -> int:
        sys.stdout.write(f"cloudlstm {__version__}\n")
        return 0

    return Deferred(work)


VERBS = {verb.__name__: verb for verb in (submit, status, logs, cancel, report, runs, predict, doctor, version)}


def _on_run(
    run: str | None, root: str | None, view: "Callable[[RunLayout], int]", *, finished: bool = False
) -> Deferred:
    """Work on an existing run, which is looked for now, so that a wrong name is a matter of usage."""
    from cloudlstm.cli import plans

    among = plans.is_finished if finished else None
    layout = plans.find_run(_text("root", root), _text("run", run), among=among)
    return Deferred(lambda: view(layout))


def _planned(plan: "Plan", target: "Target", dry_run: object, again: str, root: str | None) -> Deferred:
    """Work that carries a plan out; `again` is what to type to go on after an interruption."""
    if _truth("dry-run", dry_run):
        return Deferred(lambda: _printed(plan.to_json()))

    def work() -> int:
        import time

        from cloudlstm.cli import results
        from cloudlstm.cli.display import progress_display
        from cloudlstm.cli.views import kept
        from cloudlstm.launch import carry_out
        from cloudlstm.layout import RunLayout

        began = time.time()
        try:
            with progress_display(plan) as watch:
                layout = carry_out(plan, target, watch)
        except KeyboardInterrupt:
            sys.stderr.write(f"stopped; {kept(RunLayout(plan.run))}\nto go on: {again}\n")
            return 130
        if plan.verb == "predict":
            return results.show_forecasts(layout)
        return results.show_report(layout, root=root, unchanged=results.unchanged(layout, began))

    return Deferred(work)


def _command(verb: str, words: tuple[str, ...], **flags: str | None) -> str:
    """What was typed, to be typed again."""
    given = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    return shlex.join(["cloudlstm", verb, *given, *map(str, words)])


def _printed(text: str) -> int:
    sys.stdout.write(text + "\n")
    return 0


def _text(flag: str, value: object) -> str | None:
    """A flag's text. Fire reads digits as numbers, and a flag without a value as True."""
    if value is None:
        return None
    if isinstance(value, bool):
        raise UsageError(f"--{flag} needs a value", hint=f"write --{flag}=…")
    return str(value)


def _truth(flag: str, value: object) -> bool:
    """A flag that is on or off. Fire gives the text 'false' for --flag=false."""
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise UsageError(f"--{flag} is on or off, not {value!r}", hint=f"write --{flag} or leave it out")
