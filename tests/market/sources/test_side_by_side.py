"""Headers that name several tickers side by side: as yfinance writes them, in CSV and Parquet, and joined names."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm.errors import UnreadableSourceError
from market.sources.file_sources import parsed

FIELDS = ("Close", "High", "Low", "Open", "Volume")
AAPL, MSFT = (2.0, 3.0, 1.0, 1.5, 7), (20.0, 30.0, 10.0, 15.0, 70)


def closes(text: str | bytes, uri: str = "file:///stocks.csv") -> dict[str, tuple[object, ...]]:
    """The bars by ticker, as (close, high, low, open, volume)."""
    rows = parsed(text, uri).bars.to_pylist()
    names = [name.lower() for name in FIELDS]
    return {row["ticker"]: tuple(row[name] for name in names) for row in rows}


def line(*cells: object) -> str:
    return ",".join(map(str, cells)) + "\n"


BOTH = [value for pair in zip(AAPL, MSFT, strict=True) for value in pair]
TWICE = [field for field in FIELDS for _ in range(2)]
TICKERS = ["AAPL", "MSFT"] * len(FIELDS)

TWO = {
    "as written": line("Price", *TWICE) + line("Ticker", *TICKERS) + line("Date", *[""] * 10),
    "after reset_index": line("Date", *TWICE) + line("", *TICKERS),
    "as pandas renames them": line("Date", *[f"{f}{'.1' * (n % 2)}" for n, f in enumerate(TWICE)]) + line("", *TICKERS),
    "before 0.2.51": line("", *TWICE) + line("", *TICKERS) + line("Date", *[""] * 10),
}


@pytest.mark.parametrize("header", TWO.values(), ids=TWO)
def test_two_header_rows_with_two_tickers(header: str) -> None:
    assert closes(header + line("2024-01-02", *BOTH)) == {"AAPL": AAPL, "MSFT": MSFT}


def test_two_header_rows_with_one_ticker() -> None:
    header = line("Price", *FIELDS) + line("Ticker", *["AAPL"] * 5) + line("Date", *[""] * 5)
    assert closes(header + line("2024-01-02", *AAPL), "file:///my data.csv") == {"AAPL": AAPL}


def test_grouped_by_ticker() -> None:
    for names in (["AAPL"] * 5 + ["MSFT"] * 5, ["AAPL", *[""] * 4, "MSFT", *[""] * 4]):
        header = line("Ticker", *names) + line("Price", *FIELDS * 2) + line("Date", *[""] * 10)
        assert closes(header + line("2024-01-02", *AAPL, *MSFT)) == {"AAPL": AAPL, "MSFT": MSFT}


def test_a_ticker_that_is_a_number_and_columns_that_are_no_bars() -> None:
    fields = ("Close", "Dividends", "High", "Low", "Open", "Stock Splits", "Volume")
    header = line("Price", *fields) + line("Ticker", *["2330"] * 7) + line("Date", *[""] * 7)
    assert closes(header + line("2024-01-02", 2, 0, 3, 1, 1.5, 0, 7)) == {"2330": AAPL}


@pytest.mark.parametrize("join", ["{f}_{t}", "{t}_{f}", "{f} {t}", "{t}.{f}"])
def test_joined_names(join: str) -> None:
    names = [join.format(f=field, t=ticker) for ticker in ("AAPL", "BRK-B") for field in FIELDS]
    assert closes(line("Date", *names) + line("2024-01-02", *AAPL, *MSFT)) == {"AAPL": AAPL, "BRK-B": MSFT}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("index", ["Date", "('Date', '')", "__index_level_0__"])
def test_pairs_as_names_in_parquet(swapped: bool, index: str) -> None:
    columns: dict[str, pa.Array] = {index: pa.array(["2024-01-02"])}
    for ticker, values in (("AAPL", AAPL), ("MSFT", MSFT)):
        for field, value in zip(FIELDS, values, strict=True):
            columns[str((ticker, field) if swapped else (field, ticker))] = pa.array([float(value)])
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    assert closes(file.getvalue(), "file:///stocks.parquet") == {"AAPL": AAPL, "MSFT": MSFT}


def test_an_ordinary_first_row_of_text_is_no_row_of_tickers() -> None:
    text = line("Date", *FIELDS) + line("2024-01-02", *["N/A"] * 5) + line("2024-01-03", *AAPL)
    assert parsed(text, "file:///AAPL.csv").bars["close"].to_pylist() == [None, 2.0]


@pytest.mark.parametrize("join", ["PX_{f}", "{f} USD", "adj_{f}"])
def test_a_word_around_all_names_that_is_no_ticker_leaves_the_ticker_to_the_file(join: str) -> None:
    names = [join.format(f=field) for field in FIELDS]
    assert closes(line("Date", *names) + line("2024-01-02", *AAPL), "file:///AAPL.csv") == {"AAPL": AAPL}


def test_a_row_of_units_is_no_row_of_tickers() -> None:
    text = line("Date", *FIELDS) + line("", *["USD"] * 5) + line("2024-01-02", *AAPL)
    assert closes(text, "file:///AAPL.csv") == {"AAPL": AAPL}


def test_a_ticker_that_lacks_columns_has_missing_values() -> None:
    header = line("Price", *FIELDS, "Close") + line("Ticker", *["AAPL"] * 5, "USDJPY") + line("Date", *[""] * 6)
    rows = parsed(header + line("2024-01-02", *AAPL, 150.0), "file:///x.csv").bars.to_pylist()
    assert [(row["ticker"], row["close"], row["volume"]) for row in rows] == [("AAPL", 2.0, 7), ("USDJPY", 150.0, None)]


def test_the_names_of_columns_cannot_be_set_for_tickers_side_by_side() -> None:
    text = TWO["as written"] + line("2024-01-02", *BOTH)
    with pytest.raises(UnreadableSourceError, match=r"tickers side by side, to which market\.columns does not apply"):
        parsed(text, columns={"close": "Adj Close"})
