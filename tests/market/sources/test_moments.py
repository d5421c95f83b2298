"""Moments of bars within a day: every form of a time, time zones, and intervals and hours that do not fit."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm.config import MarketConfig, RunConfig, parse
from cloudlstm.errors import ConfigError, DataError, UnreadableSourceError
from cloudlstm.market import columns
from cloudlstm.market.columns import MOMENT
from cloudlstm.market.interval_fit import describe_times
from cloudlstm.market.sources import dates, moments
from cloudlstm.market.sources.base import look_at_source
from minute_bars import grid, market, minute_bars, texts

NEW_YORK = "America/New_York"


def read(values: Any, zone: str | None = None, interval: str = "1m") -> list[str]:
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([pa.array(values)])
    config = market(interval, time_zone=zone)
    found = moments.parse(column, dates.find_form(column, None, "time", "f.csv"), config, "time", "f.csv")
    assert found.days.type == MOMENT
    return texts(columns.days(found.days))


@pytest.mark.parametrize(
    "values",
    [
        ["2024-11-29 14:30:00+00:00", "2024-11-29 14:31:00+00:00"],
        ["2024-11-29T14:30Z", "2024-11-29T14:31Z"],
        ["2024-11-29 09:30:00-05:00", "2024-11-29 09:31:00-05:00"],
        ["20241129 143000Z", "20241129 143100Z"],
        [1732890600, 1732890660],
        [1732890600000, 1732890660000],
        ["1732890600", "1732890660"],
        pa.array([1732890600, 1732890660], pa.timestamp("s", "Asia/Tokyo")),
        pa.array([1732890600 * 10**9, 1732890660 * 10**9], pa.timestamp("ns", "UTC")),
    ],
)
def test_times_with_an_offset_need_no_zone(values: Any) -> None:
    for zone in (None, "Asia/Tokyo"):
        assert read(values, zone) == ["2024-11-29T14:30", "2024-11-29T14:31"]


@pytest.mark.parametrize(
    "values",
    [
        ["2024-11-29 09:30:00", "2024-11-29 09:31:00"],
        ["11/29/2024 9:30", "11/29/2024 9:31"],
        ["11/29/2024 9:30 AM", "11/29/2024 9:31 AM"],
        ["20241129 093000", "20241129 093100"],
        ["2024.11.29 09:30", "2024.11.29 09:31"],
        pa.array([dt.datetime(2024, 11, 29, 9, 30), dt.datetime(2024, 11, 29, 9, 31)], pa.timestamp("us")),
    ],
)
def test_times_of_a_clock_need_its_zone(values: Any) -> None:
    assert read(values, NEW_YORK) == ["2024-11-29T14:30", "2024-11-29T14:31"]
    assert read(values, "UTC") == ["2024-11-29T09:30", "2024-11-29T09:31"]
    with pytest.raises(UnreadableSourceError, match="no offset from UTC") as caught:
        read(values)
    assert "market.time_zone=America/New_York" in caught.value.hint


def test_summer_time_moves_the_open() -> None:
    assert read(["2024-10-31 09:30", "2024-11-04 09:30"], NEW_YORK) == ["2024-10-31T13:30", "2024-11-04T14:30"]


def test_dates_without_times_are_daily_bars() -> None:
    for values in (["2024-11-29", "2024-12-02"], pa.array([dt.date(2024, 11, 29)])):
        with pytest.raises(UnreadableSourceError, match="dates without times") as caught:
            read(values, NEW_YORK)
        assert "market.interval=1d" in caught.value.hint


def test_a_time_that_is_no_whole_minute_is_unreadable() -> None:
    column = pa.chunked_array([["2024-11-29T14:30:00Z", "2024-11-29T14:31:07Z", "soon", ""]])
    found = moments.parse(column, dates.DateForm(), market(), "time", "f.csv")
    assert found.unreadable.tolist() == [False, True, True, False]
    stamps = pa.chunked_array([pa.array([1732890600500, None], pa.timestamp("ms", "UTC"))])
    assert moments.parse(stamps, dates.DateForm(), market(), "time", "f.csv").unreadable.tolist() == [True, False]


def write(folder: Path, stamps: list[str], name: str = "AAA.csv") -> Path:
    lines = [f"{stamp},10,10.1,9.9,{10 + row % 7 / 100},{1000 + row}" for row, stamp in enumerate(stamps)]
    (folder / name).write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n")
    return folder / name


def clock(interval: str, zone: str) -> list[str]:
    moment = pa.array(grid(interval).starts.astype(np.int64) * 60).cast(pa.timestamp("s", tz=zone))
    return [each.as_py().strftime("%Y-%m-%d %H:%M:%S") for each in moment]


def config(path: Path, *words: str) -> RunConfig:
    borders = ["dataset.train_end=2024-11-27", "dataset.validation_end=2024-11-29"]
    range_ = ["market.start=2024-11-25", "market.end=2024-12-03"]
    return parse({}, ["market.source=files", f"market.path={path}", *range_, *borders, *words])


@pytest.mark.parametrize(
    ("written", "zone", "words", "says", "hint"),
    [
        ("5m", NEW_YORK, [], "5 minutes apart", "market.interval=5m"),
        ("5m", NEW_YORK, ["market.interval=1m"], "5 minutes apart, and market.interval is 1m", "market.interval=5m"),
        ("5m", NEW_YORK, ["market.interval=1h"], "5 minutes apart", "market.interval=5m"),
        ("15m", "UTC", ["market.interval=15m"], "as times of UTC almost all are", "market.time_zone=UTC"),
        ("15m", NEW_YORK, ["market.interval=15m", "market.time_zone=UTC"], "as times of America/New_York",
         "market.time_zone=America/New_York"),
    ],
)  # fmt: skip
def test_bars_of_another_interval_or_zone_are_told_with_the_setting(
    tmp_path: Path, written: str, zone: str, words: list[str], says: str, hint: str
) -> None:
    path = write(tmp_path, clock(written, zone))
    given = words if any("time_zone" in word for word in words) else [*words, f"market.time_zone={NEW_YORK}"]
    with pytest.raises(DataError) as caught:
        look_at_source(config(path, *given))
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_daily_bars_given_to_a_run_within_a_day_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, sorted({each[:10] for each in clock("1h", NEW_YORK)}))
    with pytest.raises(DataError, match=r"dates without times.*market.interval is 1m") as caught:
        look_at_source(config(path, "market.interval=1m"))
    assert "market.interval=1d" in caught.value.hint


def test_bars_that_fit_are_found_with_their_dates(tmp_path: Path) -> None:
    path = write(tmp_path, clock("15m", NEW_YORK))
    found = look_at_source(config(path, "market.interval=15m", f"market.time_zone={NEW_YORK}"))
    assert (found.first, found.last, found.tickers) == (dt.date(2024, 11, 25), dt.date(2024, 12, 3), ("AAA",))


def test_several_rows_of_a_moment_without_tickers_are_several_tickers(tmp_path: Path) -> None:
    stamps = clock("15m", NEW_YORK)
    lines = [f"{stamp},{p},{p * 1.1},{p * 0.9},{p},100" for stamp in stamps for p in (10.0, 70.0)]
    path = tmp_path / "all.csv"
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n")
    with pytest.raises(UnreadableSourceError, match=r"2 rows of 2024-11-25T14:30Z"):
        look_at_source(config(path, "market.interval=15m", f"market.time_zone={NEW_YORK}"))


def ends_of(interval: str, zone: str) -> list[str]:
    """The times of bars that are named by their ends."""
    own = grid(interval)
    moment = pa.array(own.ends(own.starts).astype(np.int64) * 60).cast(pa.timestamp("s", tz=zone))
    return [each.as_py().strftime("%Y-%m-%d %H:%M:%S") for each in moment]


@pytest.mark.parametrize("interval", ["1m", "15m", "1h"])
@pytest.mark.parametrize("calendar", ["XNYS", "XTKS"])
def test_bars_that_are_named_by_their_ends_get_their_starts(interval: str, calendar: str) -> None:
    """Also the last bar before a break or a close, which may be shorter: of 1h it has half an hour in New York."""
    own = grid(interval, calendar)
    ends = pa.chunked_array([columns.from_days(own.ends(own.starts), MOMENT)])
    config = market(interval, calendar, source="files", path="f.csv", bar_time="end")
    found = moments.parse(ends, dates.DateForm(), config, "time", "f.csv")
    np.testing.assert_array_equal(columns.days(found.days), own.starts)
    written = pa.chunked_array([pa.array([str(each) for each in own.ends(own.starts).astype("datetime64[m]")])])
    config = config.model_copy(update={"time_zone": "UTC"})
    found = moments.parse(written, dates.find_form(written, None, "time", "f.csv"), config, "time", "f.csv")
    np.testing.assert_array_equal(columns.days(found.days), own.starts)


def test_bars_that_are_named_by_their_ends_are_told_with_the_setting(tmp_path: Path) -> None:
    path = write(tmp_path, ends_of("15m", NEW_YORK))
    words = ["market.interval=15m", f"market.time_zone={NEW_YORK}"]
    with pytest.raises(DataError, match="the times are the ends of bars") as caught:
        look_at_source(config(path, *words))
    assert "market.bar_time=end" in caught.value.hint
    found = look_at_source(config(path, *words, "market.bar_time=end"))
    assert (found.first, found.last) == (dt.date(2024, 11, 25), dt.date(2024, 12, 3))


@pytest.mark.parametrize("words", [["market.interval=1d"], ["market.interval=1m", "market.source=synthetic"]])
def test_the_time_of_a_bar_is_a_setting_of_files_within_a_day(words: list[str]) -> None:
    path = [] if "market.source=synthetic" in words else ["market.source=files", "market.path=x.csv"]
    with pytest.raises(ConfigError, match="bar_time=end is for files of bars within a day"):
        parse({}, [*path, *words, "market.bar_time=end"])


def test_hourly_bars_on_the_clock_hour_do_not_start_at_the_open() -> None:
    own = market("1h")
    hours = np.unique(grid("1h").starts // 60 * 60 + 60).astype(np.int32)
    problem = describe_times(minute_bars("AAA", hours), own)
    assert problem is not None
    assert "start at minute 0, and those of XNYS at minute 30" in problem.message
    assert describe_times(minute_bars("AAA", grid("1h").starts), own) is None


def test_a_ticker_that_rarely_trades_keeps_its_interval() -> None:
    starts = grid("1m").starts
    rare = starts[np.random.default_rng(3).random(len(starts)) < 0.3]
    assert describe_times(minute_bars("AAA", rare), MarketConfig.model_validate(market("1m").model_dump())) is None
