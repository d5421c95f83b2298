"""`models export` brings a model to MLflow; the tests use a real tracking database in a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.errors import ExportError, MissingExtraError, ObjectNotFoundError, UsageError
from cloudlstm.models import registry
from cloudlstm.models.mlflow_export import export
from cloudlstm.models.mlflow_facts import MODEL, MOVES, VERSION
from cloudlstm.models.paths import ModelPaths
from models.mlflow_model import add_version, everything, make_model, runs_by_version, weights_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

SOURCES = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking database with tables and nothing in them: to make one takes seconds."""
    from mlflow import MlflowClient

    place = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{place}").search_registered_models()
    return place


@pytest.fixture
def tracking(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tracking database of the test. MLflow puts the files beside it, into the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def client(tracking: str) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(tracking)


@pytest.fixture
def paths(tmp_path: Path) -> ModelPaths:
    return make_model(f"file://{tmp_path}/it's runs")


def champion(client: MlflowClient, paths: ModelPaths) -> str:
    """The URI of the version that has the alias."""
    found = client.get_model_version_by_alias(paths.name, "champion")
    return str(found.tags[VERSION])


def test_all_facts_of_all_versions_come_back(
    client: MlflowClient, tracking: str, paths: ModelPaths, tmp_path: Path
) -> None:
    add_version(paths, 2, "recipe", recipe="small")
    add_version(paths, 3, "warm", parent=1)
    done = export(paths, tracking)
    assert (done.added, done.champion, done.moved, done.to) == ((1, 2, 3), 1, True, tracking)

    runs = runs_by_version(client, paths)
    assert list(map(paths.version, (1, 2, 3))) == sorted(runs)
    first, second, third = (runs[paths.version(number)] for number in (1, 2, 3))
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    units = "recipe.model.units"
    assert [run.data.params[units] for run in (first, second, third)] == ["32", "8", "32"]
    assert first.data.params["policy.warm_every"] == "21"
    assert first.data.params["window_bars"] == "60"
    assert len(first.data.params["recipe.market.tickers"]) == 500
    assert sum(name.startswith("recipe.many.") for name in first.data.params) == 150, "more than a request may have"
    assert third.data.metrics == {"lstm.rmse_return": 0.03, "lstm.dm_p": 0.25, "naive.rmse_return": 0.02}
    tags = {name.removeprefix("cloudlstm."): text for name, text in third.data.tags.items() if "cloudlstm." in name}
    assert tags == {"version": paths.version(3), "number": "3", "kind": "warm", "parent": "1", "made": "2024-06-03",
                    "seen": "2024-04-30", "run": registry.version_of(paths, 3).run}  # fmt: skip
    assert second.data.tags["cloudlstm.recipe"] == "small"
    assert first.data.tags[MOVES] == "2024-05-31 created"

    copied = Path(client.download_artifacts(first.info.run_id, "", str(tmp_path)))
    assert (copied / "model" / "weights.npz").read_bytes() == weights_of(1)
    assert json.loads((copied / "model" / "inputs.json").read_text()) == {"number": 1}
    assert json.loads((copied / "model" / "version.json").read_text())["number"] == 1
    assert (copied / "report.html").read_text() == "<p>report"
    assert (copied / "report.json").exists()
    assert [each.path for each in client.list_artifacts(third.info.run_id)] == ["model"], "its run was deleted"

    assert client.get_registered_model(paths.name).tags == {MODEL: paths.uri}
    registered = {each.tags[VERSION]: each for each in client.search_model_versions(f"name='{paths.name}'")}
    assert {uri: each.run_id for uri, each in registered.items()} == {uri: run.info.run_id for uri, run in runs.items()}
    assert registered[paths.version(3)].tags == {f"cloudlstm.{name}": text for name, text in tags.items()}
    folder = Path(str(registered[paths.version(3)].source))
    assert (folder / "weights.npz").read_bytes() == weights_of(3)
    assert champion(client, paths) == paths.version(1)


def test_the_second_export_changes_nothing_and_a_later_one_adds_what_is_new(
    client: MlflowClient, tracking: str, paths: ModelPaths
) -> None:
    export(paths, tracking)
    before = everything(client, paths)
    again = export(paths, tracking)
    assert (again.added, again.moved) == ((), False)
    assert everything(client, paths) == before
    add_version(paths, 2, "cold")
    assert export(paths, tracking).added == (2,)
    after = everything(client, paths)
    assert after["runs"].keys() - before["runs"].keys() == {paths.version(2)}
    assert after["runs"][paths.version(1)] == before["runs"][paths.version(1)]


def test_the_alias_and_the_moves_follow_the_champion(client: MlflowClient, tracking: str, paths: ModelPaths) -> None:
    add_version(paths, 2, "cold")
    export(paths, tracking)
    registry.move(paths, 2, "2024-06-10", "skill", ())
    done = export(paths, tracking)
    assert (done.added, done.champion, done.moved) == ((), 2, True)
    assert champion(client, paths) == paths.version(2)
    registry.move(paths, 1, "2024-06-12", "rollback", ())
    export(paths, tracking)
    assert champion(client, paths) == paths.version(1)
    expected = {paths.version(1): "2024-05-31 created; 2024-06-12 rollback (after version 2)",
                paths.version(2): "2024-06-10 skill (after version 1)"}  # fmt: skip
    assert {uri: run.data.tags[MOVES] for uri, run in runs_by_version(client, paths).items()} == expected
    found = client.search_model_versions(f"name='{paths.name}'")
    assert {each.tags[VERSION]: each.tags[MOVES] for each in found} == expected


def test_an_interrupted_export_is_completed(
    client: MlflowClient, tracking: str, paths: ModelPaths, tmp_path: Path
) -> None:
    add_version(paths, 2, "cold")
    (tmp_path / "mlruns").write_text("a file where MLflow makes a folder")
    with pytest.raises(ExportError, match="did not take model core"):
        export(paths, tracking)
    assert [run.info.status for run in runs_by_version(client, paths).values()] == ["RUNNING"]
    assert not client.search_model_versions(f"name='{paths.name}'")
    (tmp_path / "mlruns").unlink()
    assert export(paths, tracking).added == (1, 2)
    complete = everything(client, paths)
    assert {each["info"]["status"] for each in complete["runs"].values()} == {"FINISHED"}
    assert [len(history) for history in complete["metrics"][paths.version(1)]] == [1, 1, 1]
    assert len(complete["versions"]) == 2
    assert champion(client, paths) == paths.version(1)


def test_a_version_without_its_weights_is_not_registered(
    client: MlflowClient, tracking: str, paths: ModelPaths
) -> None:
    storage.delete(paths.version(1, "weights.npz"))
    with pytest.raises(ObjectNotFoundError, match="weights"):
        export(paths, tracking)
    assert not client.search_model_versions(f"name='{paths.name}'")


def test_another_model_of_the_same_name_is_left_alone(
    client: MlflowClient, tracking: str, paths: ModelPaths, tmp_path: Path
) -> None:
    client.create_registered_model("core")
    with pytest.raises(UsageError, match="another registered model core: not of cloudlstm"):
        export(paths, tracking)
    client.delete_registered_model("core")
    export(paths, tracking)
    other = make_model(f"file://{tmp_path}/other")
    before = everything(client, paths)
    with pytest.raises(UsageError, match="another registered model core"):
        export(other, tracking)
    assert everything(client, paths) == before


def test_the_command_exports(
    client: MlflowClient, tracking: str, paths: ModelPaths,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words = ["models", "export", "core", f"--root={paths.root}"]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(words) == 2
    assert "models export needs the address of an MLflow server" in capsys.readouterr().err
    assert main([*words, f"--to={tracking}"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed == f"1 version of core exported to {tracking}; version 1 is the champion there"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == []
    assert champion(client, paths) == paths.version(1)


ALONE = """
import sys
seen = []
def note(event, words):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        seen.append((event, str(words[1:] if event != "socket.getaddrinfo" else words[:2])))
sys.addaudithook(note)
import os, threading
from cloudlstm.models.mlflow_export import export
from cloudlstm.models.paths import ModelPaths
export(ModelPaths(sys.argv[1]), sys.argv[2])
import mlflow
for each in threading.enumerate():
    if each is not threading.current_thread() and not each.daemon:
        each.join()
print([seen, os.environ["MLFLOW_DISABLE_TELEMETRY"]])
"""


def test_mlflow_reports_nothing_to_its_makers(tracking: str, paths: ModelPaths, tmp_path: Path) -> None:
    # A process of its own: inside pytest, and on a server for builds, MLflow reports nothing anyway.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(SOURCES)}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, paths.uri, tracking],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[[], 'true']"]
    assert not done.stderr


@pytest.mark.parametrize("installed", [None, "1.27.0"])
def test_without_the_extra_it_says_what_to_install(installed: str | None, paths: ModelPaths, tmp_path: Path) -> None:
    # A package that shadows the installed one: it is missing, or of 2022 as `pip install mlflow` chooses it.
    place = tmp_path / "shadow" / "mlflow"
    place.mkdir(parents=True)
    text = f"class MlflowClient: ...\n__version__ = {installed!r}\n" if installed else "raise ModuleNotFoundError()"
    (place / "__init__.py").write_text(text)
    environment = os.environ | {"PYTHONPATH": f"{place.parent}:{SOURCES}"}
    done = subprocess.run(
        [sys.executable, "-m", "cloudlstm", "models", "export", "core", f"--root={paths.root}", "--to=sqlite:///x.db"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == MissingExtraError.exit_code
    assert ("and 1.27.0 is installed" if installed else "needs mlflow-skinny") in done.stderr
    assert "pip install 'cloudlstm[mlflow]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x.db").exists()
