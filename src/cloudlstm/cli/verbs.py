"""The verbs of the command. Each checks what was typed and returns a Deferred; nothing is done here."""

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
        root: Where runs lie: a folder, s3://bucket/prefix or gs://bucket/prefix. Default: $CLOUDLSTM_ROOT, else ./runs.
        run: The run's id; by default the configuration's name and a hash of it.
        target: Where jobs run. Default: this machine.
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
    return _planned(plan, chosen, dry_run)


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
        target: Where jobs run. Default: this machine.
        dry_run: Print the requests as JSON and do nothing.
    """
    from cloudlstm.cli import plans
    from cloudlstm.targets import open_target

    chosen = open_target(_text("target", target))
    base = _text("root", root)
    trained = plans.find_run(base, _text("run", run), among=plans.is_trained)
    plan = plans.predict_plan(chosen, run=trained, overrides=[str(word) for word in overrides], root=base)
    return _planned(plan, chosen, dry_run)


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
    from cloudlstm.cli import views

    on = _truth("follow", follow)
    return _on_run(run, root, lambda layout: views.show_logs(layout, follow=on))


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
    from cloudlstm.cli import views

    return _on_run(run, root, views.show_report, finished=True)


def runs(*, root: str | None = None) -> Deferred:
    """Lists all runs with their results, the newest first.

    Args:
        root: Where runs lie.
    """
    from cloudlstm.cli import plans, views

    base = plans.root_uri(_text("root", root))
    return Deferred(lambda: views.show_runs(base))


def doctor(*, root: str | None = None) -> Deferred:
    """Checks Java, Python, packages and storage rights, and says how to mend what is missing.

    Args:
        root: Where runs are going to lie; checked by writing, reading and deleting one small object.
    """
    from cloudlstm.cli import plans
    from cloudlstm.cli.doctor import examine

    base = plans.root_uri(_text("root", root))
    return Deferred(lambda: examine(base))


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


def _planned(plan: "Plan", target: "Target", dry_run: object) -> Deferred:
    if _truth("dry-run", dry_run):
        return Deferred(lambda: _printed(plan.to_json()))

    def work() -> int:
        from cloudlstm.cli.display import progress_display
        from cloudlstm.cli.views import show_forecasts, show_report
        from cloudlstm.launch import carry_out

        with progress_display(plan) as watch:
            layout = carry_out(plan, target, watch)
        return show_forecasts(layout) if plan.verb == "predict" else show_report(layout)

    return Deferred(work)


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
