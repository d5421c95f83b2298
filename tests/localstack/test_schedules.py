"""The clock of schedules, the times of cron expressions, and how each emulated cloud follows and refuses them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from localstack.cloud import Cloud
from localstack.gcp.provider import PROJECT, REGION, URL, scheduler_job
from localstack.server.clock import Clock, Recurrence

from localstack import __main__ as command_line

NEW_YORK = ZoneInfo("America/New_York")
MORNING = datetime(2024, 6, 28, 12, tzinfo=UTC)
CRON = "30 18 * * 1-5"


def test_the_clock_goes_by_itself_until_it_is_moved_and_only_forward() -> None:
    clock = Clock()
    assert not clock.moved
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    clock.move("2024-06-28T18:30:00-04:00")
    assert clock.moved
    assert clock.now() == datetime(2024, 6, 28, 22, 30, tzinfo=UTC)
    for wrong in ("2024-06-28T22:29:59+00:00", "2024-06-28T23:00:00", "tomorrow"):
        with pytest.raises(ValueError, match=r"."):
            clock.move(wrong)
    clock.move("")
    assert not clock.moved


@given(st.datetimes(datetime(2023, 1, 1), datetime(2025, 12, 31)), st.lists(st.integers(1, 10_000), max_size=9))
@settings(deadline=None, max_examples=30)
def test_every_weekday_is_due_once_at_the_local_time(since: datetime, minutes: list[int]) -> None:
    now, clock = since.replace(tzinfo=UTC), Clock()
    clock.move(now.isoformat())
    times, came = Recurrence(CRON, NEW_YORK.key, clock), []
    for each in minutes:
        now += timedelta(minutes=each)
        clock.move(now.isoformat())
        while due := times.due():
            came.append(due.astimezone(NEW_YORK))
    days = [since.replace(tzinfo=UTC).astimezone(NEW_YORK).date() + timedelta(days=each) for each in range(80)]
    wanted = [datetime(day.year, day.month, day.day, 18, 30, tzinfo=NEW_YORK) for day in days if day.weekday() < 5]
    assert came == [each for each in wanted if since.replace(tzinfo=UTC) < each <= now]


def test_what_lies_between_the_time_of_a_test_and_that_of_this_machine_never_happens() -> None:
    clock = Clock()
    times = Recurrence("* * * * *", "UTC", clock)
    clock.move(MORNING.isoformat())
    assert times.due() is None
    clock.move((MORNING + timedelta(minutes=1)).isoformat())
    assert times.due() == MORNING + timedelta(minutes=1)
    clock.move("")
    assert times.due() is None
    clock.move((datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert times.due() is None


@pytest.mark.parametrize(
    ("cron", "zone"),
    [("daily", "UTC"), ("@daily", "UTC"), ("61 * * * *", "UTC"), ("0 18 * * 1-5 *", "UTC"), (CRON, "New York")],
)
def test_a_wrong_expression_or_zone_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(ValueError, match=f"{'cron' if zone == 'UTC' else 'zone'}"):
        Recurrence(cron, zone, Clock())


@pytest.fixture
def moved(request: pytest.FixtureRequest) -> Iterator[Callable[[Cloud, datetime], None]]:
    """Moves the clock of a cloud; after the test it goes by itself."""
    clouds: list[Cloud] = []

    def move(cloud: Cloud, when: datetime) -> None:
        clouds.append(cloud)
        cloud.control.move_clock(when)

    yield move
    for cloud in clouds:
        cloud.control.reset_clock()


def test_a_scheduled_action_recurs_by_the_clock(
    cloud: Cloud, client: Any, target: dict[str, Any], moved: Callable[[Cloud, datetime], None]
) -> None:
    scaling, group = client("autoscaling"), target["trainer_group"]
    cloud.control.fault("no-capacity", group=group)  # the size alone is looked at

    def size() -> int:
        found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
        return int(found["DesiredCapacity"])

    def resize(wanted: int) -> None:
        scaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=wanted)

    moved(cloud, MORNING)
    named = {"AutoScalingGroupName": group, "ScheduledActionName": "daily"}
    scaling.put_scheduled_update_group_action(**named, Recurrence=CRON, TimeZone=NEW_YORK.key, DesiredCapacity=1)
    (shown,) = scaling.describe_scheduled_actions(AutoScalingGroupName=group)["ScheduledUpdateGroupActions"]
    assert shown["StartTime"] == datetime(2024, 6, 28, 22, 30, tzinfo=UTC)
    moved(cloud, MORNING.replace(hour=22, minute=29))
    assert size() == 0
    moved(cloud, MORNING.replace(hour=22, minute=30))
    assert size() == 1
    resize(0)
    moved(cloud, MORNING.replace(day=30))  # Sunday
    assert size() == 0
    cloud.control.move_clock(datetime(2024, 7, 1, 23, tzinfo=UTC), "other-*")
    assert size() == 0
    scaling.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=["ScheduledActions"])
    moved(cloud, datetime(2024, 7, 2, 12, tzinfo=UTC))
    assert size() == 0
    scaling.resume_processes(AutoScalingGroupName=group)
    scaling.delete_scheduled_action(**named)
    moved(cloud, datetime(2024, 7, 5, 12, tzinfo=UTC))
    assert size() == 0
    from botocore.exceptions import ClientError

    for wrong in ({"Recurrence": "daily"}, {"Recurrence": CRON, "TimeZone": "New York"}):
        with pytest.raises(ClientError, match="ValidationError"):
            scaling.put_scheduled_update_group_action(**named, **wrong, DesiredCapacity=1)


class Jobs:
    """A client of the emulated Cloud Scheduler."""

    def __init__(self, cloud: Cloud) -> None:
        self._base = f"{cloud.environment[URL]}/v1/projects/{PROJECT}/locations/{REGION}/jobs"

    def ask(self, verb: str, path: str = "", document: object = None) -> tuple[int, dict[str, Any]]:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self._base + path, body, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


def job_for(group: str, name: str) -> dict[str, Any]:
    return scheduler_job({"group": group, "job": name, "time": CRON, "time_zone": NEW_YORK.key})


def test_a_job_of_cloud_scheduler_resizes_a_group_by_the_clock(
    gcp: Cloud, gcp_target: dict[str, Any], moved: Callable[[Cloud, datetime], None]
) -> None:
    jobs, group = Jobs(gcp), gcp_target["trainer_group"]
    gcp.control.fault("no-capacity", group=group)

    def size() -> Any:
        return gcp.control.state()["groups"][group]

    moved(gcp, MORNING)
    assert jobs.ask("POST", "", job_for(group, "daily"))[0] == 200
    assert jobs.ask("POST", "", job_for(group, "daily"))[0] == 409
    assert jobs.ask("GET", "/daily")[1]["scheduleTime"] == "2024-06-28T22:30:00Z"
    moved(gcp, MORNING.replace(hour=22, minute=29))
    assert size() == 0
    jobs.ask("POST", "/daily:pause", {})
    moved(gcp, MORNING.replace(hour=22, minute=31))
    assert (size(), jobs.ask("GET", "/daily")[1]["state"]) == (0, "PAUSED")
    jobs.ask("POST", "/daily:resume", {})
    moved(gcp, datetime(2024, 7, 1, 22, 30, tzinfo=UTC))
    assert (size(), jobs.ask("GET", "/daily")[1]["lastAttemptTime"]) == (1, "2024-07-01T22:30:00Z")

    assert jobs.ask("POST", "", job_for("gone", "other"))[0] == 200
    assert jobs.ask("POST", "/other:run", {})[1]["status"]["code"] == 9  # there is no such group
    assert [each["schedule"] for each in jobs.ask("GET")[1]["jobs"]] == [CRON, CRON]
    assert {jobs.ask("DELETE", f"/{name}")[0] for name in ("daily", "other")} == {200}
    assert jobs.ask("GET", "/daily")[0] == 404


COMPUTE = "https://compute.googleapis.com/"


def http(uri: str, account: str) -> dict[str, Any]:
    return {"httpTarget": {"uri": uri, "oauthToken": {"serviceAccountEmail": account}}}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"schedule": "daily"}, 400),
        ({"timeZone": "New York"}, 400),
        ({"name": "daily"}, 400),
        (http("https://example.org/", f"a@{PROJECT}.iam.gserviceaccount.com"), 400),
        (http(COMPUTE, "a@other.iam.gserviceaccount.com"), 403),
        ({"httpTarget": {"uri": COMPUTE}}, 400),
    ],
)
def test_what_cloud_scheduler_refuses(gcp: Cloud, changes: dict[str, Any], code: int) -> None:
    status, answer = Jobs(gcp).ask("POST", "", job_for("any", "refused") | changes)
    assert (status, answer["error"]["code"]) == (code, code)
    assert Jobs(gcp).ask("GET", "/refused")[0] == 404


class Sizes:
    """The emulator's API, which shows these sizes of a launchers' group one after another."""

    def __init__(self, *sizes: int) -> None:
        self._sizes = list(sizes)

    def move_clock(self, when: datetime) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {"groups": {"a-launcher": self._sizes.pop(0), "a-trainers": 2}, "machines": []}


@pytest.mark.parametrize(
    ("sizes", "wait", "said"),
    [
        ([0, 0], True, "no launcher comes"),
        ([1, 1], True, "no launcher comes: a-launcher has one that still works"),
        ([0, 1], False, "a launcher of a-launcher comes"),
        ([0, 1, 1, 0], True, "a launcher of a-launcher came, and has left"),
    ],
)
def test_the_command_that_moves_the_clock_says_which_launcher_comes(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], wait: bool, said: str
) -> None:
    monkeypatch.setattr(command_line, "_POLL_S", 0.0)
    assert command_line._moved(Sizes(*sizes), MORNING, wait=wait) == said  # type: ignore[arg-type]
