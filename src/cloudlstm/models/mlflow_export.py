"""Exports a model to an MLflow tracking server: a run and a registered version for each version, and the champion.

A second export adds what is missing and changes nothing else. A run gets the status FINISHED when all its facts are
stored, so an export that was interrupted is completed by the next one.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cloudlstm.errors import CloudLSTMError, ExportError, MissingExtraError, UsageError
from cloudlstm.models import mlflow_facts as facts
from cloudlstm.models import registry
from cloudlstm.models.documents import CHAMPION, Move, Version
from cloudlstm.models.paths import ModelPaths
from cloudlstm.text.printable import shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_OLDEST = (3, 17)
_INSTALL = "pip install 'cloudlstm[mlflow]'"
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's 7 take minutes until it says that a server is down
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
"""Environment variables of MLflow that get these values unless the user has set them."""
_PARAMS_AT_ONCE = 100
_LONGEST_REASON = 300
_FINISHED = "FINISHED"
_MISSING = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export changed.

    Attributes:
        name: The model, and the experiment and registered model in MLflow.
        to: The tracking URI without credentials.
        added: Numbers of the versions that MLflow did not have completely before.
        champion: The champion, which has the alias; None if the model has none.
        moved: Whether the alias was set or moved.
    """

    name: str
    to: str
    added: tuple[int, ...]
    champion: int | None
    moved: bool


def export(paths: ModelPaths, tracking_uri: str) -> Exported:
    """Exports all versions of a model, and sets the alias `champion`.

    Args:
        paths: The model.
        tracking_uri: The MLflow server or database, such as http://127.0.0.1:5000 or sqlite:////home/me/mlflow.db.

    Raises:
        MissingExtraError: MLflow is not installed, or another release, or a package that a database needs.
        ExportError: The server does not answer, or refuses something. What it has taken stays there, and the next
            export completes it.
        UsageError: The server has a registered model of this name that was not exported from this model.
    """
    if not tracking_uri.strip():
        raise UsageError("the tracking URI of MLflow is empty", hint="--to=http://127.0.0.1:5000")
    recipe, versions, moves = registry.recipe_of(paths), registry.versions_of(paths), registry.moves_of(paths)
    with _told(tracking_uri, paths.name):
        client = _connect(tracking_uri)
        _claim_name(client, paths, shown(tracking_uri))
        experiment = _experiment(client, paths)
        runs, registered = _runs(client, experiment), _registered(client, paths.name)
        added = []
        for version in versions:
            uri, tags = paths.version(version.number), facts.tags_of(paths, version, moves)
            run = runs.get(uri) or client.create_run(
                experiment, tags={facts.VERSION: uri}, run_name=f"{paths.name} version {version.number}"
            )
            complete = run.info.status == _FINISHED and uri in registered
            if run.info.status != _FINISHED:
                _log(client, run, facts.params_of(recipe, version), version, tags)
                _upload(client, run.info.run_id, paths, version)
            if uri not in registered:
                registered[uri] = client.create_model_version(
                    paths.name, f"{run.info.artifact_uri}/{facts.FOLDER}", run.info.run_id, tags=tags,
                    await_creation_for=0,
                )  # fmt: skip
            if run.info.status != _FINISHED:
                client.set_terminated(run.info.run_id, _FINISHED)
            if not complete:
                added.append(version.number)
            _update_moves(client, run, registered[uri], tags.get(facts.MOVES))
        moved = _set_champion(client, paths, moves, registered)
    return Exported(paths.name, shown(tracking_uri), tuple(added), moves[-1].version if moves else None, moved)


def shown(tracking_uri: str) -> str:
    """A tracking URI without its credentials: without user, password and query."""
    if tracking_uri.startswith(("sqlite:", "file:")):
        return tracking_uri
    return re.sub(r"//.*@", "//", re.split(r"[?#]", tracking_uri.strip())[0], count=1)


def hidden(text: str, tracking_uri: str) -> str:
    """A text of MLflow without the credentials of the tracking URI, on one line."""
    found = re.search(r"//(.*)@", tracking_uri)
    user = found[1] if found else ""
    password = user.partition(":")[2] or user  # a token may stand alone, without a password
    query = re.split(r"[?#]", tracking_uri, maxsplit=1)[1:] if shown(tracking_uri) != tracking_uri else []
    text = text.replace(tracking_uri, shown(tracking_uri))
    secrets = {f"{user}@": "", password: "***", unquote(password): "***"} | dict.fromkeys(query, "***")
    for secret, instead in secrets.items():
        if secret.strip(":@"):
            text = text.replace(secret, instead)
    return " ".join(text.split())


@contextmanager
def _told(tracking_uri: str, name: str) -> Iterator[None]:
    """Turns what MLflow and its packages raise into one error: each kind of server has exceptions of its own."""
    try:
        yield
    except CloudLSTMError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"MLflow at {shown(tracking_uri)} needs a package that is missing ({error.name})",
            hint="for a database: pip install sqlalchemy alembic; or the address of an MLflow server",
        ) from None
    except Exception as error:
        reason = shortened(hidden(str(error) or type(error).__name__, tracking_uri), _LONGEST_REASON)
        raise ExportError(
            f"MLflow at {shown(tracking_uri)} did not take model {name}: {reason}",
            hint="check the server and the rights there; the same command again completes the export",
        ) from None


def _connect(tracking_uri: str) -> MlflowClient:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for variable, value in _DEFAULTS.items():
        os.environ.setdefault(variable, value)
    try:
        import mlflow
        from mlflow import MlflowClient
    except ImportError:
        raise MissingExtraError("exporting to MLflow needs mlflow-skinny", hint=_INSTALL) from None
    if tuple(int(part) for part in re.findall(r"\d+", mlflow.__version__)[:2]) < _OLDEST:
        raise MissingExtraError(
            f"exporting to MLflow needs release 3.17 of it or newer, and {mlflow.__version__} is installed",
            hint=f"pip uninstall mlflow mlflow-skinny; {_INSTALL}",
        )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return MlflowClient(tracking_uri)


def _claim_name(client: MlflowClient, paths: ModelPaths, place: str) -> None:
    """Registers the model, or makes sure that the registered one was exported from this model."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_registered_model(paths.name)
    except MlflowException as error:
        if error.error_code != _MISSING:
            raise
        client.create_registered_model(paths.name, tags={facts.MODEL: paths.uri})
        return
    other = found.tags.get(facts.MODEL)
    if other != paths.uri:
        raise UsageError(
            f"MLflow at {place} has another registered model {paths.name}: {other or 'not of cloudlstm'}",
            hint="another tracking server; or rename or delete the registered model there",
        )


def _experiment(client: MlflowClient, paths: ModelPaths) -> str:
    """The id of the experiment with the model's name."""
    found = client.get_experiment_by_name(paths.name)
    return str(found.experiment_id if found else client.create_experiment(paths.name))


def _runs(client: MlflowClient, experiment: str) -> dict[str, Run]:
    """The runs of earlier exports by the URI of their version. Runs that the user deleted do not count."""
    found = _pages(client.search_runs, experiment_ids=[experiment], filter_string=f"tags.\"{facts.VERSION}\" LIKE '%'")
    return {run.data.tags[facts.VERSION]: run for run in found}


def _registered(client: MlflowClient, name: str) -> dict[str, ModelVersion]:
    """The registered versions of earlier exports by the URI of their version."""
    found = _pages(client.search_model_versions, filter_string=f"name='{name}'")
    return {each.tags[facts.VERSION]: each for each in found if facts.VERSION in each.tags}


def _pages(search: Any, **words: Any) -> Iterator[Any]:
    """Yields all results of a search that returns pages."""
    token = None
    while True:
        page = search(**words, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _log(client: MlflowClient, run: Run, params: dict[str, str], version: Version, tags: dict[str, str]) -> None:
    """Stores parameters, metrics and tags of a run. The same again changes nothing, as values and times are equal."""
    from mlflow.entities import Metric, Param, RunTag

    made = dt.datetime.combine(dt.date.fromisoformat(version.made), dt.time(), dt.UTC)
    moment = int(made.timestamp() * 1000)
    metrics = [Metric(name, value, moment, 0) for name, value in facts.metrics_of(version).items()]
    client.log_batch(run.info.run_id, metrics=metrics, tags=[RunTag(name, value) for name, value in tags.items()])
    pairs = [Param(name, value) for name, value in params.items() if name not in run.data.params]
    for begin in range(0, len(pairs), _PARAMS_AT_ONCE):
        client.log_batch(run.info.run_id, params=pairs[begin : begin + _PARAMS_AT_ONCE])


def _upload(client: MlflowClient, run: str, paths: ModelPaths, version: Version) -> None:
    """Stores the artifacts of a run."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in facts.files_of(paths, version):
            place = Path(folder, name)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
        client.log_artifacts(run, folder)


def _update_moves(client: MlflowClient, run: Run, registered: ModelVersion, moves: str | None) -> None:
    """Brings the tag of the champion's moves up to date."""
    if moves and run.data.tags.get(facts.MOVES) != moves:
        client.set_tag(run.info.run_id, facts.MOVES, moves)
    if moves and registered.tags.get(facts.MOVES) != moves:
        client.set_model_version_tag(registered.name, str(registered.version), facts.MOVES, moves)


def _set_champion(
    client: MlflowClient, paths: ModelPaths, moves: Sequence[Move], registered: dict[str, ModelVersion]
) -> bool:
    """Gives the champion the alias; False if it has it already, or there is none."""
    if not moves:
        return False
    wanted = str(registered[paths.version(moves[-1].version)].version)
    current = client.get_registered_model(paths.name).aliases.get(CHAMPION)
    if current is not None and str(current) == wanted:
        return False
    client.set_registered_model_alias(paths.name, CHAMPION, wanted)
    return True
