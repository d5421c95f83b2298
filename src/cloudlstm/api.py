"""The interface for notebooks: submits a run, opens a run, lists the runs below a root."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from cloudlstm import storage
from cloudlstm.cli import find, plans
from cloudlstm.cli.records import gather
from cloudlstm.cli.submit import launch
from cloudlstm.config import RunConfig, load, parse
from cloudlstm.config.overrides import toml
from cloudlstm.errors import CloudLSTMError, ConfigError, UsageError
from cloudlstm.notebook.run import Run
from cloudlstm.notebook.run_list import Runs
from cloudlstm.notebook.windows import Windows
from cloudlstm.runs import attempts, own_packages
from cloudlstm.runs.index import run_ids
from cloudlstm.runs.paths import RunPaths
from cloudlstm.storage.endpoints import fail_when_nothing_listens
from cloudlstm.targets import open_target

__all__ = ["CloudLSTMError", "Run", "Runs", "Windows", "list_runs", "open_run", "submit"]


def submit(
    config: str | os.PathLike[str] | Mapping[str, Any] | RunConfig | None = None,
    *,
    run: str | None = None,
    root: str | None = None,
    target: str | None = None,
    wait: bool = False,
    trust_endpoints: bool = False,
    quiet: bool = False,
    **overrides: Any,
) -> Run:
    """Runs the pipeline from bars to a report, as the command `cloudlstm submit` does; returns the finished run.

    The same submit again continues where an earlier one stopped; finished steps are skipped.

    Args:
        config: A TOML file (path or URI), nested settings such as {"train": {"epochs": 3}}, or a RunConfig. None takes
            the defaults.
        run: The id of the run; None for the name of the configuration and a hash of its settings.
        root: The folder of all runs: a path, s3://bucket/prefix or gs://bucket/prefix; None for $CLOUDLSTM_ROOT, else
            ./runs.
        target: Where the jobs run: a Terraform directory, a file of `terraform output -json`, or the URI of a bucket;
            None for this machine.
        wait: Wait while another run uses the trainers of the target.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
        quiet: Show no progress.
        overrides: Settings that replace those of `config`. Two underscores stand for the dot: train__epochs=3 sets
            train.epochs. `**{"train.epochs": 3}` does the same.

    Raises:
        ConfigError: The configuration is not valid; the message names every problem.
        CloudLSTMError: The run cannot start, or one of its jobs failed.
    """
    fail_when_nothing_listens()
    words = [_word(name.replace("__", "."), value) for name, value in overrides.items()]
    if config is None or isinstance(config, str | os.PathLike):
        settings = load(None if config is None else os.fspath(config), words)
        own_packages.look_beside(None if config is None else os.fspath(config))
    else:
        settings = parse(config.model_dump(mode="json") if isinstance(config, RunConfig) else config, words)
    chosen = open_target(target, wait=wait, trust_endpoints=trust_endpoints)
    plan = plans.make_plan("submit", chosen, settings, root, run)
    return Run(launch(plan, chosen, quiet=quiet))


def open_run(run: str | os.PathLike[str] | None = None, root: str | None = None) -> Run:
    """Opens a run without reading its data.

    Args:
        run: The URI or path of a run, its id, or a part that only one id has; None for the last run below the root.
        root: The folder of all runs, as for `submit`.

    Raises:
        UsageError: There is no such run.
    """
    fail_when_nothing_listens()
    name = None if run is None else os.fspath(run)
    if name and "/" in name:
        name = storage.absolute(name)
    paths = find.find_run(root, name)
    if not (storage.exists(paths.config) or attempts.latest_attempt(paths)):
        raise UsageError(f"no run {paths.run_id} in {paths.root}", hint=f"cloudlstm.list_runs({paths.root!r})")
    return Run(paths)


def list_runs(root: str | None = None) -> Runs:
    """All runs below a root with their settings and results, the newest first. `root` is as for `submit`."""
    fail_when_nothing_listens()
    base = find.root_uri(root)
    records = gather(RunPaths.of(base, run_id) for run_id in run_ids(base))
    return Runs(base, [record for record in records if record.attempts])


def _word(key: str, value: Any) -> str:
    """Formats one setting as `key=value`."""
    if value is None:
        raise ConfigError(f"{key} cannot be None", hint="leave it out for the default")
    return f"{key}={toml(value)}"
