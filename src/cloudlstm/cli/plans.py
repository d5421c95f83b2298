"""Builds the plans of `submit` and `predict` without doing anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from cloudlstm import storage
from cloudlstm.config import RunConfig, load, parse, require_local_master
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, UsageError
from cloudlstm.runs.attempts import latest_attempt
from cloudlstm.runs.folder import has_attempt
from cloudlstm.runs.index import newest_first, run_ids
from cloudlstm.runs.manifest import Manifest, fingerprint
from cloudlstm.runs.paths import RunPaths, index, is_run_id
from cloudlstm.runs.settings import read
from cloudlstm.runs.steps import JOBS
from cloudlstm.targets import TARGETS, Plan, Request, Target

_AT_ONCE = 16
"""Runs that are looked at together."""


def chosen_root(root: str | None, target: str | None) -> str | None:
    """The root that was typed, else the one of the target that was typed, if any."""
    if root or not target or target in TARGETS:
        return root
    from cloudlstm.targets import document
    from cloudlstm.targets.cloud import root_of

    return root_of(document.load(target))


def config_of(plan: Plan) -> RunConfig:
    """The configuration that a plan writes."""
    return parse(plan.requests[0]["document"])


def root_uri(root: str | None) -> str:
    """Where runs lie: the flag, else CLOUDLSTM_ROOT, else the folder `runs` here."""
    return storage.absolute(root or os.environ.get("CLOUDLSTM_ROOT") or "runs").rstrip("/")


def submit_plan(
    target: Target, *, config: str | None, overrides: Sequence[str], root: str | None, run: str | None
) -> Plan:
    """The plan that takes a configuration from bars to a report."""
    return _plan("submit", target, load(config, overrides), root, run)


def predict_plan(target: Target, *, run: RunPaths, overrides: Sequence[str], root: str | None) -> Plan:
    """The plan that applies the weights of a finished run, without training, to the bars that `overrides` name."""
    document = read_config(run).model_dump(mode="json")
    require_local_master(document, f"run {run.run_id}", overrides)  # a run may be somebody else's
    if Manifest.load(run, "train") is None:
        raise UsageError(f"run {run.run_id} has not been trained", hint=f"cloudlstm status {run.uri}")
    document["name"] = f"{document['name'].removesuffix('-predict')}-predict"[:40]
    document["train"] |= {"epochs": 0, "weights": run.uri}
    return _plan("predict", target, parse(document, overrides), root, None)


def source_name(config: str | None, overrides: Sequence[str]) -> str:
    """The source of bars that a configuration asks for."""
    return load(config, [str(word) for word in overrides]).market.source


def read_config(paths: RunPaths) -> RunConfig:
    """The configuration of an existing run, as it was submitted last."""
    try:
        return read(paths, latest_attempt(paths))
    except ObjectNotFoundError:
        raise UsageError(f"no run {paths.run_id} in {paths.uri.rsplit('/', 1)[0]}", hint="cloudlstm runs") from None


def find_run(
    root: str | None,
    run: str | None,
    *,
    among: Callable[[RunPaths], bool] = has_attempt,
    missing: str = "",
) -> RunPaths:
    """The run that was named, or the last that was submitted of those that may be taken unnamed.

    Args:
        root: Where runs lie, as typed.
        run: A run id below the root, a part that one id alone has, or a run's whole URI.
        among: Which runs may be taken unnamed.
        missing: The error where there is no such run, up to the root; where it is empty, the last run of all is taken,
            so that the verb can say what that one lacks.
    """
    if run and "://" in run:
        return RunPaths(storage.absolute(run).rstrip("/"))
    base = root_uri(root)
    if run:
        return RunPaths.of(base, chosen_id(run, run_ids(base), base))
    found = _first(newest_first(base), base, among)
    if found is None and missing:
        raise UsageError(f"{missing} {base}", hint="cloudlstm submit, or name another place with --root")
    found = found or _first(newest_first(base), base, has_attempt)
    if found is None:
        raise UsageError(f"no runs in {base}", hint="cloudlstm submit, or name another place with --root")
    return found


def find_deletable(root: str | None, run: str, *, whole: bool) -> RunPaths:
    """The run that was named, also one that is no longer listed, or of which only the entry in the index is left.

    Args:
        root: Where runs lie, as typed.
        run: As for `find_run`.
        whole: Whether a part of an id is not enough.
    """
    if "://" in run:
        place, _, run_id = storage.absolute(run).rstrip("/").rpartition("/")
        return find_deletable(place, run_id, whole=True)
    base = root_uri(root)
    ids = run_ids(base)
    if run in ids or (is_run_id(run) and has_attempt(RunPaths.of(base, run))):
        return RunPaths.of(base, run)
    found = chosen_id(run, ids, base)
    if whole:
        raise UsageError(f"no run {run} in {base}", hint=f"the whole id, {found}")
    return RunPaths.of(base, found)


def chosen_id(name: str, ids: Sequence[str], root: str) -> str:
    """The run that a word means: an id, or a part that one id alone has."""
    found = [name] if name in ids else [run_id for run_id in ids if name in run_id]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no run {name} in {root}", hint=f"cloudlstm runs --root={root}")
    raise UsageError(f"{name!r} means more than one run: {', '.join(found[:5])}", hint="more letters of its id")


def is_finished(paths: RunPaths) -> bool:
    """Whether the run has a report."""
    return storage.exists(paths.report("report.json"))


def is_trained(paths: RunPaths) -> bool:
    """Whether the run is finished and has weights of its own, which a run of `predict` has not."""
    try:
        return is_finished(paths) and read_config(paths).train.epochs > 0
    except (UsageError, CorruptObjectError):  # settings of another release, or damaged ones, hide no other run
        return False


def _first(run_ids: Iterator[str], root: str, holds: Callable[[RunPaths], bool]) -> RunPaths | None:
    """The first of these runs for which `holds`. After the first, many are looked at together."""
    size = 1
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while batch := [RunPaths.of(root, run_id) for run_id in islice(run_ids, size)]:
            fits = pool.map(holds, batch)
            if found := next((paths for paths, fit in zip(batch, fits, strict=True) if fit), None):
                return found
            size = _AT_ONCE
    return None


def _plan(verb: str, target: Target, config: RunConfig, root: str | None, run: str | None) -> Plan:
    root = root or target.root
    config = _with_workers(_with_absolute_paths(config), target)
    document = config.model_dump(mode="json")
    run_id = run or f"{config.name}-{fingerprint(config.identity())[:8]}"
    paths = RunPaths.of(root_uri(root), run_id)
    if storage.scheme_of(paths.uri) == "memory":
        raise UsageError(
            "memory:// ends with each process, so a run cannot lie there", hint="use a folder, s3:// or gs://"
        )
    if target.root and storage.scheme_of(paths.uri) != storage.scheme_of(target.root):
        raise UsageError(
            f"{paths.uri} is no place for a run on {target.name}: its machines would not reach it",
            hint=f"leave --root out for {target.root}",
        )
    requests: list[Request] = [
        {"action": "settings", "uri": paths.config, "document": document},
        {"action": "mark", "uri": index(root_uri(root), run_id)},
        *({"action": "job", **target.request(job, config, paths)} for job in JOBS),
    ]
    return Plan(verb, paths.uri, tuple(requests))


def _with_workers(config: RunConfig, target: Target) -> RunConfig:
    """The number of workers is part of what names a run, so it is written out."""
    workers = config.train.workers or target.workers
    return config.model_copy(update={"train": config.train.model_copy(update={"workers": workers})})


def _with_absolute_paths(config: RunConfig) -> RunConfig:
    """Jobs may run elsewhere: paths that were typed here become URIs here."""
    market, universe, train = config.market, config.universe, config.train
    if market.path:
        market = market.model_copy(update={"path": storage.absolute(market.path)})
    if universe.path:
        universe = universe.model_copy(update={"path": storage.absolute(universe.path)})
    if train.weights:
        train = train.model_copy(update={"weights": storage.absolute(train.weights)})
    return config.model_copy(update={"market": market, "universe": universe, "train": train})
