"""Builds the plans of `submit` and `predict` without doing anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from cloudlstm import storage
from cloudlstm.attempts import latest_attempt, read_owner
from cloudlstm.config import RunConfig, load, parse, require_local_master
from cloudlstm.errors import ObjectNotFoundError, UsageError
from cloudlstm.layout import RunLayout, index
from cloudlstm.manifest import fingerprint
from cloudlstm.steps import JOBS
from cloudlstm.targets import TARGETS, Plan, Target


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


def predict_plan(target: Target, *, run: RunLayout, overrides: Sequence[str], root: str | None) -> Plan:
    """The plan that applies the weights of a finished run, without training, to the bars that `overrides` name."""
    document = read_config(run).model_dump(mode="json")
    require_local_master(document, f"run {run.run_id}", overrides)  # a run may be somebody else's
    document["name"] = f"{document['name'].removesuffix('-predict')}-predict"[:40]
    document["train"] |= {"epochs": 0, "weights": run.uri}
    return _plan("predict", target, parse(document, overrides), root, None)


def source_name(config: str | None, overrides: Sequence[str]) -> str:
    """The source of bars that a configuration asks for."""
    return load(config, [str(word) for word in overrides]).market.source


def read_config(layout: RunLayout) -> RunConfig:
    """The configuration of an existing run."""
    try:
        return parse(storage.read_json(layout.config))
    except ObjectNotFoundError:
        raise UsageError(f"no run {layout.run_id} in {layout.uri.rsplit('/', 1)[0]}", hint="cloudlstm runs") from None


def find_run(root: str | None, run: str | None, *, among: Callable[[RunLayout], bool] | None = None) -> RunLayout:
    """The run that was named, or the one that was submitted last.

    Args:
        root: Where runs lie, as typed.
        run: A run id below the root, a part that one id alone has, or a run's whole URI.
        among: Which runs may be taken unnamed; where it holds for none, the last of all is.
    """
    if run and "://" in run:
        return RunLayout(storage.absolute(run).rstrip("/"))
    base = root_uri(root)
    if run:
        return RunLayout.of(base, chosen_id(run, run_ids(base), base))
    found = [RunLayout.of(base, run_id) for run_id in run_ids(base)]
    if not found:
        raise UsageError(f"no runs in {base}", hint="cloudlstm submit, or name another place with --root")
    return max([each for each in found if among and among(each)] or found, key=_last_submitted)


def chosen_id(name: str, ids: Sequence[str], root: str) -> str:
    """The run that a word means: an id, or a part that one id alone has."""
    found = [name] if name in ids else [run_id for run_id in ids if name in run_id]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no run {name} in {root}", hint=f"cloudlstm runs --root={root}")
    raise UsageError(f"{name!r} means more than one run: {', '.join(found[:5])}", hint="more letters of its id")


def is_finished(layout: RunLayout) -> bool:
    """Whether the run has a report."""
    return storage.exists(layout.report("report.json"))


def is_trained(layout: RunLayout) -> bool:
    """Whether the run is finished and has weights of its own, which a run of `predict` has not."""
    return is_finished(layout) and read_config(layout).train.epochs > 0


def run_ids(root: str) -> list[str]:
    """The ids of all runs below a root."""
    prefix = index(root)
    return [item.uri.removeprefix(prefix) for item in storage.list_objects(prefix)]


def _last_submitted(layout: RunLayout) -> float:
    owner = read_owner(layout, latest_attempt(layout))
    return owner.started if owner else 0.0


def _plan(verb: str, target: Target, config: RunConfig, root: str | None, run: str | None) -> Plan:
    root = root or target.root
    config = _with_absolute_paths(config)
    document = config.model_dump(mode="json")
    run_id = run or f"{config.name}-{fingerprint(config.identity())[:8]}"
    layout = RunLayout.of(root_uri(root), run_id)
    if storage.scheme_of(layout.uri) == "memory":
        raise UsageError(
            "memory:// ends with each process, so a run cannot lie there", hint="use a folder, s3:// or gs://"
        )
    if target.root and storage.scheme_of(layout.uri) != storage.scheme_of(target.root):
        raise UsageError(
            f"{layout.uri} is no place for a run on {target.name}: its machines would not reach it",
            hint=f"leave --root out for {target.root}",
        )
    requests = [
        {"action": "write", "uri": layout.config, "document": document},
        {"action": "write", "uri": index(root_uri(root), run_id), "document": {"run": run_id}},
        *({"action": "job", **target.request(job, config, layout)} for job in JOBS),
    ]
    return Plan(verb, layout.uri, tuple(requests))


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
