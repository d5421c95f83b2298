"""Files with other columns or dates: the error suggests a setting that works, before anything starts."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.config import MarketConfig, parse
from cloudlstm.errors import ConfigError, UnreadableSourceError
from cloudlstm.market.sources import tabular
from cloudlstm.market.sources.files import FilesSource

HEADER = "date,ticker,open,high,low,close,volume\n"


def opened(path: Path, **settings: object) -> FilesSource:
    return FilesSource.open(MarketConfig.model_validate({"source": "files", "path": str(path)} | settings), None)


def error_for(path: Path, text: str, **settings: object) -> UnreadableSourceError:
    path.write_text(text)
    with pytest.raises(UnreadableSourceError) as caught:
        opened(path, **settings)
    return caught.value


def test_a_similar_column_is_suggested_for_a_missing_one(tmp_path: Path) -> None:
    text = "Date,Symbol,Open,High,Low,Close/Last,Volume\n2020-01-02,AAA,1,1,1,1,1\n"
    error = error_for(tmp_path / "x.csv", text)
    assert "no column close;" in error.message
    assert error.hint == "market.columns.close='Close/Last'"
    word = error.hint.replace("'", "")
    mapped = parse({"market": {"source": "files", "path": "x"}}, [word]).market.columns
    assert len(opened(tmp_path / "x.csv", columns=mapped).files) == 1


def test_without_a_similar_column_the_setting_is_named(tmp_path: Path) -> None:
    error = error_for(tmp_path / "x.csv", "date,ticker,open,high,low,close,shares\n2020-01-02,AAA,1,1,1,1,1\n")
    assert error.hint.startswith("market.columns.volume=")


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("12/31/2024", "%m/%d/%Y"),
        ("31/12/2024", "%d/%m/%Y"),
        ("31.12.2024", "%d.%m.%Y"),
        ("31-Dec-2024", "%d-%b-%Y"),
        ("2024/12/31", "%Y/%m/%d"),
    ],
)
def test_the_format_of_other_dates_is_suggested_and_works(tmp_path: Path, written: str, form: str) -> None:
    path, text = tmp_path / "x.csv", HEADER + f"{written},AAA,1,1,1,1,1\n"
    error = error_for(path, text)
    assert f"the first is {written!r}" in error.message
    assert error.hint == f"market.date_format={form!r}"
    source = opened(path, date_format=form)
    table = source.read(source.partitions()[0])
    assert table["date"].to_pylist() == [dt.date(2024, 12, 31)]


def test_a_date_in_another_format_is_null() -> None:
    rows = HEADER + "12/31/2024,AAA,1,1,1,1,1\n31/12/2024,AAA,1,1,1,1,1\n"
    table = tabular.parse(rows.encode(), "file:///x.csv", {}, "%m/%d/%Y")
    assert table["date"].to_pylist() == [dt.date(2024, 12, 31), None]


@pytest.mark.parametrize("form", ["%m/%d", "YYYY-MM-DD", "%Q", "%H:%M"])
def test_a_format_without_a_full_date_is_a_config_error(form: str) -> None:
    with pytest.raises(ConfigError, match="date_format: no date can be read"):
        parse({"market": {"source": "files", "path": "x", "date_format": form}})


def test_the_date_format_is_part_of_the_identity(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(HEADER + "2024/02/03,AAA,1,1,1,1,1\n")
    one, other = (opened(tmp_path / "x.csv", date_format=form).identity() for form in ("%Y/%m/%d", "%Y/%d/%m"))
    assert one != other


def test_a_file_not_named_after_a_ticker_needs_a_ticker_column(tmp_path: Path) -> None:
    text = HEADER.replace("ticker,", "") + "2020-01-02,1,1,1,1,1\n"
    assert "market.columns.ticker" in error_for(tmp_path / "my prices (1).csv", text).hint
    (tmp_path / "brk-b.csv").write_text(text)
    source = opened(tmp_path / "brk-b.csv")
    assert source.tickers(source.partitions()[0]) == ["BRK-B"]


def test_only_the_first_file_with_rows_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "b.csv").write_text(HEADER + "2020-01-02,AAA,1,1,1,1,1\n")
    (tmp_path / "c.csv").write_text("never, looked, into\n")
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(b"wrong\n1\n"))
    seen = []
    read = storage.read

    def watched(uri: str) -> bytes:
        seen.append(uri.rsplit("/", 1)[1])
        return read(uri)

    monkeypatch.setattr(storage, "read", watched)
    with pytest.raises(UnreadableSourceError, match=r"d\.csv\.gz has no column date"):
        opened(tmp_path)
    assert seen == ["a.csv", "b.csv", "d.csv.gz"]
