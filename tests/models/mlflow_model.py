"""A model with versions that nobody trained, and its copy in MLflow."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudlstm import storage
from cloudlstm.models import registry
from cloudlstm.models.documents import Kind, Recipe, Version
from cloudlstm.models.mlflow_facts import VERSION
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.policy import OtherRecipe, Policy
from cloudlstm.runs import numbered
from cloudlstm.runs.paths import RunPaths

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SETTINGS = {"market": {"source": "files", "tickers": [f"T{number:04d}" for number in range(300)]},
            "model": {"units": 32, "dropout": None}, "name": "",
            "many": dict.fromkeys(map(str, range(150)), 1)}  # fmt: skip
POLICY = Policy(others=(OtherRecipe("small", ("model.units=8",)),))


def weights_of(number: int) -> bytes:
    """Small arrays, other ones for each version."""
    held = io.BytesIO()
    np.savez(held, kernel=np.full((3, 4), number, np.float32))
    return held.getvalue()


def make_model(root: str, name: str = "core") -> ModelPaths:
    """A model with one version, which is the champion, and the report of the version's run."""
    paths = ModelPaths.of(root, name)
    run = RunPaths.of(root, "first")
    numbered.create(paths.recipe, asdict(Recipe(name, run.uri, SETTINGS, f"{root}/bars/x", POLICY)))
    add_version(paths, 1, "created")
    registry.move(paths, 1, "2024-05-31", "created", ())
    registry.mark(paths)
    storage.write_json(run.report("report.json"), {"models": []})
    storage.write(run.report("report.html"), b"<p>report")
    return paths


def add_version(paths: ModelPaths, number: int, kind: Kind, *, recipe: str = "", parent: int | None = None) -> Version:
    """Adds a version; all but the first are of a run that is deleted."""
    evidence = {"lstm": {"rmse_return": 0.01 * number, "dm_p": 0.25}, "naive": {"rmse_return": 0.02}}
    run = RunPaths.of(paths.root, "first" if number == 1 else f"gone-{number}").uri
    version = Version(
        number=number, kind=kind, recipe=recipe, run=run, parent=parent, made=f"2024-06-{number:02d}",
        seen="2024-04-30", window_bars=60, horizon_bars=1, digests={"train": "0" * 16}, evidence=evidence,
    )  # fmt: skip
    registry.add_version(paths, version, weights_of(number), json.dumps({"number": number}).encode(), b"null")
    return version


def runs_by_version(client: MlflowClient, paths: ModelPaths) -> dict[str, Run]:
    """The runs of the model's experiment by the URI of their version; a version with two runs is an error."""
    experiment = client.get_experiment_by_name(paths.name)
    assert experiment is not None
    found = list(client.search_runs([experiment.experiment_id]))
    by_version = {run.data.tags[VERSION]: run for run in found}
    assert len(by_version) == len(found)
    return by_version


def everything(client: MlflowClient, paths: ModelPaths) -> dict[str, Any]:
    """All that MLflow holds of the model, with the times of the last change."""
    registered = client.get_registered_model(paths.name)
    runs = runs_by_version(client, paths)
    return {
        "runs": {uri: run.to_dictionary() for uri, run in runs.items()},
        "metrics": {uri: [[dict(each) for each in client.get_metric_history(run.info.run_id, name)]
                          for name in sorted(run.data.metrics)] for uri, run in runs.items()},
        "files": {uri: sorted((each.path, each.file_size) for folder in (None, "model")
                              for each in client.list_artifacts(run.info.run_id, folder)) for uri, run in runs.items()},
        "model": dict(registered),
        "versions": sorted((dict(each) for each in client.search_model_versions(f"name='{paths.name}'")),
                           key=lambda each: int(each["version"])),
    }  # fmt: skip
