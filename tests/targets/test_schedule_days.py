"""Days that begin by the schedule of a target, on each emulated cloud under its clock."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from localstack.cloud import Cloud

from cloud_fixtures import PYTHON, SCHEDULE
from cloudlstm import __version__, storage
from cloudlstm.cli.schedule import describe
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.registry import day_dates, day_of, versions_of
from cloudlstm.targets.bundle import wheelhouse
from cloudlstm.targets.schedule import launches
from emulator_fixtures import environment_of
from models.daily.recorded import CONFIG, write_market
from models.daily.untrained import make_model
from on_emulators import until
from pipeline.cli_runner import cloudlstm, one_run, write_config
from python_archive import python_archive
from spark_clusters import end_cluster, own_target
from targets.scheduled_days import ScheduledDays

FIRST, SECOND, THIRD, HOLIDAY, LAST = (dt.date(2021, 6, 30), dt.date(2021, 7, 1), dt.date(2021, 7, 2),
                                       dt.date(2021, 7, 5), dt.date(2021, 7, 6))  # fmt: skip
POLICY = ("warm_every=3", "warm_epochs=1", "cold_every=none")
"""A training is due on the fourth session."""


@pytest.fixture(params=["aws", "gcp"])
def days(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScheduledDays]:
    """A target whose schedule has a model that exists and one that does not."""
    cloud: Cloud = request.getfixturevalue(f"{request.param}_cloud")
    schedule = SCHEDULE | {"models": ["m", "nobody"]}
    with environment_of(cloud.environment), own_target(cloud, "scheduled", schedule=schedule) as document:
        made = ScheduledDays(cloud, document)
        for file in write_market(tmp_path / "bars", tickers=3).iterdir():
            storage.write(f"{made.root}/files/{file.name}", file.read_bytes())
        config = write_config(tmp_path, CONFIG.format(path=f"{made.root}/files/*.csv"))
        done = cloudlstm("submit", f"--config={config}", f"--root={made.root}")
        assert done.returncode == 0, done.stderr
        run = one_run(made.root).rsplit("/", 1)[1]
        done = cloudlstm("models", "create", "m", f"--run={run}", f"--root={made.root}", *POLICY)
        assert done.returncode == 0, done.stderr
        made.wait_for(FIRST)
        yield made
        made.cloud.control.reset_clock()


def test_days_begin_by_the_schedule_and_a_killed_launcher_is_made_up_for(days: ScheduledDays) -> None:
    sent = json.loads(days.run("schedule", "--json").stdout)
    assert sent["next"] == "2021-06-30T22:30:00Z"
    assert sent["code"]["sent"]
    assert sent["code"]["version"] == __version__
    assert [each for each in sent["warnings"] if "no model nobody" in each]
    again = json.loads(days.run("schedule", "--json").stdout)
    assert again == sent | {"code": sent["code"] | {"sent": False}}

    model = ModelPaths.of(days.root, "m")
    launch = days.evening(FIRST)
    assert [(each.model, each.status) for each in launch.models] == [("m", 0), ("nobody", 2)]
    assert launch.acted == "2021-06-30T22:30:00Z"
    assert day_dates(model) == [FIRST.isoformat()]

    days.begin(SECOND)  # killed in the middle: its group replaces it, and the day is done in the same evening
    days.at_work()
    days.kill()
    assert days.left().models[0].status == 0
    assert day_dates(model) == [FIRST.isoformat(), SECOND.isoformat()]

    days.begin(THIRD)  # ended for good: nothing is done
    days.at_work()
    days.hold()
    down = days.run("down")
    assert f"set {days.group} from 1 machine to 0" in down.stdout
    assert "the schedule goes on" in down.stderr
    until(lambda: not days.machines(), "the launcher to be gone")

    assert days.evening(HOLIDAY).models[0].status == 0  # the exchange is closed, and Friday is made up for
    assert day_dates(model) == [each.isoformat() for each in (FIRST, SECOND, THIRD)]
    end_cluster(days.config)  # as it does after an hour without work: the training starts another one
    assert days.evening(LAST).models[0].status == 0
    (training,) = day_of(model, LAST.isoformat()).due  # on the target: the launcher submits it, and waits
    assert [(each.number, each.run) for each in versions_of(model)][1:] == [(2, f"{days.root}/{training.run}")]
    clusters = [step["cluster"] for step in days.cloud.control.state()["steps"] if training.run in str(step["name"])]
    assert clusters
    if days.config.cloud == "aws":
        assert days.config.spark_cluster not in clusters
    assert days.cloud.control.state()["groups"][days.config.trainer_group] == 0
    verified = cloudlstm("models", "verify", "m", f"--root={days.root}", "--json")
    assert json.loads(verified.stdout)["records"] == 4
    assert [name for name, _ in launches(days.root, 9)] == [
        f"{day.isoformat()}/0001" for day in (LAST, HOLIDAY, SECOND, FIRST)
    ]
    shown = days.run("schedule", "--dry-run").stdout
    assert "2021-07-06/0001" in shown
    assert "m done, nobody usage error" in shown
    assert days.cloud.control.state()["problems"] == []


def test_a_launcher_without_packages_installs_them_from_the_bucket(
    aws_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By bootstrap/trainer.sh itself. Nothing else is installed, so the list of its packages is complete."""
    if PYTHON not in wheelhouse.python_builds():
        pytest.skip(f"launchers have no Python {PYTHON}")
    monkeypatch.setenv(wheelhouse.PYTHON_ARCHIVE, python_archive(tmp_path / "python.tar"))
    monkeypatch.setattr(wheelhouse, "user_cache", lambda *names: tmp_path.joinpath("cache", *names))
    settings = SCHEDULE | {"models": ["m"], "python": ""}
    with environment_of(aws_cloud.environment), own_target(aws_cloud, "bare", schedule=settings) as document:
        days = ScheduledDays(aws_cloud, document)
        for file in write_market(tmp_path / "bars", tickers=3).iterdir():
            storage.write(f"{days.root}/files/{file.name}", file.read_bytes())
        make_model(days.root, "m", f"{days.root}/files")
        days.wait_for(FIRST)
        try:
            describe(days.config, send=True)
            (done,) = days.evening(FIRST).models
        finally:
            aws_cloud.control.reset_clock()
    assert (done.status, done.log.splitlines()[1]) == (0, "day 2021-06-30: done")
