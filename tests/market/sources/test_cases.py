"""Files as people have them, from a folder of collected cases: each is read with these values, or refused like this.

The folder is not part of the project; CLOUDLSTM_CASES names it. Files of the same kinds are made in the other tests of
this folder. A refused case names the settings of its hint, and is then read with them.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm.config import CleanConfig, parse
from cloudlstm.errors import CloudLSTMError, DataError
from cloudlstm.market import calendar
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.sources.base import look_at_source, open_source

CASES = Path(os.environ.get("CLOUDLSTM_CASES") or Path(__file__).resolve().parents[4] / "shared" / "cases")


@dataclass(frozen=True)
class Case:
    """A file or folder and what becomes of it.

    Attributes:
        path: Below the folder of cases.
        tickers: Tickers, in order, and their bars after cleaning.
        probe: (ticker, date, close, volume) of one bar.
        refused: Words of the message without a setting; "" if it is read.
        settings: What reads it; the hint of the refusal contains these words.
        rejected: Rows in the quarantine by reason.
    """

    path: str
    tickers: dict[str, int] = field(default_factory=dict)
    probe: tuple[str, str, float, int] | None = None
    refused: str = ""
    settings: tuple[str, ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)


AAPL = ("AAPL", "2024-12-31", 26.1529, 2002031)
WHOLE = {"AAPL": 1510}
PART = {"AAPL": 700}
YEAR = {"AAPL": 300}

READ = [
    Case("alpha_vantage_adj", WHOLE, AAPL),
    Case("alpha_vantage_json", WHOLE, AAPL),
    Case("brackets/[AAPL].csv", YEAR, ("AAPL", "2023-10-23", 21.1277, 2621433)),
    Case("business_days_nan", WHOLE, ("AAPL", "2019-01-02", 40.22, 1715120), rejected={"empty_row": 55}),
    Case("calendar_days_ffill", WHOLE, ("AAPL", "2019-01-04", 40.9456, 2466260), rejected={"carried_row": 681}),
    Case("calendar_days_nan", WHOLE, ("AAPL", "2019-01-02", 40.22, 1715120), rejected={"empty_row": 681}),
    Case("class_shares", {"AAPL": 300, "BRK-B": 300}, ("BRK-B", "2023-10-23", 21.1277, 2621433)),
    Case("comment_lines", WHOLE, AAPL),
    Case("dates_unpadded", {"600000": 1510}, ("600000", "2019-01-02", 40.22, 1715120)),
    Case("epoch_seconds", WHOLE, AAPL),
    Case("excel_date_name", {"SAP": 1510}, ("SAP", "2019-01-02", 40.22, 1715120)),
    Case("excel_de", {"SAP": 1510}, ("SAP", "2019-01-02", 40.22, 1715120)),
    Case("excel_sep_line", {"SAP": 1510}, ("SAP", "2019-01-02", 40.22, 1715120)),
    Case("folder_mixed_formats", {"AAPL": 1510, "MSFT": 1510}, ("MSFT", "2019-01-02", 250.7852, 2157061)),
    Case("hive_partitions/bars", {"AAPL": 502}, ("AAPL", "2023-01-03", 23.383, 2368084)),
    Case("hive_partitions_spark/bars", PART, ("AAPL", "2022-03-21", 21.1964, 1857977)),
    Case("index_zero_volume", {"^GSPC": 1510}, ("^GSPC", "2019-01-02", 40.22, 0)),
    Case("investing_en", {"TSLA": 1510}, ("TSLA", "2024-12-31", 10053.85, 1520000)),
    Case("kaggle_all_stocks_5yr", {"AAL": 903, "AAP": 903, "AAPL": 903}, ("AAL", "2021-06-01", 9.4685, 3607252)),
    Case("kaggle_huge_txt", {"AAPL.US": 1510, "MSFT.US": 1510}, ("AAPL.US", "2019-01-02", 40.22, 1715120)),
    Case("kaggle_zip", WHOLE, ("AAPL", "2019-01-02", 40.22, 1715120)),
    Case("metatrader", WHOLE, ("AAPL", "2019-01-02", 40.22, 1715120)),
    Case("nasdaq_dollar", WHOLE, ("AAPL", "2024-12-31", 26.15, 2002031)),
    Case("nifty_folder", {"BAJAJ-AUTO.NS": 300, "M&M.NS": 300, "RELIANCE.NS": 300}, None),
    Case(
        "odd_tickers",
        dict.fromkeys(("BF-B", "BRK.B", "BRK/B", "CON", "M&M.NS", "NA", "NAN", "NULL", "ON", "TRUE", "^GSPC"), 150),
        ("NA", "2024-05-29", 49.7459, 2309234),
    ),
    Case("odd_file_names", dict.fromkeys(("AAPL", "BRK B", "CON", "M&M.NS", "NA"), 200), None),
    Case("oil_negative", {"CL=F": 1508}, ("CL=F", "2019-01-02", 50.0082, 2379007), rejected={"non_positive_price": 2}),
    Case("pandas_index_unnamed", WHOLE, ("AAPL", "2019-01-02", 40.22, 1715120)),
    *(
        Case(f"parquet_forms/{name}.parquet", PART, ("AAPL", "2022-03-21", 21.1964, 1857977))
        for name in (
            "decimal",
            "dictionary",
            "large_string",
            "ns_int64",
            "pandas_index_level_0",
            "pandas_index_named",
            "string_view",
            "tz",
            "yyyymmdd_int",
        )
    ),
    Case("parquet_forms/ticker_int.parquet", {"2330": 700}, ("2330", "2022-03-21", 21.1964, 1857977)),
    Case("parquet_forms/volume_uint64_nan.parquet", {"AAPL": 686}, None, rejected={"missing_volume": 14}),
    Case("penny", {"PENNY": 1510}, ("PENNY", "2019-01-02", 0.0043, 1660248)),
    Case("quandl_wiki", WHOLE, ("AAPL", "2019-01-02", 160.88, 1715120)),
    Case("stooq", {"AAPL.US": 1510}, ("AAPL.US", "2019-01-02", 40.22, 1715120)),
    Case("stooq_folder", {"AAPL.US": 1510}, ("AAPL.US", "2019-01-02", 40.22, 1715120)),
    Case("thousands_biased", dict.fromkeys(("BIG", *(f"T{n}" for n in range(12))), 250), None),
    Case("thousands_partial", {"NVR": 1510}, ("NVR", "2019-01-02", 992.11, 1564929)),
    Case("thousands_volume", WHOLE, ("AAPL", "2019-01-02", 40.22, 1715120)),
    Case("ticker_folders_year_files", {"AAPL": 502, "MSFT": 502}, ("MSFT", "2023-01-03", 242.7351, 1553386)),
    Case("trailing_blank_tickers", {"AAPL": 300, "MSFT": 300}, ("AAPL", "2023-10-23", 21.1277, 2621433)),
    Case("trailing_footer", WHOLE, AAPL, rejected={"text_line": 1}),
    Case("yahoo_delisted", WHOLE, AAPL),
    Case("yahoo_web", WHOLE, AAPL),
    Case("yf_download_one", WHOLE, ("AAPL", "2019-01-02", 40.22, 1715120)),
    Case("yf_download_parquet", PART, ("AAPL", "2022-03-21", 21.1964, 1857977)),
    *(
        Case(name, {"AAPL": 1510, "MSFT": 1510}, ("MSFT", "2019-01-02", 250.7852, 2157061))
        for name in ("yf_download_two", "yf_download_two_date", "yf_reset_index_pandas")
    ),
    Case("yf_history_tz", WHOLE, ("AAPL", "2019-01-02", 40.22, 1715120)),
    Case("hive_two_tickers/bars", {"AAPL": 757, "MSFT": 753}, ("AAPL", "2019-01-02", 40.22, 1715120)),
]

REFUSED = [
    Case(
        "binance",
        {"BTCUSDT": 2192},
        ("BTCUSDT", "2019-01-01", 3797.8927, 17937),
        "the dates fit the calendar 24/7",
        ("market.calendar=24/7",),
    ),
    Case(
        "crypto",
        {"BTC-USD": 2192},
        ("BTC-USD", "2019-01-01", 3797.8927, 17936906301),
        "the dates fit the calendar 24/7",
        ("market.calendar=24/7",),
    ),
    Case(
        "folder_with_metadata",
        WHOLE,
        AAPL,
        "symbols_valid_meta.csv has no column date, open, high, low, close, volume",
        ("market.ignore_files=symbols_valid_meta.csv",),
    ),
    Case(
        "index_no_volume_column",
        {"VIX": 1510},
        ("VIX", "2019-01-02", 40.22, 0),
        "has no column volume",
        ("market.missing_volume=zero",),
    ),
    Case("json_records", refused="is a JSON document"),
    Case("minute_bars", refused="the bars are a minute apart"),
    Case("no_header", WHOLE, AAPL, "the first line holds values", ("market.header=date,open,high,low,close,volume",)),
    Case("nse_bhav", {"SBIN": 1100}, None, "the dates fit the calendar", ("market.calendar=XBOM",)),
    Case(
        "tokyo_in_utc",
        {"7203.T": 1463},
        ("7203.T", "2019-01-04", 1485.8518, 2237570),
        "the dates are one day early",
        ("market.calendar=XTKS", "market.time_zone=Asia/Tokyo"),
    ),
    Case("two_closes", YEAR, None, "2 columns can be close", ("market.columns.close=Close",)),
    Case("twse", {"2330": 1461}, None, "the dates fit the calendar XTAI", ("market.calendar=XTAI",)),
    Case(
        "twse_utf8",
        {"2330": 1461},
        ("2330", "2019-01-02", 508.1135, 1941164),
        "the dates fit the calendar XTAI",
        ("market.calendar=XTAI",),
    ),
    Case("weekly_bars", refused="the bars are a week apart"),
    Case("wide_closes", refused="has no column open, high, low, close, volume; it has Date, AAPL, MSFT"),
    Case(
        "yahoo_null_rows",
        {"RELIANCE.NS": 1441},
        ("RELIANCE.NS", "2019-01-02", 1185.9913, 2499884),
        "the dates fit the calendar XBOM",
        ("market.calendar=XBOM",),
        rejected={"empty_row": 37},
    ),
]

NOT_FILES = {"proxy_hang", "spark_home"}
"""Cases of an environment: tests/workers/test_environment.py, tests/pipeline/test_java_at_start.py."""


@pytest.fixture(autouse=True)
def _cases() -> None:
    if not CASES.is_dir():
        pytest.skip(f"there are no collected cases at {CASES}; CLOUDLSTM_CASES names their folder")


def named(case: Case) -> Path:
    """The path that a user would give: the file, if the folder of the case holds one beside its README."""
    path = CASES / case.path
    files = (
        [each for each in path.iterdir() if each.name != "README" and each.suffix != ".toml"] if path.is_dir() else []
    )
    return files[0] if len(files) == 1 and files[0].is_file() else path


def config_of(case: Case, *words: str) -> Any:
    document = {
        "market": {"source": "files", "path": str(named(case)), "start": "2010-01-01", "end": "2024-12-31"},
        "dataset": {"train_end": "2023-12-31", "validation_end": "2024-06-30"},
    }
    return parse(document, words)


def read(config: Any) -> pa.Table:
    source = open_source(config, None)
    return pa.concat_tables([source.read(partition) for partition in source.partitions()]).unify_dictionaries()  # type: ignore[union-attr]


def check_values(case: Case, *words: str) -> None:
    """Reads, cleans and compares."""
    config = config_of(case, *words)
    look_at_source(config)
    raw = read(config)
    days = calendar.sessions(config.market.calendar, config.market.start, config.market.end)
    cleaned = clean(raw, CleanConfig(max_fill_bars=0), np.asarray(days))
    bars = cleaned.bars.to_pylist()
    assert dict(Counter(row["ticker"] for row in bars)) == case.tickers
    assert dict(Counter(row["reason"] for row in cleaned.quarantine.to_pylist())) == case.rejected
    if case.probe:
        ticker, date, close, volume = case.probe
        [found] = [row for row in bars if row["ticker"] == ticker and row["date"] == dt.date.fromisoformat(date)]
        assert (found["close"], found["volume"]) == (close, volume)


@pytest.mark.parametrize("case", READ, ids=lambda case: case.path)
def test_it_is_read(case: Case) -> None:
    check_values(case)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.path)
def test_it_is_refused_and_then_read_with_the_settings_of_the_hint(case: Case) -> None:
    with pytest.raises(DataError) as caught:
        look_at_source(config_of(case))
    error: CloudLSTMError = caught.value
    assert case.refused in error.message
    assert error.hint
    assert all(word in error.hint for word in case.settings)
    if case.settings:
        check_values(case, *case.settings)


def test_every_case_is_in_the_table() -> None:
    tried = {case.path.split("/")[0] for case in (*READ, *REFUSED)} | NOT_FILES
    assert {path.name for path in CASES.iterdir()} == tried
