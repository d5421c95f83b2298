"""Builds the plans of `submit` and `predict`; nothing is written or started."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TypeVar

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.find import read_config, root_uri
from cloudlstm.config import RunConfig, load, parse, require_local_master
from cloudlstm.config.data import Section
from cloudlstm.errors import AccessDeniedError, CorruptObjectError, DataError, MissingExtraError, UsageError
from cloudlstm.market.sectors import read_sectors
from cloudlstm.market.universe import read_universe, requested_tickers
from cloudlstm.runs import own_packages, user_code, weights
from cloudlstm.runs.manifest import Manifest, fingerprint, total_rows
from cloudlstm.runs.paths import RunPaths, index
from cloudlstm.runs.steps import JOBS
from cloudlstm.targets import Plan, Request, Target

AnySection = TypeVar("AnySection", bound=Section)

_MOST_ROWS = 5_000_000
"""Up to so many bars, about 1,500 tickers of 14 years, `predict` prepares without Spark."""

_BEFORE_DAYS = 14
"""A calendar is asked for more than one day, and for a range with sessions."""


def config_of(plan: Plan) -> RunConfig:
    """The configuration that a plan writes."""
    return parse(plan.requests[0]["document"])


def submit_plan(
    target: Target, *, config: str | None, overrides: Sequence[str], root: str | None, run: str | None
) -> Plan:
    """The plan of a configuration, from bars to a report."""
    own_packages.look_beside(config)
    return make_plan("submit", target, load(config, overrides), root, run)


def predict_plan(
    target: Target, *, run: RunPaths, overrides: Sequence[str], root: str | None, ensemble: bool = False
) -> Plan:
    """The plan that forecasts with the weights of a finished run on the bars that `overrides` name.

    Args:
        target: Where jobs run.
        run: The finished run.
        overrides: Settings that differ from those of the run.
        root: The folder of all runs.
        ensemble: True for the networks of all seeds, False for that of the first.
    """
    trained = read_config(run)
    document, seeds = trained.model_dump(mode="json"), trained.train.all_seeds
    require_local_master(document, f"run {run.run_id}", overrides)  # another user may have written that run
    training = Manifest.load(run, "train")
    if training is None:
        raise UsageError(f"run {run.run_id} has not been trained", hint=f"cloudlstm status {run.uri}")
    if ensemble and len(seeds) == 1:
        raise UsageError(f"run {run.run_id} has one seed, so it has no ensemble", hint="leave --ensemble out")
    document["name"] = f"{document['name'].removesuffix('-predict')}-predict"[:40]
    document["train"] |= {"epochs": 0, "weights": run.uri, "seed": seeds[0], "seeds": seeds if ensemble else 1}
    document["evaluation"]["walk"] = {}  # nothing is trained
    if seen := weights.seen_until(training):  # the last network of a walk-forward has seen labels of the walk's tests
        document["dataset"] |= {"train_end": seen[0], "validation_end": seen[1]}
    document["prepare"]["reuse"] = run.uri
    if target.root is None and _is_small(run):
        document["prepare"]["engine"] = "local"  # does the work in less time than Spark takes to start
    config = parse(document, overrides)
    if config.market.interval != trained.market.interval:
        raise UsageError(
            f"run {run.run_id} was trained on bars of {trained.market.interval}, and market.interval is "
            f"{config.market.interval}",
            hint="leave market.interval out, or a run that was trained on such bars",
        )
    return make_plan("predict", target, config, root, None)


def _is_small(run: RunPaths) -> bool:
    """True if the bars of a run are few enough for one machine without Spark."""
    try:
        ingested = Manifest.load(run, "ingest")
    except CorruptObjectError:  # the forecast needs only the run's weights
        return False
    return ingested is not None and total_rows(ingested.objects) <= _MOST_ROWS


def source_name(config: str | None, overrides: Sequence[str]) -> str:
    """The source of bars in a configuration."""
    return load(config, [str(word) for word in overrides]).market.source


def look(plan: Plan, config: RunConfig, target: Target, *, services: bool = True, quiet: bool = False) -> int | None:
    """Checks the sources of bars, sectors, weights, macro series and news before anything of the run is made.

    This machine need not reach a source that the machines of a cloud reach. Then it says so, and the job checks it.
    A run that has its bars already needs no service.

    Args:
        plan: The plan of the run.
        config: Its configuration.
        target: Where its jobs run.
        services: False if no service is to be asked whether it can be reached.
        quiet: Whether to leave out notes.

    Returns:
        The number of tickers; None if it is not known here.

    Raises:
        CloudLSTMError: the job would fail for the same reason.
    """
    # Imported here: an unchanged submit needs no look, and these packages take longer to import than all the rest.
    from cloudlstm.exogenous.look import look_at_exogenous
    from cloudlstm.market.sources.base import look_at_source

    say = (lambda _: None) if quiet else terminal.write_error
    weights.source(config)
    here = target.root is None
    try:
        if config.universe.sectors:
            read_sectors(config.universe.sectors)
        has_bars = services and storage.exists(RunPaths(plan.run).manifest("ingest"))
        found = look_at_source(config, closely=not has_bars, services=services and here)
        for note in (*found.notes, *look_at_exogenous(config, None if here else target.name)):
            say(f"note: {note}\n")
        _check_dates(config, found.first, found.last)
        return _number_of_tickers(config, found.tickers)
    except (AccessDeniedError, MissingExtraError) as error:
        if here:
            raise
        say(f"the source is checked on {target.name}, not here: {error.message}\n")
        return _number_of_tickers(config, None)


def check_own_code(config: RunConfig, *, run: bool = True) -> None:
    """Checks that the user's features, network and scorer are there, and tries the features.

    Args:
        config: The configuration.
        run: False if none of the user's code is to run.

    Raises:
        UserCodeError: the job would fail for the same reason.
    """
    for name in user_code.names_of(config):
        user_code.require_there(name)
    if run and config.features.extra:
        from cloudlstm.features import features_of_run
        from cloudlstm.features.user import require_lookbacks

        require_lookbacks(features_of_run(config).features)


def _check_dates(config: RunConfig, first: dt.date | None, last: dt.date | None) -> None:
    """Raises DataError if the dates of the bars, or those of the members, leave a split without labels.

    Args:
        config: The configuration.
        first: Date of the first bar of the source; None if it is not known.
        last: That of the last bar.
    """
    from cloudlstm.dataset.folds import require_sessions
    from cloudlstm.dataset.splits import require_members, require_split_dates
    from cloudlstm.market.calendar import sessions, to_days
    from cloudlstm.market.grid import Grid
    from cloudlstm.market.members import Members

    market = config.market
    start, end = max(first or market.start, market.start), min(last or market.end, market.end)
    if start > end:
        raise DataError(
            f"the bars are of {first} to {last}, and the run uses {market.start} to {market.end}",
            hint=f"market.start={first} market.end={last}, and split dates between them",
        )
    members = Members.of(read_universe(config.universe, market), end)
    if (first is None or last is None) and members is None:
        return
    if market.interval == "1d":
        days = sessions(market.calendar, start - dt.timedelta(days=_BEFORE_DAYS), end)
    else:  # one entry for each bar of a session
        days = Grid.of(market, start - dt.timedelta(days=_BEFORE_DAYS), end).days
    days = days[days >= to_days(start)]
    if first and last:
        require_split_dates(days, config.dataset)
        require_sessions(days, config)
    if members:
        require_members(days, config.dataset, members)


def _number_of_tickers(config: RunConfig, found: Sequence[str] | None) -> int | None:
    if config.market.source == "synthetic":
        return config.market.synthetic.tickers
    asked = requested_tickers(config.universe, config.market)
    known = found if asked is None else asked
    return None if known is None else len(known)


def make_plan(verb: str, target: Target, config: RunConfig, root: str | None, run: str | None) -> Plan:
    """The plan of a checked configuration.

    Args:
        verb: The name of the command, for the plan.
        target: Where the jobs run.
        config: The configuration.
        root: The folder of all runs, as typed.
        run: The id of the run; None for the name of the configuration and a hash of its settings.
    """
    root = root or target.root
    config = _with_workers(_with_absolute_paths(config), target)
    document = config.model_dump(mode="json")
    run_id = run or f"{config.name}-{fingerprint(config.identity())[:8]}"
    paths = RunPaths.of(root_uri(root), run_id)
    if storage.scheme_of(paths.uri) == "memory":
        raise UsageError(
            "memory:// lasts as long as one process, so a run cannot be stored there",
            hint="use a folder, s3:// or gs://",
        )
    if target.root and storage.scheme_of(paths.uri) != storage.scheme_of(target.root):
        raise UsageError(
            f"the machines of {target.name} cannot reach {paths.uri}",
            hint=f"leave --root out for {target.root}",
        )
    requests: list[Request] = [
        {"action": "settings", "uri": paths.config, "document": document},
        {"action": "mark", "uri": index(root_uri(root), run_id)},
        *({"action": "job", **target.request(job, config, paths)} for job in JOBS),
    ]
    return Plan(verb, paths.uri, tuple(requests))


def _with_workers(config: RunConfig, target: Target) -> RunConfig:
    """The configuration with the number of workers, which is part of the identity of a run."""
    workers = config.train.workers or target.workers
    return config.model_copy(update={"train": config.train.model_copy(update={"workers": workers})})


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    """The configuration with paths as URIs, because jobs may run on other machines."""
    exogenous = config.exogenous
    return config.model_copy(
        update={
            "market": _absolute(config.market, "path"),
            "universe": _absolute(config.universe, "path", "sectors"),
            "exogenous": exogenous.model_copy(
                update={
                    "macro": _absolute(exogenous.macro, "path"),
                    "news": _absolute(exogenous.news, "path", "lexicon"),
                }
            ),
            "train": _absolute(config.train, "weights"),
            "prepare": _absolute(config.prepare, "reuse"),
        }
    )


def _absolute(section: AnySection, *names: str) -> AnySection:
    """A section with these settings as URIs, if they are set."""
    update = {name: storage.absolute(value) for name in names if (value := getattr(section, name))}
    return section.model_copy(update=update)
