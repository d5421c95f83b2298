"""Times as files write them: the instant, never an earlier one, or a reason."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.exogenous.sources import moments
from cloudlstm.exogenous.sources.moments import Moments

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


def read(texts: list[str], zone: str | None = None) -> Moments:
    return moments.read(pa.chunked_array([pa.array(texts, pa.string())]), zone)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("January 25, 2024 — 03:33 am EST", "2024-01-25 08:33"),
        ("FEB 2, 2024 9:32AM EST", "2024-02-02 14:32"),
        ("2024-01-17 03:24:00+00:00", "2024-01-17 03:24"),
        ("2020-06-05 10:30:54-04:00", "2020-06-05 14:30:54"),
        ("2025-10-29T20:33:56Z", "2025-10-29 20:33:56"),
        ("Wed, 29 Oct 2025 20:33:56 GMT", "2025-10-29 20:33:56"),
        ("2024-07-01 09:00 America/New_York", "2024-07-01 13:00"),
        ("2024-07-01 09:00 ET", "2024-07-01 13:00"),
        ("2024-07-01 09:00 EDT", "2024-07-01 13:00"),
        ("2024-07-01 09:00 EST", "2024-07-01 14:00"),  # standard time in summer: the later reading
        ("2024-01-08 09:00 EDT", "2024-01-08 14:00"),
        ("2024-03-10 02:30 ET", "2024-03-10 07:00"),  # skipped by the clock change
        ("2024-11-03 01:30 ET", "2024-11-03 06:30"),  # occurs twice
        ("1719838800", "2024-07-01 13:00"),
        ("1719838800000", "2024-07-01 13:00"),
    ],
)
def test_a_time_with_a_zone_is_an_instant(text: str, utc: str) -> None:
    found = read([text])
    assert (found.fault[0], bool(found.timed[0])) == ("", True)
    assert EPOCH + int(found.utc[0]) * MICROSECOND == dt.datetime.fromisoformat(utc).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9 DAYS AGO", "relative_date"),
        ("an hour ago", "relative_date"),
        ("Yesterday", "relative_date"),
        ("2", "no_date"),
        ("", "no_date"),
        ("2024-02-30", "no_date"),
        ("2024-07-01 24:00 ET", "no_date"),
        ("2024-07-01 09:00", "no_time_zone"),
        ("20251029T203356", "no_time_zone"),
        ("2024-07-01 09:00 IST", "unknown_time_zone"),
        ("01/02/2024 10:00 ET", "ambiguous_date"),
    ],
)
def test_what_is_no_instant_has_a_reason(text: str, reason: str) -> None:
    assert read([text]).fault[0] == reason


def test_a_time_without_a_zone_is_in_the_zone_of_the_settings() -> None:
    found = read(["2024-07-01 09:00"], "Asia/Tokyo")
    assert EPOCH + int(found.utc[0]) * MICROSECOND == dt.datetime(2024, 7, 1, tzinfo=dt.UTC)


def test_dates_and_midnights_are_told_apart_from_times() -> None:
    found = read(["JAN 12, 2024", "2024-01-12 00:00:00", "2024-01-12 00:00:01Z"])
    assert found.fault.tolist() == ["", "", ""]
    assert found.timed.tolist() == [False, True, True]
    assert found.midnight.tolist() == [False, True, False]
    assert len(set(found.day.tolist())) == 1


def test_another_date_decides_the_order_of_day_and_month() -> None:
    found = read(["01/02/2024 10:00 UTC", "25/02/2024 10:00 UTC"])
    assert found.fault.tolist() == ["", ""]
    assert EPOCH + int(found.utc[0]) * MICROSECOND == dt.datetime(2024, 2, 1, 10, tzinfo=dt.UTC)
    both = read(["01/02/2024 10:00 UTC", "25/02/2024 10:00 UTC", "02/25/2024 10:00 UTC"])
    assert both.fault.tolist() == ["ambiguous_date", "", ""]


def test_typed_columns() -> None:
    when = dt.datetime(2024, 7, 1, 9)
    naive = pa.chunked_array([pa.array([when, None], pa.timestamp("ms"))])
    assert moments.read(naive, None).fault.tolist() == ["no_time_zone", "no_date"]
    assert (
        moments.read(naive, "America/New_York").utc[0]
        == moments.read(
            pa.chunked_array([pa.array([when + dt.timedelta(hours=4)], pa.timestamp("ns", "UTC"))]), None
        ).utc[0]
    )
    days = moments.read(pa.chunked_array([pa.array([when.date()], pa.date32())]), None)
    assert (days.fault[0], bool(days.timed[0])) == ("", False)


@given(
    st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1)),
    st.sampled_from(["America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Sydney"]),
)
def test_a_local_time_is_never_read_too_early(when: dt.datetime, zone: str) -> None:
    when = when.replace(microsecond=0)
    found = read([when.strftime("%Y-%m-%d %H:%M:%S")], zone)
    instant = EPOCH + int(found.utc[0]) * MICROSECOND
    local = when.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    earliest, latest = sorted(local.replace(fold=fold).astimezone(dt.UTC) for fold in (0, 1))
    if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
        assert instant == earliest
    else:
        assert earliest <= instant <= latest
        assert instant.astimezone(local.tzinfo).replace(tzinfo=None) >= when
