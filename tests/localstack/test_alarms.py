"""The emulators' alarms on the alarms of the Terraform roots, as figures come or do not come, day by day."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from localstack.aws import alarms as aws_alarms
from localstack.aws.alarms import Alarms
from localstack.gcp.alerts import Alerts, parsed, prom_name
from localstack.gcp.api import Call, Refusal
from localstack.gcp.monitoring import Monitoring, Point, Series
from moto.cloudwatch.models import CloudWatchBackend
from moto.moto_api._internal.models import moto_api_backend
from moto.server import ThreadedMotoServer

from cloudlstm.errors import TargetError
from cloudlstm.targets.aws.metrics import CloudWatch
from cloudlstm.targets.document import TargetConfig
from monitoring_server import Clock
from targets.test_requests import AWS
from watched_alarms import apply_on_aws, apply_on_google

START = dt.datetime(2026, 11, 2, 23, 30, tzinfo=dt.UTC)  # a Monday evening, after the day
SCHEDULE = {"time": "30 18 * * 1-5", "time_zone": "America/New_York", "models": ["core6", "small"], "max_usd": 20}
MAIL = "team@example.org"
SETTINGS = {"schedule": SCHEDULE, "alarms": {"emails": [MAIL]}}
GOOD = {
    "up_to_date": 1.0,
    "done": 1.0,
    "failed": 0.0,
    "refused": 0.0,
    "late": 0.0,
    "missed_sessions": 0.0,
    "over_budget": 0.0,
    "usd_month": 1.0,
}


class Cloud:
    """An emulated service for metrics with the alarms of the root, under a clock."""

    def __init__(self) -> None:
        self.clock = Clock(START)
        self.mails: list[dict[str, str]] = []

    def send(self, model: str, **figures: float) -> None:
        raise NotImplementedError

    def evaluate(self) -> None:
        raise NotImplementedError

    def day(self, **figures: float) -> list[str]:
        """The evening's figures of both models, those of `core6` with changes; what is mailed then."""
        self.send("core6", **GOOD | figures)
        self.send("small", **GOOD)
        return self.mailed()

    def mailed(self) -> list[str]:
        """What is mailed at the clock's time, by its subject."""
        before = len(self.mails)
        self.evaluate()
        self.evaluate()  # nothing twice
        assert {each["to"] for each in self.mails[before:]} <= {MAIL}
        return sorted(each["subject"].replace('"', "").removesuffix(" in eu-central-1") for each in self.mails[before:])


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    """moto without alarms."""
    for name in ("put_metric_data", "put_metric_alarm"):
        monkeypatch.setattr(CloudWatchBackend, name, getattr(CloudWatchBackend, name))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    moto_api_backend.reset()  # servers of one process share what they have
    try:
        yield Amazon(f"http://127.0.0.1:{server.get_host_and_port()[1]}")
    finally:
        server.stop()


@pytest.fixture
def aws(moto: Amazon, tmp_path: Path) -> Amazon:
    """moto with the alarms of the root, applied by Terraform; its SNS topic also feeds a queue."""
    environment = {
        "AWS_ENDPOINT_URL": moto.url, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
    }  # fmt: skip
    apply_on_aws(tmp_path, environment, SETTINGS | {"region": "eu-central-1", "name": "desk"})
    moto.queue = moto.client("sqs").create_queue(QueueName="team")["QueueUrl"]
    (topic,) = moto.client("sns").list_topics()["Topics"]
    moto.client("sns").subscribe(
        TopicArn=topic["TopicArn"], Protocol="sqs", Endpoint="arn:aws:sqs:eu-central-1:123456789012:team",
        Attributes={"RawMessageDelivery": "true"},
    )  # fmt: skip
    return moto


class Amazon(Cloud):
    """moto, and CloudWatch's own client of this project."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.queue = url, ""
        aws_alarms.install(self.clock)
        self.alarms = Alarms(self.clock)
        self.mails = self.alarms.mails
        config = {"name": "desk", "endpoints": {"cloudwatch": url}}
        self.store = CloudWatch(TargetConfig.model_validate(AWS | config))

    def send(self, model: str, **figures: float) -> None:
        self.store.put(model, figures, self.clock.now.timestamp())

    def evaluate(self) -> None:
        self.alarms.evaluate()

    def client(self, service: str) -> Any:
        import boto3

        return boto3.client(service, region_name="eu-central-1", endpoint_url=self.url)

    def queued(self) -> list[dict[str, Any]]:
        """The messages of the queue since the last call."""
        sqs, found = self.client("sqs"), []
        while more := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for each in more:
                found.append(json.loads(each["Body"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=each["ReceiptHandle"])
        return found


class Google(Cloud):
    """The emulated Cloud Monitoring with the policies that Terraform has made on the fake cloud."""

    def __init__(self) -> None:
        super().__init__()
        self.monitoring = Monitoring("my-project", self.clock)
        self.alerts = Alerts(self.monitoring, self.clock)
        self.mails = self.alerts.mails

    def call(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        (method,) = (each for each in self.alerts.methods() if each.action == f"{kind}.Create")
        return method.answer(Call({"project": "my-project"}, {}, body))

    def send(self, model: str, **figures: float) -> None:
        for name, value in figures.items():
            place = {"project_id": "my-project", "location": "us-central1", "namespace": "cloudlstm", "job": "desk",
                     "task_id": model}  # fmt: skip
            series = Series(f"custom.googleapis.com/cloudlstm/{name}", (("model", model), ("target", "desk")),
                            "generic_task", tuple(sorted(place.items())))  # fmt: skip
            self.monitoring.points.setdefault(series, []).append(Point(self.clock.now, value))

    def evaluate(self) -> None:
        self.alerts.evaluate()


@pytest.fixture
def google(tmp_path: Path) -> Google:
    made = Google()
    apply_on_google(tmp_path, made.call, SETTINGS | {"project": "my-project", "name": "desk"})
    return made


def next_evening(cloud: Cloud, days: int = 1) -> None:
    cloud.clock.now += dt.timedelta(days=days)


def weeks(cloud: Cloud, alarm: str, resolved: str) -> None:
    """Two weeks: what is mailed on each evening."""
    begins = cloud.mailed()
    assert [each for each in begins if "absent" in each] == [
        f"{alarm} desk-{model}-absent" for model in ("core6", "small")
    ]
    first = cloud.day()
    assert [each for each in first if "absent" in each] == [
        f"{resolved} desk-{model}-absent" for model in ("core6", "small")
    ]
    for _ in range(4):  # Tuesday to Friday
        next_evening(cloud)
        assert cloud.day() == []
    next_evening(cloud, 2)  # nothing comes on a weekend, and nothing alarms
    assert cloud.mailed() == []
    next_evening(cloud)
    assert cloud.day() == []

    for figure, what in (
        ("failed", "failed"),
        ("refused", "refused"),
        ("late", "late"),
        ("missed_sessions", "missed"),
        ("over_budget", "over-budget"),
    ):
        next_evening(cloud)
        (mail,) = cloud.day(**{figure: 1.0})
        assert mail.startswith(alarm)
        assert mail.endswith(what)
        cloud.clock.now += dt.timedelta(hours=3)
        assert cloud.mailed() == []  # it goes on until a good day, without another mail
        cloud.clock.now -= dt.timedelta(hours=3)
        next_evening(cloud)
        assert not [each for each in cloud.day() if each.startswith(alarm)]
    next_evening(cloud)
    assert [each.split("-")[-1] for each in cloud.day(usd_month=16.0)] == ["cost"]

    cloud.clock.now += dt.timedelta(hours=74)
    assert cloud.mailed() == []
    cloud.send("small", up_to_date=1.0)
    cloud.clock.now += dt.timedelta(hours=2)
    assert cloud.mailed() == [f"{alarm} desk-core6-absent"]


def test_the_alarms_of_aws(aws: Amazon) -> None:
    weeks(aws, "ALARM:", "OK:")
    queued = aws.queued()
    assert {each["AlarmName"] for each in queued} >= {"desk-core6-absent", "desk-core6-refused", "desk-core6-cost"}
    last = queued[-1]
    assert (last["NewStateValue"], last["AlarmDescription"]) == (
        "ALARM", "core6: no day was done or refused for 75 hours",
    )  # fmt: skip


def test_the_alarms_of_google(google: Google) -> None:
    weeks(google, "[ALERT]", "[resolved]")
    listed = next(each for each in google.alerts.methods() if each.action == "Alerts.List")
    alerts = listed.answer(Call({"project": "my-project"}, {}, {}))["alerts"]
    opened = [each for each in alerts if each["state"] == "OPEN"]
    assert {each["metric"]["labels"]["model"] for each in opened} == {"core6"}


def test_the_warnings_of_google_leave_out_models_without_a_schedule(google: Google) -> None:
    google.send("small2", **GOOD | {"failed": 1.0})
    assert not [each for each in google.day() if "failed" in each]
    google.send("small", failed=1.0)
    assert google.mailed() == ["[ALERT] desk-failed"]


def test_an_alarm_over_too_long_a_time_and_a_point_too_old_are_refused(moto: Amazon) -> None:
    from botocore.exceptions import ClientError

    client = moto.client("cloudwatch")
    alarm = {"AlarmName": "a", "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Threshold": 1.0,
             "ComparisonOperator": "LessThanThreshold"}  # fmt: skip
    for period, periods in ((3600, 169), (300, 289)):
        with pytest.raises(ClientError, match="Metrics cannot be checked across more than"):
            client.put_metric_alarm(**alarm, Period=period, EvaluationPeriods=periods)
    client.put_metric_alarm(**alarm, Period=3600, EvaluationPeriods=168)
    (made,) = client.describe_alarms()["MetricAlarms"]
    assert made["StateValue"] == "INSUFFICIENT_DATA"
    moto.evaluate()
    assert moto.mails == []
    for hours in (-14 * 24 - 1, 3):
        with pytest.raises(TargetError, match="within the past two weeks"):
            moto.store.put("m", {"done": 1.0}, moto.clock.now.timestamp() + hours * 3600)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"combiner": None}, "combiner"),
        ({"conditions": []}, "1 to 6 are needed"),
        ({"conditions": [{"conditionAbsent": {"duration": "90000s"}}]}, "23.5 hours"),
        ({"conditions": [{"conditionPrometheusQueryLanguage": {"query": "sum(a)"}}]}, "evaluates absent_over_time"),
        ({"conditions": [{"conditionPrometheusQueryLanguage": {"evaluationInterval": "45s"}}]}, "multiple of 30"),
        ({"notificationChannels": ["projects/p/notificationChannels/9"]}, "does not exist"),
    ],
)
def test_a_policy_that_would_not_be_evaluated_is_refused(changes: dict[str, Any], message: str) -> None:
    google = Google()
    query = 'absent_over_time(custom_googleapis_com:cloudlstm_done{model="m"}[27h])'
    good = {"combiner": "OR", "conditions": [{"conditionPrometheusQueryLanguage": {"query": query}}]}
    google.call("alertPolicies", good)
    with pytest.raises(Refusal, match=message):
        google.call("alertPolicies", good | changes)


def test_names_of_metrics_in_promql() -> None:
    assert prom_name("custom.googleapis.com/cloudlstm/up_to_date") == "custom_googleapis_com:cloudlstm_up_to_date"
    assert parsed('last_over_time(a:b{c="d"}[27h]) >= 0.5') is not None
    assert parsed('absent_over_time(a:b{c="d"}[27h]) or vector(1)') is None
