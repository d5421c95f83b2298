"""A look at all files of a source before anything starts: one odd file among many, large files, names, notes."""

from __future__ import annotations

import datetime as dt
import gzip
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.config import parse
from cloudlstm.errors import DataError, UnreadableSourceError
from cloudlstm.market.calendar import sessions, to_date
from cloudlstm.market.sources.base import Findings, look_at_source
from cloudlstm.market.sources.files import look
from cloudlstm.market.sources.files.source import FilesSource
from market.sources.file_sources import source_of, write

HEADER = "date,open,high,low,close,volume\n"


def days(first: str = "2020-01-02", count: int = 40) -> list[dt.date]:
    """Sessions of XNYS."""
    day = dt.date.fromisoformat(first)
    return [to_date(found) for found in sessions("XNYS", day, day + dt.timedelta(days=2 * count)).tolist()[:count]]


def lines(level: float = 10.0, first: str = "2020-01-02", count: int = 40) -> str:
    return "".join(
        f"{day},{level},{level + 1},{level - 1},{level + n % 7 / 10},{n + 1}\n"
        for n, day in enumerate(days(first, count))
    )


def opened(path: Path, **settings: object) -> FilesSource:
    found = source_of(path, **settings)
    assert isinstance(found, FilesSource)
    return found


def looked(path: Path, **settings: object) -> Findings:
    return opened(path, **settings).look()


def test_what_was_found(tmp_path: Path) -> None:
    write(tmp_path / "AAPL.csv", HEADER + lines())
    write(tmp_path / "MSFT.csv", "# a comment\n" + HEADER + lines(20.0))
    findings = looked(tmp_path)
    assert findings.tickers == ("AAPL", "MSFT")
    assert (findings.first, findings.last) == (dt.date(2020, 1, 2), days()[-1])
    assert findings.notes == (
        "AAPL.csv: the ticker is taken from the name of the file or its folder: AAPL; the same for 1 more file",
        "MSFT.csv: the first line is skipped",
    )


def test_one_odd_file_among_many_is_named_before_anything_starts(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path / f"T{number:02d}.csv", HEADER + lines())
    write(tmp_path / "T17.csv", "date;open;high\n2020-01-02;1;2\n")
    with pytest.raises(UnreadableSourceError, match=r"T17\.csv has no column low, close, volume") as caught:
        looked(tmp_path)
    word = caught.value.hint.partition(", or ")[2].removesuffix(" to leave it out")
    assert word == "market.ignore_files=T17.csv"
    assert len(opened(tmp_path, ignore_files=["T17.csv"]).files) == 29


def test_a_file_that_is_no_bars_at_all_can_only_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "stocks" / "AAPL.csv", HEADER + lines())
    write(tmp_path / "symbols meta.csv", "Nasdaq Traded,Symbol,Security Name\nY,AAPL,Apple\n")
    with pytest.raises(UnreadableSourceError) as caught:
        looked(tmp_path)
    assert caught.value.hint == "market.ignore_files='symbols meta.csv' to leave it out"


def test_all_odd_files_are_named_at_once(tmp_path: Path) -> None:
    for name in ("AAPL.csv", "one.csv", "two.csv", "three.csv"):
        write(tmp_path / name, HEADER + lines() if name == "AAPL.csv" else "a,b\n1,2\n")
    with pytest.raises(
        UnreadableSourceError, match=r"3 of 4 files are not read, the others are three\.csv, two\.csv"
    ) as caught:
        looked(tmp_path)
    assert "market.ignore_files=one.csv,three.csv,two.csv" in caught.value.hint


def test_of_a_large_source_the_beginning_of_every_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "WHOLE_BYTES", 1)
    monkeypatch.setattr(look, "_BEGINNING_BYTES", 512)
    write(tmp_path / "AAPL.csv", HEADER + lines())
    (tmp_path / "MSFT.csv.gz").write_bytes(gzip.compress((HEADER + lines(20.0)).encode()))
    (tmp_path / "TSLA.csv").write_bytes((HEADER + lines(30.0)).encode("utf-16"))
    read = storage.read_range
    asked: list[int] = []
    monkeypatch.setattr(storage, "read_range", lambda uri, at, size: asked.append(size) or read(uri, at, size))
    monkeypatch.setattr(storage, "read", None)
    findings = looked(tmp_path)
    assert findings.tickers is None
    assert (findings.first, findings.last) == (dt.date(2020, 1, 2), None)
    assert asked == [512] * 3
    monkeypatch.undo()
    monkeypatch.setattr(look, "WHOLE_BYTES", 1)
    write(tmp_path / "GOOG.csv", HEADER.replace("close", "fermeture") + lines())
    with pytest.raises(UnreadableSourceError, match=r"GOOG\.csv has no column close"):
        looked(tmp_path)


def test_several_rows_of_a_date_need_a_column_of_tickers(tmp_path: Path) -> None:
    levels = {"Löwe": 10.0, "Bär": 20.0, "Wolf": 30.0}
    rows = [f"{line},{firm}\n" for firm, level in levels.items() for line in lines(level).splitlines()]
    text = "date,open,high,low,close,volume,firm\n" + "".join(rows)
    write(tmp_path / "AAPL.csv", text)
    with pytest.raises(UnreadableSourceError, match="has 3 rows of 2020-01-02 and no column of tickers") as caught:
        looked(tmp_path)
    assert caught.value.hint.startswith("market.columns.ticker=")
    assert looked(tmp_path, columns={"ticker": "firm"}).tickers == ("BÄR", "LÖWE", "WOLF")


def test_two_files_of_one_name_with_other_prices_are_an_error(tmp_path: Path) -> None:
    write(tmp_path / "nyse" / "AAL.csv", HEADER + lines())
    write(tmp_path / "lse" / "AAL.csv", HEADER + lines(20.0))
    with pytest.raises(UnreadableSourceError, match="two files are of the ticker AAL"):
        looked(tmp_path)
    write(tmp_path / "lse" / "AAL.csv", HEADER + lines())
    assert looked(tmp_path).tickers == ("AAL",)
    write(tmp_path / "lse" / "AAL.csv", HEADER + lines(20.0, "2021-03-01"))
    assert looked(tmp_path).tickers == ("AAL",)


def test_values_that_are_not_understood_are_an_error_only_if_they_are_many(tmp_path: Path) -> None:
    write(tmp_path / "AAPL.csv", HEADER + lines().replace(",10.0,", ",ten,"))
    with pytest.raises(
        UnreadableSourceError, match=r"40 of 40 rows hold a value that is not understood, the first is open='ten'"
    ):
        looked(tmp_path)
    write(tmp_path / "AAPL.csv", HEADER + lines().replace(",10.0,", ",ten,", 3))
    table = opened(tmp_path).read(opened(tmp_path).partitions()[0])
    assert table["unreadable"].null_count == 38


def test_tickers_that_differ_in_case_are_told(tmp_path: Path) -> None:
    text = "date,ticker,open,high,low,close,volume\n" + "".join(
        line.replace(",", f",{name},", 1) + "\n"
        for name in ("bacpl", "BACPL")
        for line in lines(first="2020-01-02" if name == "bacpl" else "2021-03-01").splitlines()
    )
    write(tmp_path / "bars.csv", text)
    assert looked(tmp_path).notes == ("bars.csv: tickers that differ in case only are one: BACPL, bacpl",)


def test_a_source_that_is_gone_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file at"):
        looked(tmp_path / "nowhere")


def test_copies_of_rows_are_left_to_cleaning(tmp_path: Path) -> None:
    write(tmp_path / "AAPL.csv", HEADER + lines() + lines())
    assert looked(tmp_path).tickers == ("AAPL",)


def test_rows_without_a_volume_are_told_with_the_setting_that_reads_them(tmp_path: Path) -> None:
    rows = "".join(line.rpartition(",")[0] + ",N/A\n" for line in lines().splitlines())
    write(tmp_path / "EUR.csv", HEADER + rows)
    with pytest.raises(UnreadableSourceError, match="40 of 40 rows with a price have no volume") as caught:
        opened(tmp_path).look()
    assert caught.value.hint.startswith("market.missing_volume=zero ")
    assert looked(tmp_path, missing_volume="zero").tickers == ("EUR",)


def test_dates_of_another_calendar_are_an_error_unless_the_limits_are_raised(tmp_path: Path) -> None:
    day = dt.date(2020, 1, 2)
    tokyo = [to_date(found) for found in sessions("XTKS", day, dt.date(2020, 12, 30)).tolist()]
    rows = "".join(f"{day},10,11,9,{10 + n % 7 / 10},{n + 1}\n" for n, day in enumerate(tokyo))
    write(tmp_path / "7203.T.csv", HEADER + rows)
    document = {"market": {"source": "files", "path": str(tmp_path), "start": "2019-01-01"}}
    with pytest.raises(DataError, match="the dates fit the calendar XTKS") as caught:
        look_at_source(parse(document))
    look_at_source(parse(document, [caught.value.hint]))
    look_at_source(parse(document, ["clean.max_refused_fraction=0.1"]))
    for name in ("AAPL", "MSFT"):
        write(tmp_path / f"{name}.csv", HEADER + lines(count=200))
    findings = look_at_source(parse(document))
    assert any("7203.T.csv: the dates fit the calendar XTKS" in note for note in findings.notes)


def test_a_large_file_with_other_numbers_and_a_long_header_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "WHOLE_BYTES", 1)
    text = HEADER + "".join(
        f'{day},"1,010.5","1,011.5","1,009.5","1,010.{n % 7}",{n + 1}\n' for n, day in enumerate(days(count=2000))
    )
    write(tmp_path / "NVR.csv", text)
    tickers = [f"T{number:04d}" for number in range(3000)]
    fields = ["Close", "High", "Low", "Open", "Volume"]
    wide = [",".join(["Price", *(field for field in fields for _ in tickers)])]
    wide += [",".join(["Ticker", *tickers * 5]), ",".join(["Date", *[""] * 15_000])]
    wide += [",".join([str(day), *["10.25"] * 12_000, *["7"] * 3_000]) for day in days(count=2)]
    write(tmp_path / "wide.csv", "\n".join(wide) + "\n")
    (tmp_path / "none.csv.gz").write_bytes(gzip.compress(b""))
    assert looked(tmp_path).first == dt.date(2020, 1, 2)


def test_only_the_tickers_and_dates_of_the_run_are_compared_with_the_calendar(tmp_path: Path) -> None:
    day = dt.date(2020, 1, 1)
    every = [day + dt.timedelta(days=number) for number in range(300)]
    rows = [f"{day},BTC-USD,10,11,9,{10 + n % 7 / 10},{n + 1}\n" for n, day in enumerate(every)]
    rows += [line.replace(",", ",AAPL,", 1) + "\n" for line in lines(count=100).splitlines()]
    write(tmp_path / "bars.csv", "date,ticker,open,high,low,close,volume\n" + "".join(rows))
    document = {"market": {"source": "files", "path": str(tmp_path), "start": "2019-01-01"}}
    assert look_at_source(parse(document)).notes  # one of two
    for words in (["universe.tickers=AAPL"], ["universe.exclude=BTC-USD"]):
        assert not look_at_source(parse(document, words)).notes
    with pytest.raises(DataError, match="fit the calendar 24/7"):
        look_at_source(parse(document, ["universe.tickers=BTC-USD"]))


def test_other_files_of_the_folder_are_told(tmp_path: Path) -> None:
    write(tmp_path / "AAPL.csv", HEADER + lines())
    for name in ("_GSPC.csv", "MSFT.csv.bz2", "README.md", "_SUCCESS"):
        write(tmp_path / name, "x")
    assert "2 other files in the folder are not read: MSFT.csv.bz2, _GSPC.csv" in looked(tmp_path).notes


@pytest.mark.parametrize("name", ["notes [1].csv", "notes, 1.csv", "my notes.csv"])
def test_the_hint_leaves_out_a_file_of_any_name(tmp_path: Path, name: str) -> None:
    write(tmp_path / "AAPL.csv", HEADER + lines())
    write(tmp_path / name, "a,b\n1,2\n")
    with pytest.raises(UnreadableSourceError) as caught:
        looked(tmp_path)
    word = shlex.split(caught.value.hint.removesuffix(" to leave it out"))[0]
    config = parse({"market": {"source": "files", "path": str(tmp_path)}}, [word])
    assert look_at_source(config).tickers == ("AAPL",)


def test_a_weekly_file_among_daily_ones_is_an_error(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / f"T{number}.csv", HEADER + lines(count=200))
    write(tmp_path / "WEEK.csv", HEADER + "".join(line + "\n" for line in lines(count=200).splitlines()[::5]))
    with pytest.raises(DataError, match=r"WEEK\.csv: the bars are a week apart"):
        looked(tmp_path)


def test_lines_inside_quotes_are_told(tmp_path: Path) -> None:
    rows = [line + ",a\n" for line in lines().splitlines()]
    rows[9] = rows[9].replace(",a", ',"a')
    rows[29] = rows[29].replace(",a", ',"a')
    write(tmp_path / "AAPL.csv", HEADER.replace("volume", "volume,note") + "".join(rows))
    [quoted] = [note for note in looked(tmp_path).notes if "quotes" in note]
    assert quoted == "AAPL.csv: 20 lines inside quotes became part of other rows"
    write(
        tmp_path / "AAPL.csv", HEADER.replace("volume", "volume,note") + "\n".join(rows).replace('"a', '"a"') + "\n\n"
    )
    assert not any("quotes" in note for note in looked(tmp_path).notes)


@pytest.mark.parametrize(("minutes", "words"), [(1, "a minute"), (5, "5 minutes"), (60, "an hour")])
def test_bars_within_a_day_are_told(tmp_path: Path, minutes: int, words: str) -> None:
    begin = dt.datetime(2024, 1, 2, 9, 30)
    times = [begin + dt.timedelta(days=day, minutes=number * minutes) for day in range(3) for number in range(6)]
    write(tmp_path / "AAPL.csv", HEADER + "".join(f"{time},10,11,9,{10 + n % 7},5\n" for n, time in enumerate(times)))
    with pytest.raises(DataError, match=f"the bars are {words} apart"):
        looked(tmp_path)
    stamps = pa.table(
        {"date": pa.array(times, pa.timestamp("us"))}
        | dict.fromkeys(("open", "high", "low", "close", "volume"), pa.array([10.0 + n % 7 for n in range(len(times))]))
    )
    pq.write_table(stamps, tmp_path / "MSFT.parquet")
    with pytest.raises(DataError, match=f"the bars are {words} apart"):
        looked(tmp_path / "MSFT.parquet")
