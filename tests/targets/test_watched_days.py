"""Days by the schedule of a target under the alarms of its root: what is mailed to whom."""

from __future__ import annotations

import datetime as dt
import json
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from localstack.cloud import Cloud

from cloud_fixtures import SCHEDULE
from cloudlstm import storage
from emulator_fixtures import environment_of
from models.daily.recorded import FIRST_DAY, evenings, write_market
from models.daily.untrained import make_model
from on_emulators import until
from targets.scheduled_days import ScheduledDays
from watched_alarms import apply_on_aws, apply_on_google

FIRST, SECOND, THIRD = (day for day, _ in evenings(FIRST_DAY, 3))  # Wednesday to Friday
SATURDAY = THIRD + dt.timedelta(days=1)
MAIL = "team@example.org"


@pytest.fixture(params=["aws", "gcp"])
def days(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScheduledDays]:
    """A target with a schedule for one model, and with the alarms of the root."""
    cloud: Cloud = request.getfixturevalue(f"{request.param}_cloud")
    schedule = SCHEDULE | {"models": ["m"], "max_usd": 0.01}
    with environment_of(cloud.environment):
        made = ScheduledDays(cloud, cloud.make_target("watched", schedule=schedule))
        for file in write_market(tmp_path / "bars", tickers=2).iterdir():
            storage.write(f"{made.root}/files/{file.name}", file.read_bytes())
        make_model(made.root, "m", f"{made.root}/files", warm_every=1)
        made.cloud.control.move_clock(dt.datetime(2021, 6, 30, 12, tzinfo=dt.UTC))
        settings = {"name": "watched", "schedule": schedule, "alarms": {"emails": [MAIL]}}
        if request.param == "aws":
            apply_on_aws(tmp_path / "root", cloud.setup_environment, settings | {"region": made.config.region})
        else:
            url = f"{made.document['endpoints']['monitoring']}/v3/projects/{made.config.account}"
            apply_on_google(tmp_path / "root", lambda *each: post(url, *each), settings | {"project": "my-project"})
        assert made.run("schedule").returncode == 0
        yield made
        made.cloud.control.reset_clock()


def post(url: str, kind: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a resource by the API of the emulator."""
    request = urllib.request.Request(
        f"{url}/{kind}", json.dumps(document).encode(), {"Content-Type": "application/json"}
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=30) as answer:
        made: dict[str, Any] = json.load(answer)
    return made


def test_a_missed_day_and_a_training_beyond_the_budget_are_mailed(days: ScheduledDays) -> None:
    def subjects() -> list[str]:
        """The subjects of all mails."""
        mails = days.cloud.control.state()["mails"]
        assert {each["to"] for each in mails} <= {MAIL}
        return [each["subject"].lstrip("[") for each in mails]

    def absent(state: str) -> int:
        """Mails that the model is not up to date, or is so again."""
        return sum(each.upper().startswith(state) for each in subjects() if "watched-m-absent" in each)

    until(lambda: absent("AL") == 1, "the mail before the first day")
    days.evening(FIRST)
    until(lambda: absent("OK") + absent("RESOLVED") == 1, "the mail that all is well")
    for day in (SECOND, THIRD):
        days.begin(day)
        days.empty()  # nobody does the day
    days.move(SATURDAY, 21, 0)  # 74.5 hours after the first day: as long as over a weekend
    assert absent("AL") == 1
    days.move(SATURDAY, 22, 0)
    until(lambda: absent("AL") == 2, "the mail of the missed days")
    (done,) = days.evening(SATURDAY + dt.timedelta(days=2)).models
    assert done.status == 3
    assert "training REFUSED: m-warm-20210702" in " ".join(done.log.split())
    until(lambda: [each for each in subjects() if "over-budget" in each], "the mail of the refused training")
    until(lambda: absent("OK") + absent("RESOLVED") == 2, "the mail that all is well again")
