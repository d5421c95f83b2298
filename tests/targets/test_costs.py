"""The prices of a target's machines, and the limit of a run in hours and USD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.costs.usage import as_json
from cloudlstm.errors import ConfigError, CostLimitError, from_record
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import costs
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.trainer_job import hours_before
from targets.test_requests import AWS

TARGET = TargetConfig.model_validate(AWS | {"region": "us-east-1"})
DEAREST = 2 * (0.9776 + 100 * 0.08 / 730)  # two g6.2xlarge and their disks


def request(**changes: Any) -> dict[str, Any]:
    return {"hours": 12, "workers": 2} | changes


def test_the_rates_are_those_of_the_whole_cluster_and_of_all_trainers() -> None:
    spark, trainers = costs.spark_rate(TARGET), costs.trainer_rate(TARGET, 2)
    assert (spark.machines, spark.usd_per_hour) == (3, pytest.approx(3 * 0.1632 * 1.25))
    assert (trainers.machine, trainers.usd_per_hour) == ("g6.xlarge", pytest.approx(2 * (0.8048 + 100 * 0.08 / 730)))
    assert trainers.prices == "list prices of us-east-1, 2026-11"


def test_a_price_of_ones_own_counts_instead_of_the_tables() -> None:
    rate = costs.trainer_rate(TARGET, 3, 0.25)
    assert (rate.usd_per_hour, rate.prices) == (0.75, "the price a machine that trainers.usd_per_hour names")


def test_prices_of_another_region_are_told() -> None:
    elsewhere = TARGET.model_copy(update={"region": "eu-central-1"})
    assert costs.spark_rate(elsewhere).prices == "list prices of us-east-1, 2026-11, not those of eu-central-1"


def test_the_nearer_limit_counts() -> None:
    assert costs.limit(TARGET, request(), 0.0).hours == 12
    assert costs.limit(TARGET, request(max_usd=1000.0), 0.0).hours == 12
    found = costs.limit(TARGET, request(max_usd=DEAREST), 0.0)
    assert found.hours == pytest.approx(1.0)
    assert costs.limit(TARGET, request(max_usd=DEAREST), 1.0).hours == pytest.approx(0.5)
    assert costs.limit(TARGET, request(max_usd=4.0, usd_per_hour=1.0), 0.0).hours == pytest.approx(2.0)
    stop = found.stop(10_000.0)
    assert stop["at"] == 10_000.0 - costs.SAVE_S
    assert "trainers.max_usd=1.97" in from_record(stop["error"]).message


def test_a_limit_that_is_used_up_starts_no_machine() -> None:
    said = r"for 9[.]9 hours, which is 9[.]90 USD at most, and trainers[.]max_usd is 10"
    with pytest.raises(CostLimitError, match=said):
        costs.limit(TARGET, request(max_usd=10.0, usd_per_hour=1.0), 9.9)


def test_earlier_hours_on_the_spot_market_count_as_much_as_those_to_come() -> None:
    spot = TARGET.model_copy(update={"trainer_spot": True})
    assert costs.limit(spot, request(max_usd=DEAREST), 1.0).hours == pytest.approx(0.5)


@pytest.mark.parametrize(("deadline", "hours"), [(4e9, 1.0), (1e9, 5.0)], ids=["at work", "ended"])
def test_trainers_that_a_launcher_takes_over_are_counted_once(tmp_path: Path, deadline: float, hours: float) -> None:
    paths = RunPaths(f"file://{tmp_path}/run")
    rate = as_json(costs.trainer_rate(TARGET, 2))
    for attempt, worked_h in ((1, 0.5), (2, 2.0)):
        storage.write_json(paths.attempt(attempt), {})
        record = {"attempt": attempt, "job": "train", "rate": rate, "began": 0.0, "ended": worked_h * 3600}
        storage.write_json(paths.usage(attempt, "train"), record)
    assigned = {"run": paths.uri, "attempt": 2, "opened": "1a", "package": {}, "workers": 2}
    uri = f"file://{tmp_path}/assignment.json"
    storage.write_json(uri, assigned | {"port": 8470, "deadline": deadline})
    assert hours_before({"run": paths.uri, "assignment": {"uri": uri, "document": assigned}}) == pytest.approx(hours)


def test_a_limit_needs_a_price() -> None:
    unknown = TARGET.model_copy(update={"trainer_machines": ("p9.xlarge",)})
    with pytest.raises(ConfigError, match=r"needs the price of p9[.]xlarge"):
        costs.limit(unknown, request(max_usd=10.0), 0.0)
    assert costs.limit(unknown, request(max_usd=10.0, usd_per_hour=2.5), 0.0).hours == pytest.approx(2.0)
    assert costs.trainer_rate(unknown, 1).usd_per_hour is None


def test_a_limit_for_minutes_only_says_what_an_hour_costs() -> None:
    with pytest.raises(
        CostLimitError, match=r"pays 2 trainers for 0[.]3 minutes, and a run needs 4 at least"
    ) as refused:
        costs.limit(TARGET, request(max_usd=0.01), 0.0)
    assert refused.value.hint == "trainers.max_usd=2 pays an hour"
