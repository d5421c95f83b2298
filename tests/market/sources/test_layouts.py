"""Files with other columns or dates: they are read, or the error suggests a setting that works, before Spark starts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cloudlstm.config import MarketConfig, parse
from cloudlstm.errors import ConfigError, UnreadableSourceError
from cloudlstm.market.sources.files.source import FilesSource
from market.sources.file_sources import parsed

HEADER = "date,ticker,open,high,low,close,volume\n"
ROW = "2020-01-02,AAA,1,3,1,2,7\n"


def opened(path: Path, **settings: object) -> FilesSource:
    return FilesSource.open(MarketConfig.model_validate({"source": "files", "path": str(path)} | settings), None)


def error_for(path: Path, text: str, **settings: object) -> UnreadableSourceError:
    path.write_text(text)
    with pytest.raises(UnreadableSourceError) as caught:
        opened(path, **settings).look()
    return caught.value


def test_the_settings_of_all_missing_columns_are_suggested_and_work(tmp_path: Path) -> None:
    text = "session,Symbol,Open ($),High ($),Low ($),Settlement,Lots\nx,AAA,1,3,1,2,7\n2020-01-02,AAA,1,3,1,2,7\n"
    error = error_for(tmp_path / "x.csv", text)
    assert "no column date, open, high, low, close, volume;" not in error.message
    assert "no column date, close, volume; it has session, Symbol, Open ($)" in error.message
    assert error.hint == "market.columns.date=NAME market.columns.close=NAME market.columns.volume=NAME"
    words = [
        word.replace("=NAME", f"={name}")
        for word, name in zip(error.hint.split(), ("session", "Settlement", "Lots"), strict=True)
    ]
    mapped = parse({"market": {"source": "files", "path": "x"}}, words).market.columns
    table = parsed(text, columns=mapped).bars
    assert table["close"].to_pylist() == [2.0, 2.0]
    assert table["date"].to_pylist() == [None, dt.date(2020, 1, 2)]


def test_a_similar_column_is_suggested_for_a_missing_one(tmp_path: Path) -> None:
    error = error_for(tmp_path / "x.csv", "date,ticker,open,high,low,my close,volume\n2020-01-02,AAA,1,1,1,1,1\n")
    assert error.hint == "market.columns.close='my close'"


def test_a_misspelt_name_in_chinese_is_an_error_and_no_other_column(tmp_path: Path) -> None:
    text = "日期,股票代码,开盘,最高,最低,收盘,成交量\n2024-01-02,A,1,3,1,2,7\n"
    assert opened(write(tmp_path / "x.csv", text)).look().tickers == ("A",)
    assert parsed(text).bars["volume"].to_pylist() == [7]
    error = error_for(tmp_path / "y.csv", text, columns={"volume": "成交額"})
    assert "no column '成交額' (for volume); it has 日期" in error.message


@pytest.mark.parametrize(
    "header",
    [
        "Datum;Eröffn.;Hoch;Tief;Zuletzt;Vol.",
        "Fecha,Apertura,Máximo,Mínimo,Último,Vol.",
        "Date,Ouv., Plus Haut,Plus Bas,Dernier,Vol.",
        "日付け,始値,高値,安値,終値,出来高",
        "Дата,Откр.,Макс.,Мин.,Цена,Объём",
        "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
        "날짜,시가,고가,저가,종가,거래량",
        "Trade Date,Open Price,High Price,Low Price,Close Price,Total Traded Quantity",
        "timestamp,1. open,2. high,3. low,4. close,5. volume",
    ],
)
def test_names_in_other_languages_and_of_vendors_are_known(header: str) -> None:
    separator = ";" if ";" in header else ","
    row = separator.join(("2020-01-02", "2", "4", "1", "3", "7"))
    [found] = parsed(f"{header}\n{row}\n", "file:///AAA.csv").bars.to_pylist()
    assert (found["open"], found["high"], found["low"], found["close"], found["volume"]) == (2.0, 4.0, 1.0, 3.0, 7)


def test_a_previous_close_is_no_close() -> None:
    text = "date,ticker,open,high,low,prev. close,close,volume\n2020-01-02,AAA,1,3,1,9,2,7\n"
    assert parsed(text).bars["close"].to_pylist() == [2.0]


def test_two_columns_that_fit_equally_are_an_error_until_one_is_named(tmp_path: Path) -> None:
    text = "close,date,ticker,open,high,low,Close,volume\n8,2020-01-02,AAA,1,3,1,2,7\n"
    error = error_for(tmp_path / "x.csv", text)
    assert "2 columns can be close: 'close' and 'Close'" in error.message
    assert error.hint == "market.columns.close=close or market.columns.close=Close"
    assert parsed(text, columns={"close": "close"}).bars["close"].to_pylist() == [8.0]
    assert parsed(text, columns={"close": "Close"}).bars["close"].to_pylist() == [2.0]
    same = error_for(tmp_path / "x.csv", text.replace("Close", "close"))
    assert same.hint == "give its columns different names"


@pytest.mark.parametrize(
    "above",
    [
        "# made by a script\n# USD\n",
        "\n\n",
        'Company,"Apple, Inc."\nCurrency,USD\n\n',
        "sep=,\n",
        "113 1 2330 prices\n",
    ],
)
def test_lines_above_the_header_are_skipped(above: str) -> None:
    found = parsed(above + HEADER + ROW)
    assert found.bars["close"].to_pylist() == [2.0]
    assert found.header.skipped == above.count("\n")


def test_bars_above_the_header_are_an_error(tmp_path: Path) -> None:
    error = error_for(tmp_path / "x.csv", ROW + ROW + HEADER + ROW)
    assert "its column names are in line 3, below lines that look like bars" in error.message


def test_a_file_without_a_header_is_read_with_the_names_of_the_hint(tmp_path: Path) -> None:
    error = error_for(tmp_path / "AAA.csv", "2020-01-02,1,3,1,2,7\n2020-01-03,2,3,1,2,7\n")
    assert "the first line holds values, not names" in error.message
    word = error.hint.partition(",  ")[0].split(", ")[0]
    assert word == "market.header=date,open,high,low,close,volume"
    config = parse({"market": {"source": "files", "path": str(tmp_path)}}, [word]).market
    source = FilesSource.open(config, None)
    assert source.read(source.partitions()[0])["open"].to_pylist() == [1.0, 2.0]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "session"])
def test_a_column_of_dates_needs_no_name(name: str) -> None:
    found = parsed(f"{name},ticker,open,high,low,close,volume\n{ROW}")
    assert found.bars["date"].to_pylist() == [dt.date(2020, 1, 2)]
    assert any("is taken for the date" in note for note in found.notes)


def test_rows_with_one_field_more_than_the_header_have_a_column_without_a_name() -> None:
    assert parsed(HEADER + "1," + ROW + "2," + ROW).bars["close"].to_pylist() == [2.0, 2.0]
    assert parsed(HEADER + ROW.strip() + ",\n" + ROW.strip() + ",\n").bars["close"].to_pylist() == [2.0, 2.0]


def test_a_line_of_text_below_the_bars_is_kept_with_its_text() -> None:
    table = parsed(HEADER + ROW + "\nSource: an example\n").bars
    assert table["date"].to_pylist() == [dt.date(2020, 1, 2), None]
    assert table["unreadable"].to_pylist() == [None, "line='Source: an example'"]


def test_a_missing_volume_is_zero_only_if_so_configured(tmp_path: Path) -> None:
    text = "date,open,high,low,close\n2020-01-02,1,3,1,2\n"
    error = error_for(tmp_path / "VIX.csv", text)
    assert "no column volume" in error.message
    assert error.hint.endswith("market.missing_volume=zero if it has no volume, as for an index")
    assert parsed(text, "file:///VIX.csv", missing_volume="zero").bars["volume"].to_pylist() == [0]
    some = "date,open,high,low,close,volume\n2020-01-02,1,3,1,2,N/A\n2020-01-03,1,3,1,2,5\n2020-01-06,1,3,1,2,x\n"
    assert parsed(some, "file:///EUR.csv").bars["volume"].to_pylist() == [None, 5, None]
    assert parsed(some, "file:///EUR.csv", missing_volume="zero").bars["volume"].to_pylist() == [0, 5, None]


def test_a_value_that_is_not_understood_keeps_its_text() -> None:
    table = parsed(HEADER + ROW + "2020-01-03,AAA,1,3,1,about 2,7\n2020-01-06,AAA,1,3,,2,\n").bars
    assert table["close"].to_pylist() == [2.0, None, 2.0]
    assert table["unreadable"].to_pylist() == [None, "close='about 2'", None]


def test_the_ticker_of_a_file_without_one_can_be_set() -> None:
    text = HEADER.replace("ticker,", "") + ROW.replace("AAA,", "")
    assert parsed(text, "file:///prices.csv", ticker="aaa").bars["ticker"].to_pylist() == ["AAA"]
    assert parsed(HEADER + ROW, "file:///prices.csv", ticker="BBB").bars["ticker"].to_pylist() == ["BBB"]


def test_a_ticker_may_be_marked_as_text_for_a_spreadsheet() -> None:
    rows = "".join(f"2020-01-02,{text},1,3,1,2,7\n" for text in ("'000001", '"=""000002"""', "000003"))
    assert parsed(HEADER + rows).bars["ticker"].to_pylist() == ["000001", "000002", "000003"]


@pytest.mark.parametrize("form", ["%m/%d", "YYYY-MM-DD", "%Q", "%H:%M"])
def test_a_format_without_a_full_date_is_a_config_error(form: str) -> None:
    with pytest.raises(ConfigError, match="date_format"):
        parse({"market": {"source": "files", "path": "x", "date_format": form}})


@pytest.mark.parametrize("name", ["klingon", "base64"])
def test_an_encoding_that_does_not_exist_is_a_config_error(name: str) -> None:
    with pytest.raises(ConfigError, match=r"market\.encoding: no encoding has this name"):
        parse({"market": {"source": "files", "path": "x", "encoding": name}})


@pytest.mark.parametrize(
    ("setting", "one", "other"),
    [
        ("date_format", "%Y/%m/%d", "%Y/%d/%m"),
        ("decimal", ".", None),
        ("encoding", "cp1252", "big5"),
        ("missing_volume", "zero", "error"),
    ],
)
def test_the_settings_of_reading_are_part_of_the_identity(tmp_path: Path, setting: str, one: str, other: str) -> None:
    (tmp_path / "x.csv").write_text(HEADER + "2024/02/03,AAA,1,1,1,1,1\n")
    first, second = (opened(tmp_path / "x.csv", **{setting: value}).identity() for value in (one, other))
    assert first != second


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_column_of_something_else_than_tickers_does_not_hide_the_name_of_the_file() -> None:
    text = HEADER.replace("ticker", "Name") + ROW.replace("AAA", "Common Stock") * 3
    found = parsed(text, "file:///AAPL.csv")
    assert set(found.bars["ticker"].to_pylist()) == {"AAPL"}
    assert any("the column 'Name' has one value" in note for note in found.notes)
    assert set(parsed(text, "file:///AAPL.csv", columns={"ticker": "Name"}).bars["ticker"].to_pylist()) == {
        "COMMON STOCK"
    }
    assert set(parsed(HEADER + ROW, "file:///BBB.csv", columns={"ticker": "-"}).bars["ticker"].to_pylist()) == {"BBB"}


def test_a_repeated_header_is_no_bar_and_must_have_the_same_columns(tmp_path: Path) -> None:
    table = parsed(HEADER + ROW + HEADER + ROW).bars
    assert table["unreadable"].to_pylist() == [None, "header='date'", None]
    other = "date,ticker,close,high,low,open,volume\n"
    with pytest.raises(
        UnreadableSourceError, match="a second header with other columns: 'close' in the place of 'open'"
    ):
        parsed(HEADER + ROW + other + ROW)


def test_the_number_of_ticks_is_told() -> None:
    text = "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\n2020.01.02\t1\t3\t1\t2\t7\t900\n"
    found = parsed(text, "file:///AAPL_Daily.csv")
    assert found.bars["volume"].to_pylist() == [7]
    assert any("a number of ticks" in note for note in found.notes)
    assert parsed(text, "file:///A.csv", columns={"volume": "<VOL>"}).bars["volume"].to_pylist() == [900]


def test_tables_of_several_tickers_below_each_other_are_an_error() -> None:
    header, row = HEADER.replace("ticker,", ""), ROW.replace("AAA,", "")
    with pytest.raises(UnreadableSourceError, match="a second header and the line 'MSFT': several tables in one file"):
        parsed("AAPL\n" + header + row + "MSFT\n" + header + row, "file:///AAPL.csv")
    title = "108年02月 2330 各日成交資訊\n"
    assert parsed(header + row + title + header + row, "file:///2330.csv").bars.num_rows == 4


def test_a_volume_that_is_too_large_is_not_understood() -> None:
    table = parsed(HEADER + ROW.replace(",7", ",1e30")).bars
    assert table["volume"].to_pylist() == [None]
    assert table["unreadable"].to_pylist()[0].startswith("volume='1e")
