"""Thirty days of a model by the schedule of a target on each emulated cloud, with what happens in such a time."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from localstack.cloud import Cloud

from cloud_fixtures import SCHEDULE
from cloudlstm import storage
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.registry import days_of, newest_move
from cloudlstm.targets.schedule import launches
from emulator_fixtures import environment_of
from models.daily.recorded import FIRST_DAY, change_rows, evenings, write_market
from models.daily.untrained import add_version, make_model
from on_emulators import until
from pipeline.cli_runner import cloudlstm
from spark_clusters import own_target
from targets.scheduled_days import ScheduledDays
from watched_alarms import BEGINS, ENDS, apply_alarms, subjects

DAYS = [day for day, _ in evenings(FIRST_DAY, 30)]
WEEKDAYS = [day for day in (DAYS[0] + dt.timedelta(each) for each in range((DAYS[-1] - DAYS[0]).days + 1))
            if day.weekday() < 5]  # fmt: skip
"""The days on which a launcher comes: on one of them, 5 July, the exchange was closed."""
BAD_DATA, MISSED, KILLED, ROLLBACK, TRAINING = DAYS[5], DAYS[11], DAYS[18], DAYS[24], DAYS[28]
"""What happens when. The missed day is a Friday: then no day is done for longer than over a usual weekend. From
TRAINING on a training is due that the limit of the month does not pay."""
CHAMPION, BETTER, WORSE = 1.5, 0.0, -2.95
"""Biases of the three versions in standard deviations: the gate finds the better and the worse one within 30 days."""


@pytest.fixture(params=["aws", "gcp"])
def month(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ScheduledDays, Path]]:
    """A target with a schedule for a model of three tickers, and the folder of the vendor's files."""
    cloud: Cloud = request.getfixturevalue(f"{request.param}_cloud")
    schedule = SCHEDULE | {"models": ["m"], "max_usd": 0.01}
    with environment_of(cloud.environment), own_target(cloud, "monthly", schedule=schedule) as document:
        days = ScheduledDays(cloud, document)
        bars = write_market(tmp_path / "bars", tickers=3)
        publish(days, bars)
        make_model(days.root, "m", f"{days.root}/files", bias=CHAMPION, warm_every=DAYS.index(TRAINING))
        days.wait_for(FIRST_DAY)
        apply_alarms(days, tmp_path / "root", schedule)
        assert days.run("schedule").returncode == 0
        yield days, bars
        cloud.control.reset_clock()


def publish(days: ScheduledDays, bars: Path) -> None:
    """Puts the vendor's files where the model reads them."""
    for file in bars.iterdir():
        storage.write(f"{days.root}/files/{file.name}", file.read_bytes())


def spoil(days: ScheduledDays, bars: Path, day: dt.date) -> None:
    """Makes the prices of a day negative; once more, they are right again."""
    for file in bars.iterdir():
        change_rows(file, {day.isoformat()}, -1.0)
    publish(days, bars)


def test_thirty_days_by_the_schedule(month: tuple[ScheduledDays, Path]) -> None:
    days, bars = month
    model = ModelPaths.of(days.root, "m")
    status = {}

    def begun(number: int) -> bool:
        return len(subjects(days, "monthly-m-absent", *BEGINS)) == number

    def ended(number: int) -> bool:
        return len(subjects(days, "monthly-m-absent", *ENDS)) == number

    until(lambda: begun(1), "the mail before the first day")
    for day in WEEKDAYS:
        if day == DAYS[1]:
            add_version(model, 2, bias=BETTER)
            add_version(model, 3, bias=WORSE)
        if day == BAD_DATA:
            spoil(days, bars, day)
        if day == MISSED:
            days.begin(day)
            days.empty()  # before its launcher does anything
            until(lambda: ended(1), "the mail that the first day was done")
            days.move(MISSED + dt.timedelta(days=2), 22, 0)
            until(lambda: begun(2), "the mail of the missed day")
            continue
        if day == KILLED:
            days.begin(day)
            days.at_work()
            days.cloud.control.fault("no-capacity", group=days.group)
            days.kill()  # and no other machine is to be had: the next day makes up for it
            days.empty()
            days.cloud.control.clear()
            continue
        launch = days.evening(day)
        (done,) = launch.models
        status[day] = done.status
        if day == BAD_DATA:
            spoil(days, bars, day)
        if day == ROLLBACK:
            assert cloudlstm("rollback", "m", f"--root={days.root}").returncode == 0

    lived = {dt.date.fromisoformat(each.date): each for each in days_of(model)}
    assert sorted(lived) == [day for day in DAYS if day not in (MISSED, KILLED)]
    assert lived[DAYS[DAYS.index(MISSED) + 1]].missed == (MISSED.isoformat(),)
    assert lived[DAYS[DAYS.index(KILLED) + 1]].missed == (KILLED.isoformat(),)
    assert lived[BAD_DATA].status == "refused"
    decided = {(each.version, each.action, each.basis): day for day, one in lived.items() for each in one.decisions}
    promoted, retired = decided[2, "promote", "skill"], decided[3, "retire", "worse"]
    assert max(promoted, retired) < ROLLBACK
    over = {day for day, one in lived.items() if one.over_budget}
    assert min(over) == TRAINING
    refused = {BAD_DATA, retired, *over}
    assert {day for day, code in status.items() if code == 3} == refused
    assert {code for day, code in status.items() if day not in refused} == {0}
    until(lambda: subjects(days, "over-budget", *BEGINS), "the mail of the refused training")
    assert begun(2), "no other absence"
    assert ended(2)
    assert newest_move(model).version == 1
    assert lived[DAYS[-1]].champion == 1

    verified = json.loads(cloudlstm("models", "verify", "m", f"--root={days.root}", "--json").stdout)
    assert verified["records"] == sum(each.status == "done" for each in lived.values())
    assert len(launches(days.root, 99)) == len(WEEKDAYS) - 2
    state = days.cloud.control.state()
    assert (state["groups"][days.group], days.machines(), state["problems"]) == (0, [], [])
