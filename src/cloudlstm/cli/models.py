"""The commands on models: `models`, `promote`, `rollback` and `monitor`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from cloudlstm.cli import terminal
from cloudlstm.cli.flags import parse_switch, parse_text
from cloudlstm.cli.submit import Deferred
from cloudlstm.errors import UsageError

_ACTIONS = ("create", "add", "show", "verify", "export")
_USAGE = "cloudlstm models create or add NAME --run=RUN, or models show, verify or export NAME"
_TO = "MLFLOW_TRACKING_URI"
_DIGEST = re.compile("[0-9a-f]{64}")


def models(
    *words: str,
    run: str | None = None,
    root: str | None = None,
    target: str | None = None,
    noted: str | None = None,
    to: str | None = None,
    json: bool = False,
) -> Deferred:
    """Lists models, creates one from a finished run, adds a version, shows or checks it, or exports it to MLflow.

    A model is a line of versions that `cloudlstm daily` keeps up to date. Words of `create` say when challengers are
    trained, in sessions: warm_every=21 cold_every=126 refresh_after=5 (none: only on skill), and
    recipe.small=model.units=64 adds a challenger with other settings.

    Args:
        words: create, add, show, verify or export, and the name of a model; without them all models are listed. For
            create also when challengers are trained and how they are judged.
        run: For create and add: the finished run whose network is the first or the next version; by default the last
            trained one.
        root: The folder of all runs and models.
        target: A target whose bucket holds them, unless root is given.
        noted: For verify: digests of the ledger's newest record that you noted elsewhere, with commas between them.
        to: For export: the MLflow server or database; without it MLFLOW_TRACKING_URI.
        json: Print a JSON document.
    """
    from cloudlstm.cli.find import chosen_root, root_uri

    what, model, *policy = [str(word) for word in words] + [""] * (2 - len(words))
    as_json = parse_switch("json", json)
    if what and (what not in _ACTIONS or not model):
        raise UsageError(
            f"models {what} is not complete" if what in _ACTIONS else f"models has no action {what!r}", hint=_USAGE
        )
    if policy and what != "create":
        raise UsageError(f"models takes no further word such as {policy[0]!r}", hint=_USAGE)
    base, named = root_uri(chosen_root(parse_text("root", root), parse_text("target", target))), parse_text("run", run)
    server = (parse_text("to", to) or os.environ.get(_TO)) if what == "export" else None
    if what == "export" and not server:
        raise UsageError(
            "models export needs the address of an MLflow server", hint=f"--to=http://127.0.0.1:5000, or {_TO}"
        )
    digests = [part.strip().lower() for part in (parse_text("noted", noted) or "").split(",") if part.strip()]
    if wrong := next((each for each in digests if not _DIGEST.fullmatch(each)), None):
        raise UsageError(f"noted is a digest of 64 hexadecimal digits, not {wrong!r}", hint="daily prints it")

    def work() -> int:
        from cloudlstm.cli import models_view
        from cloudlstm.models import registry
        from cloudlstm.models.paths import ModelPaths

        if not what:
            terminal.write(models_view.list_text(base, as_json=as_json))
            return 0
        if what in ("create", "add"):
            from cloudlstm.cli import find
            from cloudlstm.models.creating import add_run, create, read_policy

            paths = ModelPaths.of(base, model) if what == "create" else registry.open_model(base, model)
            chosen_policy = read_policy(policy)
            trained = find.find_run(base, named, among=find.is_trained, missing="no trained run in")
            if what == "create":
                create(paths, trained, chosen_policy)
            else:
                add_run(paths, trained)
        paths = registry.open_model(base, model)
        if what == "verify":
            return models_view.verify(paths, digests, as_json=as_json)
        if what == "export":
            terminal.write(models_view.export_text(paths, str(server), as_json=as_json))
            return 0
        terminal.write(models_view.model_text(paths, as_json=as_json))
        return 0

    return Deferred(work)


def promote(name: str, version: int, /, *, root: str | None = None, target: str | None = None) -> Deferred:
    """Makes a version of a model its champion, whatever the gate says; the monitor shows it as manual.

    Args:
        name: The model.
        version: The version's number.
        root: The folder of all runs and models.
        target: A target whose bucket holds them, unless root is given.
    """
    text = str(version)
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"promote needs the number of a version, not {text!r}", hint=f"cloudlstm models show {name}")
    return _moved(str(name), root, target, lambda _: int(text), "manual")


def rollback(name: str, /, *, root: str | None = None, target: str | None = None) -> Deferred:
    """Makes the champion before the last move of a model its champion again.

    Args:
        name: The model.
        root: The folder of all runs and models.
        target: A target whose bucket holds them, unless root is given.
    """
    return _moved(str(name), root, target, lambda before: before, "rollback")


def _moved(
    name: str, root: str | None, target: str | None, choose: Callable[[int | None], int | None], basis: str
) -> Deferred:
    """Moves the champion's alias to the version that `choose` returns for the champion before the last move."""
    from cloudlstm.cli.find import chosen_root, root_uri

    base = root_uri(chosen_root(parse_text("root", root), parse_text("target", target)))

    def work() -> int:
        from cloudlstm.models import registry

        paths = registry.open_model(base, name)
        newest = registry.newest_move(paths)
        number = choose(newest.before)
        if number is None:
            raise UsageError(f"model {name} has no earlier champion", hint=f"cloudlstm models show {name}")
        registry.version_of(paths, number)
        if number == newest.version:
            raise UsageError(f"version {number} is the champion of {name} already", hint="another version")
        dates = registry.day_dates(paths)
        moved = registry.move(paths, number, dates[-1] if dates else newest.date, basis, ("by hand",))
        terminal.write(f"version {moved.version} is the champion of {name}, after version {moved.before}\n")
        return 0

    return Deferred(work)


def monitor(
    name: str,
    /,
    *,
    root: str | None = None,
    target: str | None = None,
    open: bool = False,  # noqa: A002 - the name of the flag
) -> Deferred:
    """Writes the page of a model and prints its place.

    Args:
        name: The model.
        root: The folder of all runs and models.
        target: A target whose bucket holds them, unless root is given.
        open: Open it in the browser.
    """
    from cloudlstm.cli.find import chosen_root, root_uri

    base = root_uri(chosen_root(parse_text("root", root), parse_text("target", target)))
    model, opened = str(name), parse_switch("open", open)

    def work() -> int:
        from cloudlstm.cli.daily_run import write_monitor
        from cloudlstm.cli.models_view import show_page
        from cloudlstm.models.registry import open_model

        paths = open_model(base, model)
        write_monitor(paths)
        show_page(paths, opened=opened)
        return 0

    return Deferred(work)
