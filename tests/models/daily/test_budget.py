"""The monthly limit of a model: what counts for it, what is refused, and what a training that is paid may use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm import storage
from cloudlstm.cli import daily as daily_command
from cloudlstm.cli import main
from cloudlstm.cli.daily_budget import budget_of, nodes_of, price_of, settings_of
from cloudlstm.cli.daily_run import Limits, run_daily
from cloudlstm.config import parse
from cloudlstm.errors import BudgetError, TargetError, UsageError
from cloudlstm.models import ledger, registry
from cloudlstm.models.budget import Budget, Price, cost_of_run, note_usage, spent, usage_of
from cloudlstm.models.creating import read_policy
from cloudlstm.models.day import run_day
from cloudlstm.models.documents import Day, Due
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs.attempts import Attempt
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets import Target, clusters, open_target, spark_job
from cloudlstm.targets.cloud import CloudTarget
from cloudlstm.targets.document import TargetConfig
from models.daily.machine_hours import worked
from models.daily.recorded import FIRST_DAY, evenings, write_market
from models.daily.untrained import make_model
from models.test_due import SETTINGS
from targets.test_requests import AWS

# 2021-06-30, and the first sessions of July: the limit of July is another one.
DAYS = list(evenings(FIRST_DAY, 4))


def cloud(**changes: object) -> CloudTarget:
    """A target whose services are never called: a training that is refused must ask none of them."""
    return CloudTarget(TargetConfig.model_validate(AWS | changes), None, None, None)  # type: ignore[arg-type]


@pytest.fixture
def paths(tmp_path: Path) -> ModelPaths:
    """A model whose warm challenger is due on the second day and then until it is trained."""
    return make_model(
        f"file://{tmp_path}/runs", "m", write_market(tmp_path / "bars", tickers=2), warm_every=1
    )  # fmt: skip


def run_with(paths: ModelPaths, number: int, target: Target, limit: float | None) -> Day:
    moment = DAYS[number][1]
    return run_daily(paths, target, lambda: moment, limits=Limits(max_usd_month=limit))


def test_a_training_beyond_the_limit_is_refused_and_the_champion_forecasts(paths: ModelPaths) -> None:
    budget = budget_of(paths, cloud(), 0.01)
    assert budget is not None
    first = run_day(paths, DAYS[0][1], choose=lambda date: budget(date).choose)
    assert (first.due, first.over_budget) == ((), ())
    second = run_day(paths, DAYS[1][1], choose=lambda date: budget(date).choose)
    (over,) = second.over_budget
    assert (second.status, second.refused, second.due) == ("done", True, ())
    assert over.due.name == "warm"
    assert over.usd > over.left == 0.01
    assert f"{over.due.run} may cost {over.usd:.2f} USD, and 0.01 of 0.01 USD are left for 2021-07" in over.why
    assert ledger.sessions_of(paths)[-1] == second.session == DAYS[2][0].isoformat()
    assert second.started == {}  # so it is due again
    third = run_day(paths, DAYS[2][1], choose=lambda date: budget(date).choose)
    assert [each.due.name for each in third.over_budget] == ["warm"]
    enough = budget_of(paths, cloud(), 1000.0)
    assert enough is not None
    fourth = run_day(paths, DAYS[3][1], choose=lambda date: enough(date).choose)
    assert ([each.name for each in fourth.due], fourth.over_budget) == (["warm"], ())


def test_daily_tells_a_refusal_and_ends_with_3(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cloudlstm.targets.open_target", lambda *_, **__: cloud())
    words = ["daily", "m", f"--root={paths.root}", "--max-usd-month=0.01", "--launcher-usd-per-hour=36"]
    assert main([*words, f"--now={DAYS[0][1].isoformat()}"]) == 0
    assert main([*words, f"--now={DAYS[1][1].isoformat()}"]) == daily_command.REFUSED
    said = " ".join(capsys.readouterr().out.split())
    assert "training REFUSED: m-warm-" in said
    assert "are left for 2021-07" in said
    used = usage_of(paths, DAYS[1][0].isoformat())
    assert used["launcher_usd"] == used["usd"] > 0.0
    left = 0.01 - spent(paths, "2021-07")
    assert left < 0.01
    assert main([*words, "--json", f"--now={DAYS[2][1].isoformat()}"]) == daily_command.REFUSED
    (over,) = json.loads(capsys.readouterr().out)["over_budget"]
    assert over["left"] == pytest.approx(max(left, 0.0))


def test_a_higher_limit_counts_from_the_next_session_on(paths: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the guide says: the refused day stands, or its training would be due twice."""
    trained: list[str] = []
    monkeypatch.setattr("cloudlstm.cli.daily_run._train", lambda _, __, due, *___: trained.append(due.run))
    run_with(paths, 0, cloud(), 0.01)
    for limit in (0.01, 1000.0):
        assert run_with(paths, 1, cloud(), limit).over_budget
        assert trained == []
    assert not run_with(paths, 2, cloud(), 1000.0).over_budget
    assert len(trained) == 1
    guide = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    (row,) = [line for line in guide.splitlines() if line.startswith("| over-budget |")]
    assert "from the next session on" in row


def test_a_training_of_an_earlier_day_is_refused_as_well(paths: ModelPaths) -> None:
    """The day had money for it; its training failed after it had cost most of that."""
    for number in range(2):
        day = run_day(paths, DAYS[number][1])
    (due,) = day.due
    cost = worked(paths, due.run, 3.0)
    with pytest.raises(BudgetError, match=f"{due.run} may cost .* are left for 2021-07") as error:
        run_with(paths, 1, cloud(), cost + 0.02)
    assert error.value.exit_code == daily_command.REFUSED
    assert storage.exists(paths.latest)
    assert usage_of(paths, day.date)["trainings"] == {due.run: cost}


@pytest.mark.parametrize("limit", [None, 1000.0])
def test_the_idle_cluster_of_a_training_counts_for_the_month(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch, limit: float | None
) -> None:
    """No record of the run has its time; a training that used no machine left none."""
    machines: list[float] = []

    def train(paths: ModelPaths, _: Day, due: Due, *__: object) -> None:
        if machines:
            worked(paths, due.run, machines.pop())
        raise TargetError("cannot call RunJobFlow")

    monkeypatch.setattr("cloudlstm.cli.daily_run._train", train)
    target = cloud(region="us-east-1")
    run_with(paths, 0, target, limit)
    with pytest.raises(TargetError):
        run_with(paths, 1, target, limit)
    day = registry.day_of(paths, DAYS[1][0].isoformat())
    (due,) = day.due
    assert (spent(paths, "2021-07"), usage_of(paths, day.date)["usd"]) == (0.0, 0.0)
    config = settings_of(paths, due, day.date, day.manifest)
    other = price_of(target, RunPaths.of(paths.root, due.run), config, 2).other_usd
    assert other > 5 * 0.1632 * 1.25  # the cluster for the hour in which it is idle, at its largest size
    for hours in (0.5, 0.75):  # the second command goes on with the same run
        machines.append(hours)
        with pytest.raises(TargetError):
            run_with(paths, 1, target, limit)
        times = 1 if hours == 0.5 else 2
        assert spent(paths, "2021-07") == pytest.approx(hours * 2.0 + times * other)
        assert usage_of(paths, day.date)["usd"] == pytest.approx(spent(paths, "2021-07"))


def test_the_same_command_again_is_harmless_while_a_training_runs(
    paths: ModelPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    """By hand while a launcher is at work: the whole way to the run, which another process holds."""
    for number in range(2):
        day = run_day(paths, DAYS[number][1])
    (due,) = day.due
    words = ["daily", "m", f"--root={paths.root}", f"--now={DAYS[1][1].isoformat()}"]
    with Attempt(RunPaths.of(paths.root, due.run)):
        assert main(words) == 0
    assert f"note: another process does the training {due.run}\n" in capsys.readouterr().err
    assert len(registry.versions_of(paths)) == 1


def test_a_limit_needs_the_prices_of_all_machines(paths: ModelPaths) -> None:
    for number in range(2):
        day = run_day(paths, DAYS[number][1])
    with pytest.raises(BudgetError, match=r"the price of m9z\.large is not in the table"):
        run_with(paths, 1, cloud(trainer_machines=["m9z.large"]), 1000.0)
    assert day.due


def test_on_this_machine_nothing_is_refused(paths: ModelPaths) -> None:
    assert budget_of(paths, open_target(None), 0.01) is None
    assert budget_of(paths, cloud(), None) is None


def test_what_a_month_has_cost(paths: ModelPaths) -> None:
    """A run counts in the month that has seen the cost, also if it was deleted."""
    for number in range(3):  # June 30, July 1 and 2
        run_day(paths, DAYS[number][1])
    (due,) = registry.day_of(paths, DAYS[1][0].isoformat()).due
    assert spent(paths, "2021-07") == 0.0
    june, july = DAYS[0][0].isoformat(), DAYS[2][0].isoformat()
    first = worked(paths, due.run, 1.0)
    assert spent(paths, "2021-07") == first
    note_usage(paths, june, seconds=1.0, launcher_usd=0.25, trained={due.run: 0.0})  # as if it had been of June
    assert (spent(paths, "2021-06"), spent(paths, "2021-07")) == (first + 0.25, 0.0)
    second = worked(paths, due.run, 2.0, attempt=2)
    assert spent(paths, "2021-07") == second
    note_usage(paths, july, seconds=1.0, launcher_usd=0.5, trained={due.run: 0.125})
    note_usage(paths, july, seconds=9.0, launcher_usd=0.5, trained={})
    for item in list(storage.list_objects(f"{RunPaths.of(paths.root, due.run).uri}/")):
        storage.delete(item.uri)
    assert (spent(paths, "2021-06"), spent(paths, "2021-07")) == (first + 0.25, second + 1.125)
    assert usage_of(paths, july)["seconds"] == 1.0


@settings(max_examples=60, deadline=None)
@given(
    parts=st.tuples(*[st.floats(0.01, 20.0)] * 5),
    limit=st.floats(0.0, 100.0),
    most=st.none() | st.floats(0.1, 50.0),
    beyond_h=st.floats(0.0, 1.0),
)
def test_a_paid_training_cannot_cost_more_than_what_is_left(
    parts: tuple[float, ...], limit: float, most: float | None, beyond_h: float
) -> None:
    spark_usd, spark_rate, trainers_usd, other, before = parts
    price = Price(spark_usd, spark_rate, trainers_usd, other, before, beyond_h=beyond_h)
    budget = Budget(ModelPaths.of("memory://b", "m"), "2021-07-01", limit, lambda *_: price)
    budget.__dict__["left"] = limit
    due = Due("warm", "", "m-warm", 1, "")
    config = parse(SETTINGS, [f"trainers.max_usd={most}"] if most else [])
    paid, over = budget.choose([due, due], "2021-07-01", "")
    assert len(paid) == min(2, int(limit / price.usd) if limit >= price.usd else 0) or limit % price.usd < 1e-6
    assert len(paid) + len(over) == 2
    if not paid:
        with pytest.raises(BudgetError):
            budget.limited(config, due, "2021-07-01", "")
        return
    found = budget.limited(config, due, "2021-07-01", "")
    assert found.spark.max_hours is not None
    assert found.trainers.max_usd is not None
    if (limit - price.usd) / 2 >= beyond_h * spark_rate:  # the rest pays a slow start and a job that hangs as well
        whole_h = found.spark.max_hours + beyond_h
        assert whole_h * spark_rate + (found.trainers.max_usd - before) + other <= limit + 1e-6
    assert found.spark.max_hours * spark_rate + (found.trainers.max_usd - before) + other <= limit + 1e-6
    assert found.spark.max_hours * spark_rate >= min(spark_usd, 6.0 * spark_rate) - 1e-9
    assert most is None or found.trainers.max_usd <= most


def test_the_dearest_case_has_the_largest_cluster_and_grows_with_the_work(paths: ModelPaths) -> None:
    for number in range(2):
        day = run_day(paths, DAYS[number][1])
    (due,) = day.due
    config = settings_of(paths, due, day.date, day.manifest)
    run = RunPaths.of(paths.root, due.run)
    few, many = (price_of(cloud(region="us-east-1"), run, config, tickers) for tickers in (2, 5000))
    assert few.spark_rate == pytest.approx(5 * 0.1632 * 1.25)  # one primary and spark_max_nodes
    assert few.usd < many.usd
    assert many.trainers_usd <= 12 * 2 * (0.9776 + 100 * 0.08 / 730) + 1e-9  # max_hours of the target
    capped = config.model_copy(update={"trainers": config.trainers.model_copy(update={"max_usd": 0.5})})
    assert price_of(cloud(), run, capped, 5000).trainers_usd == 0.5


def test_a_cluster_counts_at_its_largest_size(paths: ModelPaths) -> None:
    """It may have grown while it worked, and no record of the run has that; the run's own report counts the least."""
    for number in range(2):
        day = run_day(paths, DAYS[number][1])
    (due,) = day.due
    target = cloud()
    nodes = nodes_of(target)
    assert (nodes, nodes_of(open_target(None))) == (5, 0)
    trainers = worked(paths, due.run, 1.0)
    cluster = worked(paths, due.run, 2.0, job="prepare", machines=2)
    assert cost_of_run(paths, due.run) == trainers + cluster
    most = trainers + cluster * nodes / 2
    assert cost_of_run(paths, due.run, nodes) == spent(paths, "2021-07", nodes) == pytest.approx(most)
    budget = budget_of(paths, target, 100.0)
    assert budget is not None
    assert budget(day.date).left == pytest.approx(100.0 - most)
    note_usage(paths, day.date, seconds=1.0, launcher_usd=None, trained={due.run: 0.0}, nodes=nodes)
    assert usage_of(paths, day.date)["trainings"] == {due.run: pytest.approx(most)}
    assert cost_of_run(paths, due.run, 1) == trainers + cluster  # a target that was made smaller since


def test_the_start_of_a_cluster_and_a_job_that_hangs_are_paid_if_the_rest_suffices(paths: ModelPaths) -> None:
    for number in range(2):
        day = run_day(paths, DAYS[number][1])
    (due,) = day.due
    config = settings_of(paths, due, day.date, day.manifest)
    price = price_of(cloud(), RunPaths.of(paths.root, due.run), config, 2)
    assert price.beyond_h * 3600 == pytest.approx(clusters.START_S + spark_job.MARGIN_S)


def test_the_policy_takes_a_limit() -> None:
    assert read_policy(["max_usd_month=12.5"]).max_usd_month == 12.5
    assert read_policy(["max_usd_month=none"]).max_usd_month is None
    for wrong in ("0", "-1", "nan", "inf", "much", ""):
        with pytest.raises(UsageError, match="max_usd_month needs an amount in USD above 0"):
            read_policy([f"max_usd_month={wrong}"])
    assert main(["daily", "m", "--max-usd-month=0"]) == 2
