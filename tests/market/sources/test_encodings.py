"""Text files in other encodings than UTF-8."""

from __future__ import annotations

import codecs
import gzip

import pytest

from cloudlstm.errors import UnreadableSourceError
from market.sources.file_sources import parsed

ENGLISH = "date,ticker,open,high,low,close,volume\n2020-01-02,AAA,1,3,1,2,7\n"
GERMAN = "Datum;Kürzel;Eröffnung;Hoch;Tief;Schluss;Stück\n2020-01-02;AAA;1;3;1;2;7\n"
CHINESE = "日期,成交股數,開盤價,最高價,最低價,收盤價,證券代號\n2020-01-02,7,1,3,1,2,AAA\n"
SIMPLIFIED = "交易日期,股票代码,开盘价,最高价,最低价,收盘价,成交量\n2020-01-02,AAA,1,3,1,2,7\n"
JAPANESE = "日付,コード,始値,高値,安値,終値,出来高\n2020-01-02,AAA,1,3,1,2,7\n"
KOREAN = "일자,종목코드,시가,고가,저가,종가,거래량\n2020-01-02,AAA,1,3,1,2,7\n"
RUSSIAN = "Дата;Тикер;Открытие;Максимум;Минимум;Закрытие;Объем\n2020-01-02;AAA;1;3;1;2;7\n"


def encoded(text: str, encoding: str) -> bytes:
    marks = {"utf-8-sig": b"", "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    return marks.get(encoding, b"") + text.encode(encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ENGLISH, "utf-8-sig"),
        (ENGLISH, "utf-16-le"),
        (ENGLISH, "utf-16-be"),
        (CHINESE, "utf-16-le"),
        (GERMAN, "cp1252"),
        (CHINESE, "big5"),
        (SIMPLIFIED, "gb18030"),
        (JAPANESE, "cp932"),
        (KOREAN, "cp949"),
        (RUSSIAN, "cp1251"),
        (CHINESE, "utf-8"),
    ],
)
def test_an_encoding_is_recognised(text: str, encoding: str) -> None:
    for data in (encoded(text, encoding), gzip.compress(encoded(text, encoding))):
        [row] = parsed(data).bars.to_pylist()
        assert (row["ticker"], row["open"], row["high"], row["close"], row["volume"]) == ("AAA", 1.0, 3.0, 2.0, 7)


def test_utf_16_without_a_mark_is_recognised() -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        assert parsed(ENGLISH.encode(encoding)).bars["close"].to_pylist() == [2.0]


def test_a_title_above_the_header_in_a_national_encoding() -> None:
    data = ("108年01月 2330 台積電 各日成交資訊\n" + CHINESE).encode("big5")
    assert parsed(data).bars["volume"].to_pylist() == [7]


def test_a_column_that_is_not_used_may_be_in_any_encoding() -> None:
    text = ENGLISH.replace("volume\n", "volume,company\n").replace(",7\n", ",7,Löwe\n")
    assert parsed(text.encode("cp1252")).bars["close"].to_pylist() == [2.0]


def test_a_configured_encoding_is_used() -> None:
    with pytest.raises(UnreadableSourceError, match="has no column close; it has Datum, Kürzel, Eröffnung") as caught:
        parsed(GERMAN.replace("Schluss", "Čára").encode("cp1250"))
    assert caught.value.hint == "market.columns.close=NAME"
    with pytest.raises(UnreadableSourceError, match="is not in UTF-8, and its columns are not understood") as caught:
        parsed("ÿ,þ\n1,2\n".encode("cp1252"))
    assert "market.encoding=NAME" in caught.value.hint
    found = parsed(GERMAN.replace("Schluss", "Čára").encode("cp1250"), encoding="cp1250", columns={"close": "Čára"})
    assert found.bars["close"].to_pylist() == [2.0]


def test_text_that_is_not_in_its_encoding_is_an_error() -> None:
    data = ENGLISH.encode("utf-16") + b"\x00\xd8\x00\xd8"
    with pytest.raises(UnreadableSourceError, match="is not text in utf-16-le"):
        parsed(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04....[Content_Types].xml", "an Excel workbook or a ZIP archive"),
        (b"\xd0\xcf\x11\xe0....", "an old Excel workbook"),
        (b"%PDF-1.7", "a PDF document"),
        (b'[{"date": "2020-01-02"}]', "a JSON document"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"<html><body>", "a web page"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x80\x04\x95pickle", "a pickle"),
        (b"AAPL.csv".ljust(257, b"\0") + b"ustar  ", "a tar archive"),
    ],
)
def test_a_file_of_another_kind_is_named(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableSourceError, match=words) as caught:
        parsed(data)
    assert caught.value.hint


def test_text_below_an_ascii_header_names_the_setting() -> None:
    with pytest.raises(UnreadableSourceError, match="not readable as CSV or Parquet") as caught:
        parsed(ENGLISH.replace("AAA", "Nestlé").encode("cp1252"))
    assert caught.value.hint.startswith("market.encoding=")
    assert parsed(ENGLISH.replace("AAA", "Nestlé").encode("cp1252"), encoding="cp1252").bars["ticker"].to_pylist() == [
        "NESTLÉ"
    ]
