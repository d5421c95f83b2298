"""Columns of exogenous values that were joined by date, with the times of publication at hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from audit.faults import ENTITIES, base
from cloudlstm.audit import Audit, Settings, audit_file, audit_table
from cloudlstm.errors import UnreadableSourceError
from cloudlstm.exogenous.columns import NEWS, Column
from cloudlstm.exogenous.join import join
from cloudlstm.exogenous.table import EXOGENOUS
from cloudlstm.market.calendar import sessions

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
DAILY, MONTHLY = "VIX", "CPI"
DATES = sessions("XNYS", dt.date(2020, 1, 1), dt.date(2021, 12, 31))
Days = NDArray[Any]


def long(series: str, period: Days, available_us: Days, value: Days, entity: str = "", vintage: int = 0) -> pa.Table:
    rows = len(period)
    return pa.table([
        pa.array([series] * rows), pa.array([entity] * rows), pa.array(period.astype(np.int32)).view(pa.date32()),
        pa.array(available_us.astype(np.int64), pa.timestamp("us", "UTC")), pa.array(value),
        pa.array(np.full(rows, vintage, np.int32)), pa.array(["test"] * rows),
    ], schema=EXOGENOUS)  # fmt: skip


def vix() -> pa.Table:
    """A value a session, half an hour after the close, to two decimals."""
    level = np.round(20 + np.cumsum(np.random.default_rng(1).normal(0, 0.5, len(DATES))), 2)
    return long(DAILY, DATES, DATES.astype(np.int64) * DAY_US + 21 * HOUR_US + HOUR_US // 2, level)


def cpi(revised: bool = False) -> pa.Table:
    """A value a month, twelve days after its end; and its revision a month later."""
    months = np.arange("2019-10", "2022-01", dtype="datetime64[M]")
    starts = months.astype("datetime64[D]").astype(np.int64)
    after = ((months + 1).astype("datetime64[D]").astype(np.int64) + 12) * DAY_US + 13 * HOUR_US
    rng = np.random.default_rng(2)
    value = np.round(250 + np.cumsum(rng.uniform(0.1, 1, len(months))), 3)
    first = long(MONTHLY, starts, after, value)
    if not revised:
        return first
    return pa.concat_tables([first, long(MONTHLY, starts, after + 30 * DAY_US, value + 0.05, vintage=1)])


def headlines() -> pa.Table:
    """Scores of three tickers, at any hour of the session's date."""
    rng = np.random.default_rng(3)
    parts = []
    for entity in ("T00", "T01", "T02"):
        day = np.sort(rng.choice(DATES, 900))
        parts.append(long(NEWS, day, day.astype(np.int64) * DAY_US + rng.integers(0, 24, 900) * HOUR_US,
                          rng.normal(0, 0.4, 900), entity, 0))  # fmt: skip
    return pa.concat_tables(parts)


def features(**columns: Any) -> pa.Table:
    """A clean table on the sessions of New York, with more columns by date, then entity."""
    b = base(dates=len(DATES))
    b = b._replace(days=DATES.astype(np.int64))
    grids = {name: np.repeat(np.asarray(each)[:, None], ENTITIES, axis=1) for name, each in columns.items()}
    return pa.table(b.table(**grids))


def known(rows: pa.Table, series: str, measure: str = "value", embargo: int = 15) -> pa.Table:
    """A clean table with the column x as our own join makes it."""
    group = "news" if series == NEWS else "macro"
    column = Column("x", group, "rate", "percent", series, measure, 3_650)  # type: ignore[arg-type]
    return join(features(), rows, [column], "XNYS", embargo)


def on_the_period(rows: pa.Table, last: bool = False) -> NDArray[np.float64]:
    """The newest period up to each date, whenever it was published; its first version, or its last."""
    table = rows.sort_by([("period", "ascending"), ("vintage", "ascending")])
    period = table.column("period").combine_chunks().view(pa.int32()).to_numpy()
    value = table.column("value").to_numpy()
    newest = period[np.searchsorted(period, DATES, side="right") - 1]
    at = np.searchsorted(period, newest, side="right") - 1 if last else np.searchsorted(period, newest, side="left")
    found: NDArray[np.float64] = value[at]
    return found


def found_in(table: pa.Table, rows: pa.Table | None, calendar: str | None = "XNYS") -> list[tuple[str, int]]:
    audit = audit_table(table, Settings(calendar=calendar), exogenous=rows)
    return [(each.column, int(each.numbers["rows"] or 0)) for each in audit.findings if each.check == "unpublished"]


def finding(audit: Audit) -> str:
    return next(each.evidence for each in audit.findings if each.check == "unpublished")


def test_a_daily_series_that_is_joined_by_its_date_is_found() -> None:
    """Each row but those whose value did not change shows a value of half an hour after the close."""
    level = on_the_period(vix())
    same = int((np.diff(level) == 0).sum())
    rows = found_in(features(x=level), vix())
    summer_and_winter = len(DATES) * ENTITIES  # published at 21:30 UTC, closes at 20:00 or 21:00
    assert rows == [("x", summer_and_winter - same * ENTITIES)]


def test_without_the_table_of_publications_it_is_not_found() -> None:
    audit = audit_table(features(x=on_the_period(vix())))
    assert not audit.of_level("alarm")
    state = {each.check: (each.state, each.reason) for each in audit.coverage}
    assert state["unpublished"] == ("not done", "no table of times of publication (--exogenous)")


def test_without_a_calendar_a_date_ends_with_its_day() -> None:
    assert found_in(features(x=on_the_period(vix())), vix(), calendar=None) == []
    assert [name for name, _ in found_in(features(x=on_the_period(cpi())), cpi(), calendar=None)] == ["x"]


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x / 100,
        np.log,
        lambda x: np.diff(x, prepend=np.nan),
        lambda x: np.diff(np.log(x), prepend=np.nan),
        lambda x: np.diff(x, prepend=np.nan) / np.roll(x, 1),
        lambda x: x.astype(np.float32),
        lambda x: np.concatenate([[np.nan], x[:-1]]),
    ],
    ids=["hundredth", "log", "change", "log change", "relative change", "32 bits", "shifted"],
)
def test_forms_of_a_monthly_series_are_found(form: Callable[[Any], Any]) -> None:
    assert [name for name, _ in found_in(features(x=form(on_the_period(cpi()))), cpi())] == ["x"]


def test_the_last_version_of_a_value_is_found_too() -> None:
    rows = cpi(revised=True)
    audit = audit_table(features(x=on_the_period(rows, last=True)), Settings(calendar="XNYS"), exogenous=rows)
    assert "CPI joined by its period, in its last version" in finding(audit)


def test_final_values_at_the_time_of_the_first_publication_are_found() -> None:
    """The usual fault with revised series: right day, wrong version. Only a part of the rows gives it away."""
    rows = cpi(revised=True)
    final = rows.set_column(4, "value", pa.array(np.tile(rows.column("value").to_numpy()[len(rows) // 2 :], 2)))
    assert [name for name, _ in found_in(known(final, MONTHLY), rows)] == ["x"]


def test_a_figure_whose_period_ends_the_month_is_found_in_its_month() -> None:
    rows = cpi()
    months = rows.column("period").combine_chunks().view(pa.int32()).to_numpy().astype("datetime64[D]")
    ends = (months.astype("datetime64[M]") + 1).astype("datetime64[D]").astype(np.int32) - 1
    moved = rows.set_column(2, EXOGENOUS.field("period"), pa.array(ends).view(pa.date32()))
    audit = audit_table(features(x=on_the_period(rows)), Settings(calendar="XNYS"), exogenous=moved)
    assert "joined by its month" in finding(audit)


@pytest.mark.parametrize("how", ["number", "mean", "sum", "strongest"])
def test_news_that_is_joined_by_its_date_is_found(how: str) -> None:
    news = headlines().to_pandas().groupby(["entity", "period"])["value"]
    by_date = {"number": news.count(), "mean": news.mean(), "sum": news.sum(),
               "strongest": news.agg(lambda values: max(values, key=abs))}[how]  # fmt: skip
    table = features()
    column = [by_date.get(key, 0.0) for key in zip(table["ticker"].to_pylist(), table["date"].to_pylist(), strict=True)]
    found = found_in(table.append_column("x", pa.array(column, pa.float64())), headlines())
    assert [name for name, _ in found] == ["x"]


def test_a_series_with_zeros_where_it_has_no_value_is_found_by_its_dates() -> None:
    rows = vix().filter(pa.array(np.arange(len(DATES)) % 3 == 0))
    filled = np.where(np.arange(len(DATES)) % 3 == 0, vix().column("value").to_numpy(), 0.0)
    audit = audit_table(features(x=filled), Settings(calendar="XNYS"), exogenous=rows)
    assert "VIX joined by its date:" in finding(audit)


@pytest.mark.parametrize("embargo", [0, 15, 600])
@pytest.mark.parametrize(
    ("series", "measure"),
    [(DAILY, "value"), (MONTHLY, "value"), (MONTHLY, "age"), (NEWS, "count"), (NEWS, "mean"), (NEWS, "strongest")],
)
def test_our_own_join_is_no_alarm(series: str, measure: str, embargo: int) -> None:
    rows = pa.concat_tables([vix(), cpi(revised=True), headlines()])
    assert found_in(known(rows, series, measure, embargo), rows) == []


def test_a_value_that_waits_longer_than_it_has_to_is_no_alarm() -> None:
    """It differs from the as-of join and equals a shifted join by date, but shows nothing too early."""
    early = long(DAILY, DATES, DATES.astype(np.int64) * DAY_US + 14 * HOUR_US, vix().column("value").to_numpy())
    waiting = np.concatenate([[np.nan], on_the_period(early)[:-1]])
    assert found_in(features(x=waiting), early) == []


def test_news_by_date_that_waits_for_the_next_session_is_no_alarm() -> None:
    by_date = headlines().to_pandas().groupby(["entity", "period"])["value"].mean()
    table = features().select(["ticker", "date", "close"])
    before = dict(zip(DATES[1:].tolist(), DATES[:-1].tolist(), strict=True))
    days = table["date"].combine_chunks().view(pa.int32()).to_pylist()
    column = [
        by_date.get((ticker, dt.date(1970, 1, 1) + dt.timedelta(before.get(day, 0))), np.nan)
        for ticker, day in zip(table["ticker"].to_pylist(), days, strict=True)
    ]
    assert found_in(table.append_column("x", pa.array(column, pa.float64())), headlines()) == []


@pytest.mark.parametrize("base_level", [0, 1])
def test_rare_events_that_were_joined_late_are_no_alarm(base_level: int) -> None:
    """On the day after an event both the late column and a join by date are back at the level before it."""
    days = np.arange(len(DATES))
    spikes = (days % 80 == 10) + base_level * (2.0 + days // 200)
    rows = vix().set_column(4, "value", pa.array(spikes))
    late = np.concatenate([np.full(3, np.nan), spikes[:-3]])
    assert found_in(features(x=late), rows) == []
    assert [name for name, _ in found_in(features(x=spikes), rows)] == ["x"]


def test_a_column_that_became_available_after_its_row_is_found() -> None:
    table = features(cpi=np.arange(len(DATES), dtype=float))
    midnight = np.repeat(DATES.astype(np.int64), ENTITIES) * DAY_US
    late = np.where(np.arange(len(midnight)) % 10 == 0, 26 * HOUR_US, 20 * HOUR_US)
    moments = pa.array(midnight + late, pa.timestamp("us", "UTC"))
    audit = audit_table(table.append_column("cpi_available_at", moments))
    found = [(each.column, each.numbers["rows"]) for each in audit.of_level("alarm")]
    assert found == [("cpi_available_at", -(-len(midnight) // 10))]
    assert "cpi_available_at" not in audit.features
    early = audit_table(table.append_column("cpi_available_at", pa.array(midnight, pa.timestamp("us", "UTC"))))
    assert not early.of_level("alarm")


def test_with_a_calendar_the_close_counts() -> None:
    table = features(cpi=np.arange(len(DATES), dtype=float))
    at_21_30 = np.repeat(DATES.astype(np.int64), ENTITIES) * DAY_US + 21 * HOUR_US + HOUR_US // 2
    table = table.append_column("cpi_available_at", pa.array(at_21_30, pa.timestamp("us", "UTC")))
    assert not audit_table(table).of_level("alarm")
    found = audit_table(table, Settings(calendar="XNYS")).of_level("alarm")
    assert [(each.check, each.numbers["rows"]) for each in found] == [("available-at", len(at_21_30))]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files(suffix: str, tmp_path: Path) -> None:
    write = pc.write_csv if suffix == "csv" else pq.write_table
    table, rows = tmp_path / f"table.{suffix}", tmp_path / f"rows.{suffix}"
    write(features(x=on_the_period(cpi())), table)
    write(cpi().select(["series", "period", "available_at", "value"]), rows)
    audit = audit_file(table.as_uri(), Settings(), exogenous=rows.as_uri())
    assert ("unpublished", "x") in [(each.check, each.column) for each in audit.of_level("alarm")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("series,period,value\nCPI,2020-01-01,1\n", "has no column available_at"),
        ("series,period,available_at,value\nCPI,2020-01-01,2020-02-12 13:30:00,1\n", "times without a zone"),
        ("series,period,available_at,value\nCPI,2020-01-01,2020-02-12,1\n", "times without a zone"),
        ("series,period,available_at,value\nCPI,2020-01-01,2020-02-12T13:30Z,1\nCPI,2020-02-01,,1\n", "without a time"),
        ("series,period,available_at,value\nCPI,2020-01-01,2020-02-12T13:30Z,high\n", "value of .* is not of numbers"),
    ],
)
def test_a_table_of_publications_that_cannot_be_read_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    pq.write_table(features(), tmp_path / "table.parquet")
    with pytest.raises(UnreadableSourceError, match=message):
        audit_file((tmp_path / "table.parquet").as_uri(), Settings(), exogenous=(tmp_path / "rows.csv").as_uri())
