"""The estimate of a submit's cost: its lines add up, and what is not known is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudlstm.cli import estimate
from cloudlstm.cli.estimate import START_H, WINDOWS_PER_S
from cloudlstm.config import load
from cloudlstm.targets.document import TargetConfig
from pipeline.cli_runner import cloudlstm
from targets.test_requests import AWS, GCP

SIX = ["train.workers=2"]


def of(document: dict[str, object], *words: str, tickers: int | None = 6) -> estimate.Estimate:
    return estimate.estimate(TargetConfig.model_validate(document), load(None, [*SIX, *words]), tickers)


def test_the_parts_are_priced_for_their_hours_and_add_up() -> None:
    found = of(AWS | {"region": "us-east-1"})
    spark, idle, trainers, nat, endpoint = found.lines
    assert (spark.what, idle.hours) == ("Spark, 3 x m7g.xlarge", 1.0)
    # 2010-01-01 to 2021-12-31 has 3,021 sessions of the exchange; windows of 50 bars; 30 epochs.
    assert trainers.hours == pytest.approx(START_H + 6 * (3021 - 50) * 30 / (2 * WINDOWS_PER_S) / 3600, rel=1e-3)
    assert trainers.usd_per_hour == pytest.approx(2 * (0.8048 + 100 * 0.08 / 730))
    assert nat.usd_per_hour == 0.05
    assert endpoint.usd_per_hour == 0.01
    assert found.complete
    assert found.usd == pytest.approx(sum(line.usd_per_hour * line.hours for line in found.lines))  # type: ignore[operator]


def test_only_what_the_target_has_is_paid() -> None:
    quiet = of(GCP | {"egress": "none"})
    assert [line.what.split(",")[0] for line in quiet.lines] == ["Spark", "Spark", "2 trainers"]
    old = of(AWS | {"spark_release": "emr-7.14.0"})
    assert not [line for line in old.lines if "endpoint" in line.what]
    closed = of(AWS | {"egress": "none"}).lines[-1]
    assert (closed.what, closed.usd_per_hour) == ("3 endpoints of AWS's services", pytest.approx(0.03))


def test_what_is_not_known_is_said() -> None:
    found = of(AWS, tickers=None)
    assert not found.complete
    assert found.usd == pytest.approx(3 * 0.1632 * 1.25)  # the idle hour is known
    assert "the number of tickers is not known yet, so neither are the hours" in found.notes
    unpriced = of(AWS | {"trainer_machines": ["p9.xlarge"]})
    assert unpriced.lines[2].usd is None
    assert "?" in unpriced.table()


def test_limits_and_regions_are_told_at_80_columns() -> None:
    found = of(AWS, "trainers.max_usd=5", "trainers.max_hours=3")
    assert "trainers end after 3 hours or 5 USD (trainers.max_usd) at the latest" in found.notes
    assert "list prices of us-east-1, 2026-11, before tax; the target is in eu-central-1" in found.notes
    assert max(map(len, found.table().splitlines())) <= 80


def test_a_dry_run_prints_it_and_starts_nothing(tmp_path: Path) -> None:
    place = tmp_path / "target.json"
    place.write_text(json.dumps(AWS))
    done = cloudlstm("submit", "--dry-run", f"--target={place}", "market.source=synthetic", timeout_s=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["requests"][2]["rate"]["machines"] == 3
    assert "estimate in USD:\n  Spark, 3 x m7g.xlarge" in done.stderr


def test_a_limit_that_ends_training_early_or_is_not_allowed_is_told() -> None:
    found = of(AWS, "trainers.max_usd=0.15", "trainers.max_hours=99")
    assert "trainers.max_usd ends training before it is done, by this estimate" in found.notes
    assert "trainers.max_hours=99 is more than the target allows, 12" in found.notes
    assert not [note for note in of(AWS, "trainers.max_usd=5").notes if "by this estimate" in note]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.workers=9"], "the run wants 9 workers, and desk-trainers may have 4 machines"),
        (
            ["trainers.max_usd=0.01"],
            "trainers.max_usd=0.01 pays 2 trainers for 0.3 minutes, and a run needs 4 at least",
        ),
    ],
)
def test_a_dry_run_refuses_what_no_submit_can_do(tmp_path: Path, words: list[str], message: str) -> None:
    place = tmp_path / "target.json"
    place.write_text(json.dumps(AWS))
    done = cloudlstm("submit", "--dry-run", f"--target={place}", "market.source=synthetic", *words, timeout_s=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr


def test_a_small_group_gets_one_worker_by_default(tmp_path: Path) -> None:
    place = tmp_path / "target.json"
    place.write_text(json.dumps(AWS | {"trainer_max": 1}))
    done = cloudlstm("submit", "--dry-run", f"--target={place}", "market.source=synthetic", timeout_s=60)
    assert json.loads(done.stdout)["requests"][3]["workers"] == 1
