"""Tickers that stand in the names of files and folders, and names that are no ticker."""

from __future__ import annotations

import pytest

from cloudlstm.errors import UnreadableSourceError
from cloudlstm.market.sources.files.ticker_names import ticker_of

FOLDER = "file:///home/me/data/"


def found(path: str, first_year: int | None = 2020) -> str:
    return ticker_of(FOLDER + path, FOLDER, first_year)


@pytest.mark.parametrize(
    ("path", "ticker"),
    [
        ("AAPL.csv", "AAPL"),
        ("aapl.csv.gz", "AAPL"),
        ("brk-b.parquet", "BRK-B"),
        ("BRK B.csv", "BRK B"),
        ("M&M.NS.csv", "M&M.NS"),
        ("^GSPC.csv", "^GSPC"),
        ("CL=F.csv", "CL=F"),
        ("NA.csv", "NA"),
        ("ALL.csv", "ALL"),
        ("2330.csv", "2330"),
        ("aapl.us.txt", "AAPL.US"),
        ("7203.T.csv", "7203.T"),
        ("[AAPL].csv", "AAPL"),
        ("daily_MSFT.csv", "MSFT"),
        ("daily_adjusted_AAPL.csv", "AAPL"),
        ("AAPL_Daily.csv", "AAPL"),
        ("4063.T_daily.csv", "4063.T"),
        ("BTCUSDT-1d.csv", "BTCUSDT"),
        ("STOCK_DAY_2330.csv", "2330"),
        ("TSLA Historical Data.csv", "TSLA"),
        ("TSLA Stock Price History.csv", "TSLA"),
        ("SAP Historische Daten.csv", "SAP"),
        ("2330 歷史數據.csv", "2330"),
        ("aapl_us_d.csv", "AAPL.US"),
        ("NASDAQ_AAPL, 1D.csv", "AAPL"),
        ("AAPL_2010-01-01_2024-12-31.csv", "AAPL"),
        ("aapl (1).csv", "AAPL"),
        ("google_dataset.csv", "GOOGLE"),
        ("AAPL_2023.csv", "AAPL"),
        ("AAPL-2023.csv", "AAPL"),
        ("AAPL_2023Q1.csv", "AAPL"),
        ("AAPL_part1.csv", "AAPL"),
        ("AAPL 5y.csv", "AAPL"),
        ("BTCUSDT-1d-2024-01.csv", "BTCUSDT"),
        ("STOCK_DAY_2330_202401.csv", "2330"),
        ("MSFT_D1_202001010000_202401010000.csv", "MSFT"),
        ("TIME_SERIES_DAILY_AAPL.csv", "AAPL"),
        ("NASDAQ_DLY_AAPL, 1D.csv", "AAPL"),
        ("prices_AAPL.csv", "AAPL"),
        ("SP500/prices_AAPL.csv", "AAPL"),
        ("KOSPI/207940.csv", "207940"),
        ("KOSPI/200012.csv", "200012"),
        ("AAPL/2020/01.csv", "AAPL"),
        ("ticker=AAPL/part-0.parquet", "AAPL"),
        ("Symbol=BRK%2FB/year=2024/part-00000-5f2c1c1e.snappy.parquet", "BRK/B"),
        ("AAPL/2020.csv", "AAPL"),
        ("AAPL/2020-03.csv", "AAPL"),
        ("AAPL/data.csv", "AAPL"),
        ("AAPL/year=2020/part-0.parquet", "AAPL"),
        ("archive.zip!/Stocks/aapl.us.txt", "AAPL.US"),
    ],
)
def test_a_ticker_is_found(path: str, ticker: str) -> None:
    assert found(path) == ticker


@pytest.mark.parametrize(
    "path",
    [
        "part-0.parquet",
        "2020.csv",
        "data.csv",
        "prices.csv",
        "HistoricalQuotes.csv",
        "my prices (1).csv",
        "all_stocks_5yr.csv",
        "stocks/part-00001.parquet",
        "Stocks/2020.csv",
        "daily.csv",
        "kurse.csv",
        "year=2020/part-0.parquet",
        "0123456789abcdef0123.parquet",
        ".csv",
        "untitled 3.csv",
    ],
)
def test_a_name_that_is_no_ticker_is_an_error(path: str) -> None:
    with pytest.raises(UnreadableSourceError, match="no column of tickers, and its name is not a ticker") as caught:
        found(path)
    assert "market.ticker=AAPL" in caught.value.hint
    assert "market.columns.ticker=NAME" in caught.value.hint


def test_a_number_is_a_year_only_if_the_bars_begin_in_it() -> None:
    assert found("2002.csv", first_year=2015) == "2002"
    with pytest.raises(UnreadableSourceError):
        found("2015.csv", first_year=2015)


def test_folders_above_the_path_say_nothing() -> None:
    with pytest.raises(UnreadableSourceError):
        ticker_of("file:///home/ticker=AAPL/data/2020.csv", "file:///home/ticker=AAPL/data/", 2020)
