"""Each planted fault is found by its own check, and the table without it has no alarm."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from audit.clean_tables import held_by_month, macro, rolling
from audit.faults import ENTITIES, FAULTS, Fault, base, later
from cloudlstm.audit import Audit, Settings, audit_table
from cloudlstm.audit.findings import Finding


def alarms(found: Audit) -> list[tuple[str, str]]:
    return [(each.check, each.column) for each in found.of_level("alarm")]


def findings(found: Audit, check: str) -> list[Finding]:
    return [each for each in found.findings if each.check == check]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.plant.__name__)
def test_a_planted_fault_is_found_by_its_own_check(fault: Fault) -> None:
    assert (fault.check, fault.column) in alarms(audit_table(pa.table(fault.plant(base()))))


@pytest.mark.parametrize("seed", range(5))
def test_the_table_without_a_fault_has_no_alarm(seed: int) -> None:
    found = audit_table(pa.table(base(seed).table()))
    assert not alarms(found)
    assert (found.target_kind, found.horizon, found.entities) == ("returns", 1, ENTITIES)


def test_the_evidence_of_a_centred_mean_is_its_true_correlation() -> None:
    """Of a mean over 7 rows, what the past leaves is the mean of 3 later returns with weights 3, 2, 1."""
    weights = np.array([3.0, 2.0, 1.0])
    total = np.full(base().close.shape, np.nan)
    logs = np.log(base().close)
    total[3:-3] = np.lib.stride_tricks.sliding_window_view(logs, 7, axis=0).mean(-1)
    found = audit_table(pa.table(base().table(smooth=np.exp(total))))
    evidence = next(each for each in findings(found, "look-ahead") if "lead" in each.numbers)
    assert evidence.numbers["lead"] == 1
    assert evidence.numbers["correlation"] == pytest.approx(weights[0] / np.linalg.norm(weights), abs=0.06)


def test_a_target_that_is_the_change_of_a_column_is_found_without_a_price() -> None:
    b = base()
    level = 100 + np.cumsum(b.rng.normal(0, 1, b.close.shape), axis=0)
    change = np.concatenate([np.full((1, ENTITIES), np.nan), 400 * np.diff(np.log(level), axis=0)])
    table = b.table(index=level, target=change)
    assert ("target-copy", "index") in alarms(audit_table(pa.table(table)))
    coming = np.concatenate([change[1:], change[:1] * np.nan])
    assert ("target-copy", "index") not in alarms(audit_table(pa.table(b.table(index=level, target=coming))))


def test_a_target_in_per_cent_is_known_too() -> None:
    b = base()
    past = np.concatenate([np.full((3, ENTITIES), np.nan), 100 * (b.close[3:] / b.close[:-3] - 1)])
    found = findings(audit_table(pa.table(b.table(target=past))), "target-known")
    assert [each.numbers["rows"] for each in found] == [3]


@pytest.mark.parametrize(("share", "alarm"), [(0.003, False), (0.06, True)])
def test_a_small_genuine_skill_is_no_alarm(share: float, alarm: bool) -> None:
    b = base(3, dates=1500, entities=20)
    target = later(b.returns, 1)
    signal = np.sqrt(share) * target / b.returns.std(0) + np.sqrt(1 - share) * b.rng.normal(0, 1, target.shape)
    signal[-1] = 0.0
    assert bool(alarms(audit_table(pa.table(b.table(signal=signal))))) == alarm


def test_a_higher_limit_accepts_more_skill() -> None:
    b = base(3, dates=1500, entities=20)
    target = later(b.returns, 1)
    signal = np.sqrt(0.06) * target / b.returns.std(0) + np.sqrt(0.94) * b.rng.normal(0, 1, target.shape)
    signal[-1] = 0.0
    assert not alarms(audit_table(pa.table(b.table(signal=signal)), Settings(max_r2=0.15)))


def test_a_finding_that_was_judged_can_be_accepted() -> None:
    fault = next(each for each in FAULTS if each.check == "period-join")
    table = pa.table(fault.plant(base()))
    assert alarms(audit_table(table)) == [("period-join", "cpi")]
    assert not alarms(audit_table(table, Settings(accept=("period-join:cpi",))))
    assert alarms(audit_table(table, Settings(accept=("period-join:rate",))))


def test_a_scaler_of_the_training_rows_is_no_alarm() -> None:
    b = base()
    table = b.table()
    rows = len(table["ticker"])
    training = np.arange(rows) < 0.7 * rows
    vol = table["vol_20"]
    table["vol_20"] = (vol - np.nanmean(vol[training])) / np.nanstd(vol[training])
    table["split"] = np.where(training, "train", "test")
    assert not alarms(audit_table(pa.table(table)))
    del table["split"]
    known = b.days[int(0.7 * len(b.days)) - 1]
    assert not alarms(audit_table(pa.table(table), Settings(train_end=str(np.datetime64(int(known), "D")))))


def test_scaling_by_date_is_no_alarm() -> None:
    b = base()
    strength = b.close / np.roll(b.close, 20, axis=0) - 1
    strength = (strength - strength.mean(1, keepdims=True)) / strength.std(1, keepdims=True)
    strength[:20] = 0.0  # the mean of all others, but also that of each date
    table = b.table(strength=strength)
    assert not alarms(audit_table(pa.table(table)))


def test_a_figure_that_was_written_before_its_first_publication_is_told() -> None:
    b = base()
    figure = macro(b.rng, b.days)
    figure[:90] = figure[90]
    found = audit_table(pa.table(b.table(cpi=np.repeat(figure[:, None], ENTITIES, axis=1))))
    assert [(each.level, each.column) for each in findings(found, "back-fill")] == [("warning", "cpi")]
    assert not alarms(found)


def test_the_size_of_returns_may_be_forecast_but_not_known() -> None:
    """An index of expected volatility, with news that past returns do not have, is no alarm."""
    b = base(4, dates=1000)
    size = np.log(np.abs(b.returns) + 0.001)
    ahead = np.nan_to_num(later(size, 1), nan=-5.0)
    index = 0.4 * ahead + rolling(np.nan_to_num(size), 10) + b.rng.normal(0, 1, size.shape)
    assert not alarms(audit_table(pa.table(b.table(index=index))))


def test_zeros_for_missing_values_are_no_statistic() -> None:
    b = base()
    feeling = np.where(b.rng.random(b.close.shape) < 0.3, b.rng.normal(0, 1, b.close.shape), 0.0)
    assert not alarms(audit_table(pa.table(b.table(feeling=feeling))))


def test_a_forward_fill_is_no_back_fill() -> None:
    fault = next(each for each in FAULTS if each.plant.__name__ == "back_filled_gaps")
    b = base()
    table = fault.plant(b)
    rate = table["rate"].reshape(b.close.shape)[::-1]  # the same path backwards in time is filled forward
    assert not alarms(audit_table(pa.table(b.table(rate=rate))))


def test_a_purged_split_is_no_alarm() -> None:
    fault = next(each for each in FAULTS if each.plant.__name__ == "unpurged")
    b = base()
    table = fault.plant(b)
    date = np.repeat(np.arange(len(b.days)), ENTITIES)
    for gap, expected in ((9, False), (5, True)):
        keep = pa.array((date < 350 - gap) | (date >= 350))
        assert bool(alarms(audit_table(pa.table(table).filter(keep)))) == expected


def test_a_signal_of_one_series_that_is_held_for_a_month_is_no_alarm() -> None:
    b = base(entities=1)
    momentum = np.full(b.close.shape, np.nan)
    momentum[21:] = np.log(b.close[21:] / b.close[:-21])
    table = pa.table(b.table(signal=held_by_month(b.days, momentum)))
    found = audit_table(table)
    assert [each.level for each in findings(found, "period-join")] == ["warning"]
    value = np.cumsum(b.rng.normal(0, 1, 600))[b.days.astype("datetime64[D]").astype("datetime64[M]").astype(int)]
    assert alarms(audit_table(pa.table(b.table(cpi=value[:, None])))) == [("period-join", "cpi")]


def test_months_that_are_published_later_are_no_alarm() -> None:
    b = base()
    month = b.days.astype("datetime64[D]").astype("datetime64[M]")
    into = b.days - month.astype("datetime64[D]").astype(int)
    value = np.cumsum(b.rng.normal(0, 1, 600))
    published = value[month.astype(int) - (into < 12)]
    table = b.table(cpi=np.repeat(published[:, None], ENTITIES, axis=1))
    assert not alarms(audit_table(pa.table(table)))


def test_what_is_noted() -> None:
    b = base(dates=600)
    table = b.table(nothing=np.full(b.close.shape, 3.0), feeling=b.returns + b.rng.normal(0, 0.01, b.close.shape))
    found = audit_table(pa.table(table))
    assert [each.column for each in findings(found, "constant")] == ["nothing"]
    assert "feeling" in [each.column for each in findings(found, "same-day")]
    assert [each.numbers["entities"] for each in findings(found, "survivors")] == [ENTITIES]
    assert not alarms(found)


def test_rows_out_of_order_are_told() -> None:
    table = pa.table(base().table())
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))
    found = findings(audit_table(shuffled), "times")[0]
    assert found.level == "warning"
    assert found.numbers["back"] / found.numbers["pairs"] == pytest.approx(0.5, abs=0.03)  # type: ignore[operator]
    backwards = table.take(pa.array(np.arange(table.num_rows)[::-1]))
    assert [each.level for each in findings(audit_table(backwards), "times")] == ["note"]


def test_adjusted_prices_are_told() -> None:
    b = base()
    factor = np.where(np.arange(len(b.days)) < 200, 0.98, 1.0)[:, None]
    found = findings(audit_table(pa.table(b.table(adj_close=b.close * factor))), "adjusted")
    assert [(each.level, each.column, each.numbers["rows"]) for each in found] == [("warning", "adj_close", ENTITIES)]
    assert found[0].numbers["first_ratio"] == pytest.approx(0.98)


def test_a_rewritten_past_is_found_from_the_other_vintage() -> None:
    b = base()
    old = pa.table(b.table()).slice(0, 450 * ENTITIES)
    split = np.where(np.arange(len(b.days)) < 400, 0.25, 1.0)[:, None]
    new = pa.table(b.table(close=b.close * split))
    found = audit_table(new, revised=old)
    assert [(each.column, each.numbers["rows"]) for each in findings(found, "revised") if each.level == "alarm"] == [
        ("close", 400 * ENTITIES)
    ]
    same = audit_table(pa.table(b.table()), revised=old)
    assert not findings(same, "revised")


def test_late_corrections_are_a_warning() -> None:
    b = base()
    late = np.where(np.arange(len(b.days)) >= len(b.days) - 3, 1.01, 1.0)[:, None]
    risk = rolling(b.returns, 20, np.std)
    found = audit_table(pa.table(b.table(vol_20=risk * late)), revised=pa.table(b.table(vol_20=risk)))
    assert [(each.level, each.column) for each in findings(found, "revised")] == [("warning", "vol_20")]


def test_rows_that_vanished_from_the_past_are_told() -> None:
    b = base()
    table = pa.table(b.table())
    without = table.filter(pa.array(np.asarray(table["ticker"]) != "T03"))
    found = findings(audit_table(without, revised=table), "revised")
    assert [(each.level, each.numbers) for each in found] == [
        ("warning", {"only_here": 0, "only_there": len(b.days)})
    ]  # fmt: skip


@pytest.mark.parametrize("horizon", [1, 5, 21])
def test_the_horizon_is_found_from_the_price(horizon: int) -> None:
    b = base()
    target = np.full(b.close.shape, np.nan)
    target[:-horizon] = np.log(b.close[horizon:] / b.close[:-horizon])
    found = audit_table(pa.table(b.table(target=target)))
    assert (found.horizon, found.target_kind) == (horizon, "returns")
    without = b.table(target=target)
    del without["close"]
    assert audit_table(pa.table(without)).horizon == horizon  # from the empty targets at the end


def test_what_could_not_be_checked_is_said() -> None:
    b = base()
    table = b.table()
    del table["close"], table["target"]
    found = audit_table(pa.table(table | {"name": ["x"] * len(table["ticker"])}))
    state = {each.check: (each.state, each.columns, each.of) for each in found.coverage}
    assert state["target-copy"] == ("not done", 0, 4)
    assert state["scaling"] == ("partly", 3, 4)
    assert state["duplicates"] == ("done", 1, 1)
    assert 0.3 < found.share_checked < 0.7
