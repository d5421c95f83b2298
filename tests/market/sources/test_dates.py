"""Dates as people and programs write them: the form is found, and one that is open is asked for."""

from __future__ import annotations

import datetime as dt
import pickle
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.sources import dates

WEEKS = [day for number in range(60) if (day := dt.date(2024, 1, 2) + dt.timedelta(number)).weekday() < 5]
URI = "file:///x.csv"


def column(texts: Sequence[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


def form_of(texts: Sequence[str | None], configured: str | None = None) -> str:
    return dates.find_form(column(texts), configured, "date", URI).name


def read(values: pa.ChunkedArray | Sequence[str | None], zone: str | None = None) -> list[dt.date | None]:
    values = values if isinstance(values, pa.ChunkedArray) else column(values)
    found: list[dt.date | None] = dates.parse(values, dates.find_form(values, None, "date", URI), zone).days.to_pylist()
    return found


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2024-12-31", "%Y-%m-%d"),
        ("20241231", "%Y-%m-%d"),
        ("2024/12/31", "%Y-%m-%d"),
        ("2024.12.31", "%Y-%m-%d"),
        ("2024. 12. 31.", "%Y-%m-%d"),
        ("2024-12-31 16:00:00", "%Y-%m-%d"),
        ("2024-12-31T16:00:00.000Z", "%Y-%m-%d"),
        ("2024-12-31T160000+0900", "%Y-%m-%d"),
        ("2024-12-31 00:00:00-05:00", "%Y-%m-%d"),
        ("20241231 160000", "%Y-%m-%d"),
        ("20241231160000", "%Y-%m-%d"),
        ("2024-12-31 (Tue)", "%Y-%m-%d"),
        ("2024年12月31日", "%Y-%m-%d"),
        ("2024년 12월 31일", "%Y-%m-%d"),
        ("2024/12/31 下午 04:00:00", "%Y-%m-%d"),
        ("2024-12-31 16:00 America/New_York", "%Y-%m-%d"),
        ("2024-12-31+09:00", "%Y-%m-%d"),
        ("20241231.0", "%Y-%m-%d"),
        ("2024_12_31", "%Y-%m-%d"),
        ("2024–12–31", "%Y-%m-%d"),
        ('"2024-12-31"', "%Y-%m-%d"),
        ("2024/12/31 (火)", "%Y-%m-%d"),
        ("2024年12月31日星期二", "%Y-%m-%d"),
        ("2024년 12월 31일 화요일", "%Y-%m-%d"),
        ("２０２４／１２／３１", "%Y-%m-%d"),
        ("12/31/2024", "%m/%d/%Y"),
        ("12/31/24", "%m/%d/%Y"),
        ("12-31-2024", "%m/%d/%Y"),
        ("12/31/2024 16:00:00", "%m/%d/%Y"),
        ("12/31/2024 4:00 PM", "%m/%d/%Y"),
        ("12312024", "%m/%d/%Y"),
        ("31/12/2024", "%d/%m/%Y"),
        ("31-12-2024", "%d/%m/%Y"),
        ("31/12/2024 16:00", "%d/%m/%Y"),
        ("31.12.2024", "%d.%m.%Y"),
        ("31.12.2024 17:35", "%d.%m.%Y"),
        ("31-Dec-2024", "%d-%b-%Y"),
        ("31-DEC-24", "%d-%b-%Y"),
        ("Dec 31, 2024", "%d-%b-%Y"),
        ("December 31st, 2024", "%d-%b-%Y"),
        ("31 December 2024", "%d-%b-%Y"),
        ("2024-Dec-31", "%d-%b-%Y"),
        ("Tue, Dec 31, 2024", "%d-%b-%Y"),
        ("Tue, 31 Dec 2024 16:00:00 GMT", "%d-%b-%Y"),
        ("Tue Dec 31 16:00:00 EST 2024", "%d-%b-%Y"),
        ("Tue Dec 31 2024 09:30:00 GMT-0500 (Eastern Standard Time)", "%d-%b-%Y"),
        ("31. Dezember 2024", "%d-%b-%Y"),
        ("Di., 31. Dez. 2024", "%d-%b-%Y"),
        ("mar. 31 déc. 2024", "%d-%b-%Y"),
        ("31 de diciembre de 2024", "%d-%b-%Y"),
        ("31 de dez. de 2024", "%d-%b-%Y"),
        ("31 dic 2024", "%d-%b-%Y"),
        ("31 december 2024", "%d-%b-%Y"),
        ("31 декабря 2024 г.", "%d-%b-%Y"),
        ("113/12/31", "roc"),
        ("民國113年12月31日", "roc"),
        ("1131231", "roc"),
        ("1735603200", "epoch"),
        ("1735603200.0", "epoch"),
        ("1735603200000", "epoch"),
        ("1735603200000000", "epoch"),
        ("1735603200000000000", "epoch"),
        ("45657", "excel"),
        ("45657.75", "excel"),
    ],
)
def test_the_form_of_a_date_is_found(text: str, form: str) -> None:
    assert form_of([text]) == form
    assert read([text]) == [dt.date(2024, 12, 31)]


@pytest.mark.parametrize(
    "text", ["2024-1-2", "2024/1/2", "2 January 2024", "2 janv. 2024", "2 Mrz 2024", "2 mai 2024", "2 août 2024"]
)
def test_dates_without_leading_zeros_and_short_months_are_read(text: str) -> None:
    [day] = read([text])
    assert day is not None
    assert (day.year, day.day) == (2024, 2)


@pytest.mark.parametrize("text", ["2024-13-01", "2024-02-30", "12/31", "1.5", "x", "2024-01", "2024-W01-2", "32.1.2024",
                                  "2024-01-02/2024-01-08", "2024-01-02 25:00", "12/31/2024 13:00 PM", "0024-01-02",
                                  "31 Foo 2024", "12 jui 2024", "-2024-01-02", "202401"])  # fmt: skip
def test_a_column_without_dates_is_an_error_with_its_first_text(text: str) -> None:
    with pytest.raises(UnreadableSourceError, match=r"no value of column 'date' is a date, the first is") as e:
        form_of(["", text])
    assert repr(text) in e.value.message
    assert e.value.hint == "market.date_format, or another column in market.columns"


def test_a_configured_format_that_reads_nothing_names_one_that_does() -> None:
    with pytest.raises(UnreadableSourceError, match=r"no value .*; market.date_format is %d/%m/%Y") as e:
        form_of(["12/31/2024"], "%d/%m/%Y")
    assert e.value.hint == "market.date_format=%m/%d/%Y"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y/%d/%m", "2024/31/12"),
        ("%m/%d/%Y", "12/31/2024 16:00:00"),
        ("%d %b %Y %H:%M", "31 Dec 2024 16:00"),
        ("%y%m%d", "241231"),
        ("epoch", "1735603200"),
        ("excel", "45657"),
        ("roc", "113/12/31"),
    ],
)
def test_a_configured_format_is_followed(form: str, text: str) -> None:
    assert form_of([text], form) == form
    assert dates.parse(column([text]), dates.DateForm(form)).days.to_pylist() == [dt.date(2024, 12, 31)]


def test_other_dates_of_the_file_decide_between_day_and_month() -> None:
    assert form_of(["01/02/2024", "13/02/2024"]) == "%d/%m/%Y"
    assert form_of(["01/02/2024", "02/13/2024"]) == "%m/%d/%Y"


def test_the_spacing_of_bars_decides_between_day_and_month() -> None:
    first = [day for day in WEEKS if day.day <= 12 and day.month == 1]
    assert len(first) > 6
    for form in ("%m/%d/%Y", "%d/%m/%Y", "%y-%m-%d", "%d.%m.%y"):
        texts = [day.strftime(form) for day in first]
        assert read(texts) == first


@pytest.mark.parametrize("months", [1, 5, 12, 48])
def test_first_days_of_months_are_not_taken_for_days_in_a_row(months: int) -> None:
    texts = [f"01/{month % 12 + 1:02}/{2020 + month // 12}" for month in range(1, months + 1)]
    with pytest.raises(UnreadableSourceError, match=r"two readings, '01/02/2020' is 2020-01-02 or 2020-02-01") as e:
        form_of(texts)
    assert e.value.hint == "market.date_format=%m/%d/%Y or market.date_format=%d/%m/%Y"


def months_from(first: dt.date, n: int) -> list[dt.date]:
    """The same day of n months."""
    return [dt.date(first.year + (first.month - 1 + i) // 12, (first.month - 1 + i) % 12 + 1, first.day)
            for i in range(n)]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "n", "form"),
    [(dt.date(2004, 1, 2), 250, "%d.%m.%y"), (dt.date(2002, 1, 2), 324, "%d.%m.%y"),
     (dt.date(2001, 1, 22), 140, "%y/%m/%d"), (dt.date(2023, 2, 1), 5, "%d/%m/%Y"),
     (dt.date(2007, 8, 23), 250, "%y-%m-%d"), (dt.date(2007, 10, 22), 40, "%y/%m/%d")],
)  # fmt: skip
def test_months_are_not_taken_for_days_of_another_form(first: dt.date, n: int, form: str) -> None:
    with pytest.raises(UnreadableSourceError, match="two readings"):
        form_of([day.strftime(form) for day in months_from(first, n)])


def test_days_of_markets_without_weekends_decide_too() -> None:
    days = [dt.date(2019, 1, 1) + dt.timedelta(number) for number in range(100)]
    for form in ("%d.%m.%y", "%y.%m.%d", "%m/%d/%y"):
        assert read([day.strftime(form) for day in days]) == days


def test_years_of_the_republic_have_two_or_three_digits() -> None:
    assert read(["99/12/31", "100/01/03"]) == [dt.date(2010, 12, 31), dt.date(2011, 1, 3)]


def test_few_open_dates_among_others_are_unreadable() -> None:
    assert read(["2024-01-02", "2024-01-03", "02/01/2024"]) == [dt.date(2024, 1, 2), dt.date(2024, 1, 3), None]


def test_most_dates_must_have_one_reading() -> None:
    with pytest.raises(UnreadableSourceError, match="two readings"):
        form_of(["2024-01-02", "02/01/2024", "03/01/2024", "04/01/2024"])


def test_with_points_the_day_comes_first() -> None:
    assert read(["01.02.2024"]) == [dt.date(2024, 2, 1)]


def test_days_and_months_that_are_equal_have_one_reading() -> None:
    assert read(["01/01/2024", "02/02/2024"]) == [dt.date(2024, 1, 1), dt.date(2024, 2, 2)]


def test_few_other_texts_are_unreadable_and_many_are_an_error() -> None:
    good = [day.isoformat() for day in WEEKS]
    texts = [*good, "Total", "", None, "N/A"]
    parsed = dates.parse(column(texts), dates.find_form(column(texts), None, "date", URI))
    assert parsed.days.to_pylist() == [*WEEKS, None, None, None, None]
    assert np.flatnonzero(parsed.unreadable).tolist() == [len(good)]
    with pytest.raises(UnreadableSourceError, match=r"11 of the 53 different dates of column 'date' .* 'x0'"):
        form_of([*good[:42], *(f"x{number}" for number in range(11))])


@pytest.mark.parametrize(
    ("values", "has_times"),
    [
        (["2024-01-02"], False),
        (["2024-01-02 00:00:00"], False),
        (["2024-01-02 09:30"], True),
        (["2024-01-02T09:30Z"], True),
        (["2024-01-02 00:00:00+00:00"], False),
        (["1704205800"], True),
        (["45293.5"], True),
    ],
)
def test_times_are_told(values: list[str], has_times: bool) -> None:
    parsed = dates.parse(column(values), dates.find_form(column(values), None, "date", URI))
    assert parsed.has_times == has_times


@pytest.mark.parametrize(
    "text", ["2024-01-01T15:00:00Z", "2024-01-01 10:00:00-05:00", "1704121200", "2024-01-01 15:00:00"]
)
def test_a_time_has_its_date_in_the_zone_of_the_exchange(text: str) -> None:
    assert read([text]) == [dt.date(2024, 1, 1)]
    assert read([text], "Asia/Tokyo") == [dt.date(2024, 1, 2)]


def test_a_date_without_a_time_stays_in_every_zone() -> None:
    assert read(["2024-01-01"], "America/New_York") == [dt.date(2024, 1, 1)]
    assert read(["2024-01-01 00:00:00"], "America/New_York") == [dt.date(2024, 1, 1)]
    naive = pa.chunked_array([pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("us"))])
    assert read(naive, "America/New_York") == [dt.date(2024, 1, 1)]
    timed = pa.chunked_array([pa.array([dt.datetime(2024, 1, 1, 15)], pa.timestamp("us"))])
    assert read(timed, "Asia/Tokyo") == [dt.date(2024, 1, 2)]


def test_times_without_marks_and_of_several_units() -> None:
    assert read(["202401021600", "202401031600"]) == [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    assert read(["1704153600000", "1704240000000000"]) == [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]


def test_timestamps_have_their_date_in_the_zone_of_the_exchange() -> None:
    moment = pa.array([dt.datetime(2024, 1, 1, 15)], pa.timestamp("us", "UTC"))
    assert read(pa.chunked_array([moment])) == [dt.date(2024, 1, 1)]
    assert read(pa.chunked_array([moment]), "Asia/Tokyo") == [dt.date(2024, 1, 2)]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(WEEKS, pa.date32()),
        pa.array(WEEKS, pa.date64()),
        *(pa.array(WEEKS).cast(pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")),
        pa.array(WEEKS).cast(pa.timestamp("ns")).cast(pa.timestamp("ns", "UTC")),
        pa.array([int(day.strftime("%Y%m%d")) for day in WEEKS], pa.int32()),
        pa.array([float(day.strftime("%Y%m%d")) for day in WEEKS], pa.float64()),
        *(pa.array(WEEKS).cast(pa.timestamp(unit)).cast(pa.int64()) for unit in ("s", "ms", "us", "ns")),
        pa.array(WEEKS).cast(pa.timestamp("s")).cast(pa.int64()).cast(pa.float64()),
        *(pa.array(list(map(str, WEEKS)), kind) for kind in (pa.string(), pa.large_string(), pa.string_view())),
        pa.array(list(map(str, WEEKS))).dictionary_encode(),
    ],
    ids=lambda values: str(values.type)[:24],
)
def test_columns_of_any_type_are_read(values: pa.Array) -> None:
    chunks = pa.chunked_array([values.slice(0, 10), values.slice(10)])
    assert read(chunks) == WEEKS
    empty = pa.chunked_array([values.slice(0, 0)])
    assert read(empty) == []


def test_a_form_can_be_sent_to_another_process() -> None:
    form = dates.DateForm("roc")
    assert pickle.loads(pickle.dumps(form)) == form


@given(
    st.lists(st.dates(dt.date(1970, 1, 1), dt.date(2068, 12, 31)), min_size=1, max_size=40),
    st.sampled_from(("%Y-%m-%d", "%Y%m%d", "%Y年%m月%d日", "%d-%b-%Y", "%B %d, %Y", "%A, %d %B %Y", "%m/%d/%Y",
                     "%d/%m/%Y", "%d.%m.%y", "%m-%d-%y", "%y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %I:%M %p")),
)  # fmt: skip
def test_what_is_written_is_read_back_or_asked_for(written: list[dt.date], form: str) -> None:
    texts = [day.strftime(form) for day in written]
    try:
        assert read(texts) == written
    except UnreadableSourceError as error:
        assert "two readings" in error.message  # noqa: PT017
        assert "market.date_format=" in error.hint  # noqa: PT017
