"""Days by the schedule of a target under the alarms of its root: what is mailed to whom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from localstack.cloud import Cloud

from cloud_fixtures import SCHEDULE
from cloudlstm import storage
from emulator_fixtures import environment_of
from models.daily.recorded import FIRST_DAY, evenings, write_market
from models.daily.untrained import make_model
from on_emulators import until
from spark_clusters import own_target
from targets.scheduled_days import ScheduledDays
from watched_alarms import BEGINS, ENDS, apply_alarms, subjects

FIRST, SECOND, THIRD = (day for day, _ in evenings(FIRST_DAY, 3))  # Wednesday to Friday
SATURDAY = THIRD + dt.timedelta(days=1)


@pytest.fixture(params=["aws", "gcp"])
def days(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScheduledDays]:
    """A target with a schedule for one model, and with the alarms of the root."""
    cloud: Cloud = request.getfixturevalue(f"{request.param}_cloud")
    schedule = SCHEDULE | {"models": ["m"], "max_usd": 0.01}
    with environment_of(cloud.environment), own_target(cloud, "watched", schedule=schedule) as document:
        made = ScheduledDays(cloud, document)
        for file in write_market(tmp_path / "bars", tickers=2).iterdir():
            storage.write(f"{made.root}/files/{file.name}", file.read_bytes())
        make_model(made.root, "m", f"{made.root}/files", warm_every=1)
        made.cloud.control.move_clock(dt.datetime(2021, 6, 30, 12, tzinfo=dt.UTC))
        apply_alarms(made, tmp_path / "root", schedule)
        assert made.run("schedule").returncode == 0
        yield made
        made.cloud.control.reset_clock()


def test_a_missed_day_and_a_training_beyond_the_budget_are_mailed(days: ScheduledDays) -> None:
    def absent(states: tuple[str, ...]) -> int:
        """Mails that the model is not up to date, or is so again."""
        return len(subjects(days, "watched-m-absent", *states))

    until(lambda: absent(BEGINS) == 1, "the mail before the first day")
    days.evening(FIRST)
    until(lambda: absent(ENDS) == 1, "the mail that all is well")
    for day in (SECOND, THIRD):
        days.begin(day)
        days.empty()  # nobody does the day
    days.move(SATURDAY, 21, 0)  # 74.5 hours after the first day: as long as over a weekend
    assert absent(BEGINS) == 1
    days.move(SATURDAY, 22, 0)
    until(lambda: absent(BEGINS) == 2, "the mail of the missed days")
    (done,) = days.evening(SATURDAY + dt.timedelta(days=2)).models
    assert done.status == 3
    assert "training REFUSED: m-warm-20210702" in " ".join(done.log.split())
    until(lambda: subjects(days, "over-budget"), "the mail of the refused training")
    until(lambda: absent(ENDS) == 2, "the mail that all is well again")
