"""Files of headlines: since when each is known, and why some are refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm.errors import ConfigError
from cloudlstm.exogenous.collect import collect
from exogenous.sources.news_inputs import NOW, config, news, reasons, utc, write
from real_data import real_data


def times(path: Path) -> dict[str, dt.datetime]:
    return {row["headline"]: row["available_at"] for row in news(path).headlines.to_pylist()}


def test_dates_count_from_the_open_of_the_next_session(tmp_path: Path) -> None:
    path = write(
        tmp_path / "news.csv",
        "ticker,headline,date\n"
        "AAPL,on a Thursday,2024-03-28\n"  # the next day is Good Friday
        'AAPL,on a Saturday,"MAR 9, 2024"\n'
        "AAPL,at midnight,2024-03-12 00:00:00\n"
        "AAPL,exact,2024-03-12 00:00:01-04:00\n",
    )
    assert times(path) == {
        "on a Thursday": utc("2024-04-01 13:30"),
        "on a Saturday": utc("2024-03-11 13:30"),  # the clock changed on Sunday
        "at midnight": utc("2024-03-13 13:30"),
        "exact": utc("2024-03-12 04:00:01"),
    }


@pytest.mark.parametrize("calendar", ["XNZE", "XASX", "XTKS", "XNYS"])
def test_a_date_is_over_everywhere_before_it_counts(tmp_path: Path, calendar: str) -> None:
    """Exchanges in the east open their next session while the date still lasts in America."""
    path = write(tmp_path / "news.csv", "ticker,headline,date\nAAPL,in the evening,2024-01-09\n")
    settings = config(news={"source": "files", "path": str(path)})
    market = settings.market.model_copy(update={"calendar": calendar})
    made = collect(settings.model_copy(update={"market": market}), None, NOW).headlines.to_pylist()
    (row,) = made
    assert row["available_at"] >= utc("2024-01-10 12:00")


def test_every_reason(tmp_path: Path) -> None:
    path = write(
        tmp_path / "news.csv",
        "symbol,title,published\n"
        "AAPL,good,2024-03-01 10:00Z\n"
        "AAPL,relative,9 DAYS AGO\n"
        "AAPL,none,2\n"
        "AAPL,no zone,2024-03-01 10:00\n"
        ",no ticker,2024-03-01 10:00Z\n"
        "a? b!,bad ticker,2024-03-01 10:00Z\n"
        "AAPL,  ,2024-03-01 11:00Z\n"
        "AAPL,later than now,2025-06-02 12:01Z\n"
        "AAPL,later day,2025-06-04\n"
        "AAPL,broken\n",
    )
    found = news(path)
    assert found.headlines.column("headline").to_pylist() == ["good"]
    assert {reason: len(raw) for reason, raw in reasons(found.refused).items()} == {
        "relative_date": 1, "no_date": 1, "no_time_zone": 1, "no_ticker": 2, "no_headline": 1, "in_the_future": 2,
        "broken_row": 1,
    }  # fmt: skip
    assert any("9 DAYS AGO" in note and "relative" in note for note in found.notes)
    assert found.missing == []


def test_a_zone_of_the_settings_and_own_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "news.csv.gz", "sym,text,when\nAAPL,x,2024-03-01 10:00\n")
    columns = {"ticker": "sym", "headline": "text", "published_at": "when"}
    found = news(path, columns=columns, time_zone="America/New_York")
    assert found.headlines.column("available_at").to_pylist() == [utc("2024-03-01 15:00")]
    with pytest.raises(ConfigError, match="titel"):
        news(path, columns={"titel": "text"})


def test_doubled_headlines_count_once_also_over_files(tmp_path: Path) -> None:
    text = "ticker,headline,date\nAAPL,one,2024-03-01 10:00Z\nAAPL,one,2024-03-01 10:00Z\nMSFT,one,2024-03-01 10:00Z\n"
    write(tmp_path / "a.csv", text)
    write(tmp_path / "b.csv", text)
    assert news(tmp_path).headlines.column("entity").to_pylist() == ["AAPL", "MSFT"]


def test_several_tickers_in_a_cell_and_only_those_of_the_run(tmp_path: Path) -> None:
    path = write(
        tmp_path / "news.csv",
        "tickers,headline,date\n\"AAPL, msft\",two,2024-03-01 10:00Z\n\"['AAPL', 'TSLA']\",list,2024-03-01 11:00Z\n"
        "KO,other,2024-03-01 12:00Z\nAAPL,too old,2019-01-01 10:00Z\n",
    )
    found = news(path, ["AAPL", "MSFT"])
    assert [(row["entity"], row["headline"]) for row in found.headlines.to_pylist()] == [
        ("AAPL", "two"), ("AAPL", "list"), ("MSFT", "two"),
    ]  # fmt: skip
    assert any("2 headlines" in note and "other tickers or outside the dates" in note for note in found.notes)


def test_the_name_of_a_file_tells_the_ticker(tmp_path: Path) -> None:
    write(tmp_path / "AAPL.csv", "headline,date\nx,2024-03-01 10:00Z\n")
    write(tmp_path / "news_2.csv", "headline,date\nx,2024-03-01 10:00Z\n")
    found = news(tmp_path)
    assert found.headlines.column("entity").to_pylist() == ["AAPL"]
    assert list(reasons(found.refused)) == ["no_ticker"]


def test_parquet_and_names_that_lack_the_first_column(tmp_path: Path) -> None:
    when = [dt.datetime(2024, 3, 1, 10, tzinfo=dt.UTC)]
    table = pa.table({"stock": ["AAPL"], "title": ["of Parquet"], "date": pa.array(when, pa.timestamp("ns", "UTC"))})
    pq.write_table(table, tmp_path / "a.parquet")
    write(tmp_path / "b.csv", ",headline,date,stock\n0,0,of CSV,2024-03-01 10:00Z,AAPL\n")
    assert news(tmp_path).headlines.column("headline").to_pylist() == ["of CSV", "of Parquet"]


def test_quoted_headlines_keep_commas_and_line_ends_become_blanks(tmp_path: Path) -> None:
    path = write(tmp_path / "n.csv", 'ticker,headline,date\nAAPL,"one, two\n three",2024-03-01 10:00Z\n')
    assert news(path).headlines.column("headline").to_pylist() == ["one, two three"]


def test_an_old_encoding(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_bytes("ticker,headline,date\nAAPL,Café – “good”,2024-03-01 10:00Z\n".encode("cp1252"))
    assert news(path).headlines.column("headline").to_pylist() == ["Café – “good”"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"data": []}', "unreadable_file"),
        (b"", "unreadable_file"),
        (b"ticker,date\nAAPL,2024-03-01\n", "no_column"),
        (b"PAR1 but cut off", "unreadable_file"),
        (b"\x1f\x8b but no gzip", "unreadable_file"),
    ],
)
def test_a_bad_file_does_not_stop_the_others(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    write(tmp_path / "good.csv", "ticker,headline,date\nAAPL,good,2024-03-01 10:00Z\n")
    found = news(tmp_path)
    assert found.headlines.num_rows == 1
    assert list(reasons(found.refused)) == [reason]
    assert any("bad.csv" in note and "left out" in note for note in found.notes)


def test_no_file_is_told(tmp_path: Path) -> None:
    found = news(tmp_path / "nowhere.csv")
    assert (found.headlines.num_rows, found.missing) == (0, ["headlines"])
    assert any("nowhere.csv" in note for note in found.notes)


def test_real_headlines_of_five_forms() -> None:
    found = news(real_data("news_headlines_aapl_aa.csv.gz"), None, NOW)
    refused = reasons(found.refused)
    assert {reason: len(raw) for reason, raw in refused.items()} == {"relative_date": 35, "no_date": 6}
    times = found.headlines.column("available_at").to_pylist()
    days = found.headlines.column("period").to_pylist()
    assert all(time.date() >= day - dt.timedelta(days=1) for time, day in zip(times, days, strict=True))
    assert found.headlines.num_rows > 300  # those of 2024, and of the days before
