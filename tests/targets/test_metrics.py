"""Figures of models in CloudWatch and Cloud Monitoring, and days that go on without them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from moto import mock_aws

from cloudlstm.cli.daily_run import run_daily
from cloudlstm.errors import BudgetError, CloudLSTMError, JobError, RunBusyError, TargetError, TargetUnavailableError
from cloudlstm.models.budget import spent, usage_of
from cloudlstm.models.day import run_day
from cloudlstm.models.documents import Due
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import open_target
from cloudlstm.targets.aws.metrics import CloudWatch
from cloudlstm.targets.cloud import CloudTarget
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp.metrics import CloudMonitoring
from cloudlstm.targets.polling import Intervals
from models.daily.machine_hours import worked
from models.daily.recorded import FIRST_DAY, change_rows, evenings, write_market
from models.daily.untrained import make_model
from monitoring_server import Served, served
from targets.test_requests import AWS, GCP

NOW = dt.datetime(2026, 11, 27, 22, 0, tzinfo=dt.UTC)
DAYS = list(evenings(FIRST_DAY, 4))


class Kept:
    """A service for metrics in memory: all points, in their order."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, float], float]] = []

    def put(self, model: str, figures: Mapping[str, float], at: float) -> None:
        self.sent.append((model, dict(figures), at))

    def take(self) -> dict[str, float]:
        """All figures since the last call; each must have been sent once."""
        found: dict[str, float] = {}
        for _, figures, _ in self.sent:
            assert not found.keys() & figures.keys()
            found |= figures
        self.sent = []
        return found


def cloud(metrics: Any) -> CloudTarget:
    return CloudTarget(TargetConfig.model_validate(AWS), None, None, None, metrics=metrics)  # type: ignore[arg-type]


@pytest.fixture
def paths(tmp_path: Path) -> ModelPaths:
    return make_model(f"file://{tmp_path}/runs", "m", write_market(tmp_path / "bars", tickers=2), warm_every=3)


def daily(paths: ModelPaths, number: int, target: Any, *, train: bool = True, give_up: bool = False) -> None:
    moment = DAYS[number][1]
    run_daily(paths, target, lambda: moment, train=train, give_up=give_up)


def test_a_day_sends_its_figures_once(paths: ModelPaths, tmp_path: Path) -> None:
    kept = Kept()
    daily(paths, 0, cloud(kept))
    assert {model for model, _, _ in kept.sent} == {"m"}
    assert {at for _, _, at in kept.sent} == {DAYS[0][1].timestamp()}
    first = kept.take()
    assert (first["up_to_date"], first["done"], first["refused"], first["failed"]) == (1.0, 1.0, 0.0, 0.0)
    assert first["forecasts"] == 2.0
    assert first["usd"] == first["usd_month"] == first["over_budget"] == 0.0
    assert first["seconds"] > 0.0
    assert "skill" not in first  # nothing was forecast before
    daily(paths, 0, cloud(kept))
    again = kept.take()
    assert again["up_to_date"] == 1.0
    assert "done" not in again  # or a day would count twice
    for file in (tmp_path / "bars").glob("*.csv"):
        change_rows(file, {DAYS[1][0].isoformat()}, -1.0)
    daily(paths, 1, cloud(kept))
    refused = kept.take()
    assert (refused["up_to_date"], refused["done"], refused["refused"]) == (1.0, 0.0, 1.0)


def test_skill_is_the_loss_against_naive(paths: ModelPaths) -> None:
    kept = Kept()
    for number in range(2):
        kept.sent = []
        daily(paths, number, cloud(kept))
    from cloudlstm.models import registry

    (outcome,) = registry.day_of(paths, DAYS[1][0].isoformat()).outcomes
    assert kept.take()["skill"] == pytest.approx(1 - outcome.loss["1"] / outcome.loss["naive"])


def test_a_training_that_fails_is_a_figure_and_the_day_stands(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> None:
        raise TargetError("cannot call RunJobFlow")

    kept = Kept()
    for number in range(3):
        daily(paths, number, cloud(kept))
        assert kept.take()["failed"] == 0.0
    monkeypatch.setattr("cloudlstm.cli.daily_run._train", failing)
    with pytest.raises(TargetError, match="RunJobFlow"):
        daily(paths, 3, cloud(kept))
    figures = kept.take()
    assert (figures["up_to_date"], figures["done"], figures["failed"]) == (1.0, 1.0, 1.0)


def test_a_day_that_fails_is_a_figure(paths: ModelPaths, tmp_path: Path) -> None:
    kept = Kept()
    for file in (tmp_path / "bars").glob("*.csv"):
        file.unlink()
    with pytest.raises(CloudLSTMError):
        daily(paths, 0, cloud(kept))
    assert kept.take() == {"failed": 1.0}


def test_a_day_without_its_trainings_leaves_them_and_their_figures_to_the_next_command(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    monkeypatch.setattr("cloudlstm.cli.daily_run._train", lambda _, __, due, *___: trained.append(due.name))
    kept = Kept()
    for number in range(3):
        daily(paths, number, cloud(kept), train=False)
        assert kept.take()["failed"] == 0.0  # none was due
    daily(paths, 3, cloud(kept), train=False)
    figures = kept.take()
    assert (figures["up_to_date"], figures["done"], trained) == (1.0, 1.0, [])
    assert "failed" not in figures
    assert {"over_budget", "usd_month", "usd", "seconds"} <= figures.keys()  # that command may be killed
    daily(paths, 3, cloud(kept))
    assert (kept.take()["failed"], trained) == (0.0, ["warm"])


def test_a_training_that_is_given_up_has_failed_and_is_due_again(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    monkeypatch.setattr("cloudlstm.cli.daily_run._train", lambda _, __, due, *___: trained.append(due.name))
    kept = Kept()
    for number in range(4):
        daily(paths, number, cloud(kept), train=False)
        kept.sent = []
        if number < 3:
            daily(paths, number, cloud(kept), give_up=True)
            assert kept.take()["failed"] == 0.0  # none was due
    with pytest.raises(JobError, match="no time for the training m-warm-"):
        daily(paths, 3, cloud(kept), give_up=True)
    assert (kept.take()["failed"], trained) == (1.0, [])
    daily(paths, 3, cloud(kept))
    assert (kept.take()["failed"], trained) == (0.0, ["warm"])


@pytest.mark.parametrize("error", [RunBusyError("trainers in use"), BudgetError("may cost 1 USD, and 0 are left")])
def test_a_training_that_another_process_does_has_not_failed(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch, error: CloudLSTMError
) -> None:
    """What it has cost so far is counted by that process. If nobody has the run, it is the error of other trainers."""

    def refused(paths: ModelPaths, _: Any, due: Due, *__: Any) -> None:
        worked(paths, due.run, 1.0)
        raise error

    kept = Kept()
    for number in range(3):
        daily(paths, number, cloud(kept))
    (due,) = run_day(paths, DAYS[3][1]).due
    kept.sent = []
    monkeypatch.setattr("cloudlstm.cli.daily_run._train", refused)
    with Attempt(RunPaths.of(paths.root, due.run)):
        daily(paths, 3, cloud(kept))
        figures = kept.take()
        assert figures["over_budget"] == 0.0
        assert "failed" not in figures
        assert usage_of(paths, DAYS[3][0].isoformat())["other_usd"] == 0.0
    with pytest.raises(type(error)):
        daily(paths, 3, cloud(kept))
    figures = kept.take()
    assert (figures["failed"], figures["over_budget"]) == (
        (1.0, 0.0) if isinstance(error, RunBusyError) else (0.0, 1.0)
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a defect")])
def test_a_command_that_is_cut_off_in_a_training_has_failed(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """SIGTERM of a launcher, or an error that nobody expected; what the training has cost counts."""

    def cut_off(paths: ModelPaths, _: Any, due: Due, *__: Any) -> None:
        costs.append(worked(paths, due.run, 1.5))
        raise error

    costs: list[float] = []
    kept = Kept()
    for number in range(3):
        daily(paths, number, cloud(kept))
    kept.sent = []
    monkeypatch.setattr("cloudlstm.cli.daily_run._train", cut_off)
    with pytest.raises(type(error)):
        daily(paths, 3, cloud(kept))
    figures = kept.take()
    assert (figures["up_to_date"], figures["done"], figures["failed"]) == (1.0, 1.0, 1.0)
    assert figures["usd_month"] == spent(paths, "2021-07")
    used = usage_of(paths, DAYS[3][0].isoformat())
    assert used["other_usd"] > 0.0
    assert figures["usd"] == used["usd"] == costs[0] + used["other_usd"] == spent(paths, "2021-07")


def test_a_day_that_is_cut_off_has_failed(paths: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: Any) -> None:
        raise KeyboardInterrupt

    kept = Kept()
    monkeypatch.setattr("cloudlstm.cli.daily_run.run_day", cut_off)
    with pytest.raises(KeyboardInterrupt):
        daily(paths, 0, cloud(kept))
    assert kept.take() == {"failed": 1.0}


def test_a_day_that_was_killed_before_its_figures_sends_them_with_the_next_command(paths: ModelPaths) -> None:
    kept = Kept()
    run_day(paths, DAYS[0][1])
    daily(paths, 0, cloud(kept))
    figures = kept.take()
    assert (figures["done"], figures["forecasts"]) == (1.0, 2.0)
    daily(paths, 0, cloud(kept))
    assert "done" not in kept.take()


def test_a_command_that_is_killed_in_a_training_has_sent_the_figures_of_its_day(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        """Stands for SIGKILL: nothing after it happens."""

    def killed(*_: Any) -> None:
        raise KilledError

    kept = Kept()
    monkeypatch.setattr("cloudlstm.cli.daily_run._train_all", killed)
    monkeypatch.setattr("cloudlstm.cli.daily_run._note", killed)
    with pytest.raises(KilledError):
        daily(paths, 0, cloud(kept))
    assert kept.take()["done"] == 1.0
    monkeypatch.undo()
    daily(paths, 0, cloud(kept))
    assert "done" not in kept.take()


def test_figures_are_sent_again_while_the_service_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Throttled(Kept):
        """Takes every second request."""

        refused = False

        def put(self, model: str, figures: Mapping[str, float], at: float) -> None:
            self.refused = not self.refused
            if self.refused:
                raise TargetUnavailableError("cannot send metrics to Cloud Monitoring: backend error (503)")
            super().put(model, figures, at)

    kept = Throttled()
    target = cloud(kept)
    monkeypatch.setattr(target, "_intervals", Intervals(0.0, 0.0))
    target.send_figures("m", {"done": 1.0}, 5.0)
    assert kept.sent == [("m", {"done": 1.0}, 5.0)]


def test_a_service_that_does_not_answer_fails_no_day(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cloudlstm.targets.cloud.FIGURES_LIMIT_S", 0.0)

    class Down:
        def put(self, *_: Any) -> None:
            raise TargetUnavailableError("cannot call PutMetricData of cloudwatch: throttled")

    daily(paths, 0, cloud(Down()))
    assert "note: figures were not sent: cannot call PutMetricData" in capsys.readouterr().err
    assert spent(paths, "2021-06") == 0.0


def test_figures_of_a_day_that_the_service_did_not_take_are_sent_by_the_next_command(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or nobody would learn that the day was refused, since it is done only once."""
    monkeypatch.setattr("cloudlstm.targets.cloud.FIGURES_LIMIT_S", 0.0)

    class Down(Kept):
        down = True

        def put(self, model: str, figures: Mapping[str, float], at: float) -> None:
            if self.down:
                raise TargetUnavailableError("cannot call PutMetricData of cloudwatch: throttled")
            super().put(model, figures, at)

    kept = Down()
    target = cloud(kept)
    daily(paths, 0, target)
    seconds = usage_of(paths, DAYS[0][0].isoformat())["seconds"]
    kept.down = False
    daily(paths, 0, target)
    figures = kept.take()
    assert (figures["up_to_date"], figures["done"], figures["refused"], figures["missed_sessions"]) == (1, 1, 0, 0)
    daily(paths, 0, target)
    assert "done" not in kept.take()
    assert usage_of(paths, DAYS[0][0].isoformat())["seconds"] == seconds  # the time of the day is that of the first


def test_without_a_target_nothing_is_sent(paths: ModelPaths, capsys: pytest.CaptureFixture[str]) -> None:
    daily(paths, 0, open_target(None))
    assert "figures" not in capsys.readouterr().err


def test_cloudwatch_has_the_points_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        store = CloudWatch(TargetConfig.model_validate(AWS))
        store.put("m", {"up_to_date": 1.0, "seconds": 12.5}, NOW.timestamp())
        client = boto3.client("cloudwatch", region_name="eu-central-1")
        assert [each["MetricName"] for each in client.list_metrics(Namespace="cloudlstm")["Metrics"]] == [
            "up_to_date", "seconds",
        ]  # fmt: skip
        (point,) = client.get_metric_statistics(
            Namespace="cloudlstm", MetricName="seconds", Statistics=["Sum"], Period=3600,
            Dimensions=[{"Name": "Target", "Value": "desk"}, {"Name": "Model", "Value": "m"}],
            StartTime=NOW - dt.timedelta(hours=1), EndTime=NOW + dt.timedelta(hours=1),
        )["Datapoints"]  # fmt: skip
        assert (point["Sum"], point["Unit"]) == (12.5, "Seconds")


@pytest.mark.parametrize(("kind", "document"), [(CloudWatch, AWS), (CloudMonitoring, GCP)])
def test_an_emulated_target_without_the_service_reaches_no_real_cloud(kind: Any, document: dict[str, Any]) -> None:
    config = TargetConfig.model_validate(document | {"endpoints": {"ec2": "http://127.0.0.1:9"}})
    with pytest.raises(TargetError, match="the target desk names endpoints, and none of them is of"):
        kind(config).put("m", {"done": 1.0}, 0.0)


@pytest.fixture
def google() -> Iterator[tuple[Served, CloudMonitoring]]:
    with served(NOW) as service:
        config = TargetConfig.model_validate(GCP | {"endpoints": {"monitoring": service.url}})
        yield service, CloudMonitoring(config)


def test_cloud_monitoring_has_the_points_of_a_model(google: tuple[Served, CloudMonitoring]) -> None:
    service, store = google
    store.put("m", {"up_to_date": 1.0, "skill": -0.5}, NOW.timestamp())
    service.clock.now += dt.timedelta(hours=24)
    store.put("m", {"up_to_date": 1.0}, service.clock.now.timestamp())
    answer = requests.get(
        f"{service.url}/v3/projects/desk-project/timeSeries",
        {
            "filter": 'metric.type="custom.googleapis.com/cloudlstm/up_to_date"',
            "interval.startTime": "2026-11-01T00:00:00Z",
            "interval.endTime": "2026-12-31T00:00:00Z",
        },
        timeout=10,
    ).json()
    (series,) = answer["timeSeries"]
    assert series["metric"]["labels"] == {"target": "desk", "model": "m"}
    assert series["resource"]["labels"]["task_id"] == "m"
    assert [each["interval"]["endTime"] for each in series["points"]] == [
        "2026-11-28T22:00:00Z",
        "2026-11-27T22:00:00Z",
    ]


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (0, "Points must be written in order"),
        (-60, "Points must be written in order"),
        (4, "more frequently than the maximum sampling period"),
        (301, "more than 5 minutes ahead"),
        (-26 * 3600, "older than 25 hours"),
    ],
)
def test_cloud_monitoring_refuses_what_the_cloud_refuses(
    google: tuple[Served, CloudMonitoring], seconds: int, message: str
) -> None:
    _, store = google
    store.put("m", {"done": 1.0}, NOW.timestamp())
    store.put("other", {"done": 1.0}, NOW.timestamp())  # another series
    with pytest.raises(TargetError, match=re.escape(message)):
        store.put("m", {"done": 1.0}, NOW.timestamp() + seconds)
    store.put("m", {"done": 1.0}, NOW.timestamp() + 5)


def test_cloud_monitoring_refuses_other_projects_and_wrong_series(google: tuple[Served, CloudMonitoring]) -> None:
    service, store = google
    foreign = TargetConfig.model_validate(GCP | {"account": "other", "endpoints": {"monitoring": service.url}})
    with pytest.raises(TargetError, match=r"Permission denied on resource project other\. \(403\)"):
        CloudMonitoring(foreign).put("m", {"done": 1.0}, NOW.timestamp())
    with pytest.raises(TargetError, match=r"metric\.type had an invalid value"):
        store.put("m", {"not a name": 1.0}, NOW.timestamp())
    with pytest.raises(TargetError, match=r"labels had an invalid value"):
        store.put("m" * 1025, {"done": 1.0}, NOW.timestamp())
    with pytest.raises(TargetError, match="size 201"):
        store.put("m", {f"figure_{number}": 1.0 for number in range(201)}, NOW.timestamp())
    assert service.monitoring.points == {}


def test_a_wrong_path_and_a_service_that_is_away(google: tuple[Served, CloudMonitoring]) -> None:
    service, _ = google
    wrong = TargetConfig.model_validate(GCP | {"endpoints": {"monitoring": service.url.replace("secret", "guess")}})
    with pytest.raises(TargetError, match=r"does not begin with the emulator's secret\. \(403\)"):
        CloudMonitoring(wrong).put("m", {"done": 1.0}, NOW.timestamp())
    away = TargetConfig.model_validate(GCP | {"endpoints": {"monitoring": "http://127.0.0.1:9"}})
    with pytest.raises(TargetUnavailableError, match="cannot send metrics to Cloud Monitoring"):
        CloudMonitoring(away).put("m", {"done": 1.0}, NOW.timestamp())
