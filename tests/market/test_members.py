"""The table of periods in universe.path: what is read, what is refused, and what the run tells of its members."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm.config import MarketConfig, UniverseConfig
from cloudlstm.errors import DataError, ObjectNotFoundError, UnknownTickerError, UnreadableSourceError
from cloudlstm.market.members import Members
from cloudlstm.market.sectors import read_sectors
from cloudlstm.market.universe import Universe, read_universe, requested_tickers, resolve_universe

MARKET = MarketConfig(source="synthetic", start=dt.date(2015, 1, 1), end=dt.date(2020, 12, 31))


def settings(folder: Path, text: str, **others: object) -> UniverseConfig:
    (folder / "members.csv").write_text(text)
    return UniverseConfig(path=str(folder / "members.csv"), **others)  # type: ignore[arg-type]


def days(*dates: str) -> np.ndarray:
    return np.array(dates, "datetime64[D]").astype(np.int32)


def members(last: str = "2020-12-31", **periods: list[tuple[str, str]]) -> Members:
    found = {
        name: tuple((dt.date.fromisoformat(a), dt.date.fromisoformat(b) if b else None) for a, b in each)
        for name, each in periods.items()
    }
    made = Members.of(Universe(tuple(sorted(found)), found), dt.date.fromisoformat(last))
    assert made is not None
    return made


def test_a_table_has_tickers_with_one_or_several_periods(tmp_path: Path) -> None:
    text = (
        "\ufeff# S&P\n\nTicker, From ,to\nmsft,2016-01-01,\n\nGE,2018-07-01,2019-01-02 # back\n"
        '"GE",2015-01-01,2018-06-26\n'
    )
    found = read_universe(settings(tmp_path, text, tickers=("SPY",)))
    assert found.tickers == ("GE", "MSFT", "SPY")
    assert found.periods == {
        "GE": ((dt.date(2015, 1, 1), dt.date(2018, 6, 26)), (dt.date(2018, 7, 1), dt.date(2019, 1, 2))),
        "MSFT": ((dt.date(2016, 1, 1), None),),
    }


def test_a_list_has_no_periods_also_if_a_ticker_is_called_ticker(tmp_path: Path) -> None:
    assert read_universe(settings(tmp_path, "ticker\nfrom\n")) == Universe(("FROM", "TICKER"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("A,2016-01-01,\nB,2016-02-30,", r"line 3 of the universe .* has '2016-02-30' in the place of a date"),
        ("A,1/2/2016,", r"line 2 .* has '1/2/2016' in the place of a date"),
        ("A,20160102,", r"line 2 .* has '20160102' in the place of a date"),
        ("A,,2016-01-01", r"line 2 .* has '' in the place of a date"),
        ("A,2016-01-02,2016-01-01", r"line 2 .*: the period of A begins 2016-01-02 and ends 2016-01-01"),
        ("A,2016-01-01", r"line 2 of the universe .* has 2 fields instead of 3: 'A,2016-01-01'"),
        ("A,2016-01-01,,", "line 2 .* has 4 fields"),
        ("A\x00;B,2016-01-01,", "line 2 .* is not a ticker"),
        ("A,2016-01-01,\n# x\nB,2016-01-01,\na,2017-01-01,2017-02-01", "line 5 .* period of A overlaps that of line 2"),
        ("A,2017-01-01,\nA,2016-01-01,2017-01-01", "line 3 .* period of A overlaps that of line 2"),
    ],
)
def test_an_invalid_row_is_named_with_its_line(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(UnreadableSourceError, match=message) as caught:
        read_universe(settings(tmp_path, f"ticker,from,to\n{rows}\n"))
    assert caught.value.hint


def test_another_header_is_no_ticker_and_the_hint_names_the_header(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSourceError, match=r"line 1 .* is not a ticker: 'symbol,start,end'") as caught:
        read_universe(settings(tmp_path, "symbol,start,end\nA,2016-01-01,\n"))
    assert "ticker,from,to" in caught.value.hint


def test_only_members_in_the_dates_of_the_market_are_requested(tmp_path: Path) -> None:
    text = "ticker,from,to\nOLD,2010-01-01,2014-12-31\nEDGE,2010-01-01,2015-01-01\nNEW,2020-12-31,\nLATE,2021-01-01,\n"
    config = settings(tmp_path, text, exclude=("EDGE", "OLD"))
    assert requested_tickers(config) == ("LATE", "NEW")
    found = read_universe(config, MARKET)
    assert (found.tickers, found.excluded) == (("NEW",), 1), "EDGE is an excluded member of these dates, OLD is none"
    with pytest.raises(DataError, match="has no member between 2015-01-01 and 2020-12-31"):
        read_universe(settings(tmp_path, "ticker,from,to\nOLD,2010-01-01,2014-12-31\n"), MARKET)
    with pytest.raises(DataError, match="names no ticker"):
        read_universe(settings(tmp_path, "ticker,from,to\n"), MARKET)
    with pytest.raises(UnknownTickerError, match=r"universe\.exclude names XYZ"):
        read_universe(settings(tmp_path, text, exclude=("XYZ",)), MARKET)


def test_both_dates_of_a_period_belong_to_it() -> None:
    found = members(A=[("2015-03-02", "2015-03-04"), ("2015-03-06", "")])
    dates = days("2015-02-27", "2015-03-02", "2015-03-04", "2015-03-05", "2015-03-06", "2099-01-01")
    assert found.on("A", dates).tolist() == [False, True, True, False, True, True]
    assert found.on("OTHER", dates).all(), "a ticker without periods is always a member"
    assert not found.has_member(days("2015-02-27", "2015-03-05"))
    assert found.has_member(days("2015-02-27", "2015-03-04"))


def bars(rows: list[tuple[str, str, bool]]) -> pa.Table:
    tickers, dates, filled = zip(*rows, strict=True)
    return pa.table({"ticker": tickers, "date": days(*dates).astype("datetime64[D]"), "filled": filled})


def test_facts_count_members_that_left_and_those_with_bars_to_their_end() -> None:
    sessions = days(*[f"2020-12-{day:02}" for day in range(1, 31)])
    found = members(
        "2020-12-30",
        FULL=[("2015-01-01", "2020-12-10")],
        GAP=[("2015-01-01", "2020-12-10")],
        NEVER=[("2015-01-01", "2020-12-10")],
        REUSED=[("2015-01-01", "2020-12-10")],
        STAYS=[("2015-01-01", "2015-02-01"), ("2016-01-01", "")],
        TODAY=[("2015-01-01", "2020-12-30")],
    )
    table = bars(
        [
            ("FULL", "2020-12-06", False),  # the fifth session from the end
            ("FULL", "2020-12-29", False),  # it trades on outside the index
            ("GAP", "2020-12-05", False),
            ("GAP", "2020-12-06", True),  # nothing was observed
            ("REUSED", "2020-12-20", False),  # only another company of this name
            ("STAYS", "2020-12-30", False),
        ]
    )
    last_bars = found.last_bars(table)
    assert last_bars == {"FULL": days("2020-12-06")[0], "GAP": days("2020-12-05")[0]}
    assert found.facts(last_bars, sessions) == {
        "tickers": 6, "left": 4, "bars_to_end": 1, "without_periods": 0, "excluded": 0, "last_date": "2020-12-30",
    }  # fmt: skip
    assert found.facts({}, sessions[:0])["bars_to_end"] == 0
    assert found.last_bars(table.slice(0, 0)) == {}


def test_a_source_may_lack_the_share_of_tickers_that_the_quality_gate_allows() -> None:
    requested, known = [f"T{n}" for n in range(10)], ["T0", "T1", "T2", "X"]
    with pytest.raises(UnknownTickerError) as caught:
        resolve_universe(requested, known, "the files", (), 0.69)
    assert caught.value.hint.endswith("or clean.max_missing_fraction=0.7 to go on without them")
    assert resolve_universe(requested, known, "the files", (), 0.7) == ("T0", "T1", "T2")
    with pytest.raises(UnknownTickerError):
        resolve_universe(["T4"], known, "the files", (), 0.99)


def sectors(folder: Path, text: str) -> dict[str, str]:
    (folder / "sectors.csv").write_text(text)
    return read_sectors(str(folder / "sectors.csv"))


def test_sectors_of_tickers(tmp_path: Path) -> None:
    text = 'ticker,sector\n\nmsft, Health Care # large\nBRK.B,"Financials, other"\nX,\nMSFT,Health Care\n'
    assert list(sectors(tmp_path, text).items()) == [
        ("BRK.B", "Financials, other"), ("MSFT", "Health Care"), ("X", "other"),
    ]  # fmt: skip
    assert sectors(tmp_path, "ticker,sector\n") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MSFT,Technology\n", r"line 1 of the sectors .* is not the header ticker,sector: 'MSFT,Technology'"),
        ("", r"line 1 of the sectors .* is not the header"),
        ("ticker,sector\nMSFT\n", r"line 2 of the sectors .* has 1 fields instead of 2"),
        ("ticker,sector\nA;B,Energy\n", "line 2 of the sectors .* is not a ticker: 'A;B'"),
        ("ticker,sector\nA,En\x07ergy\n", "line 2 of the sectors .* has no name of a sector"),
        ("ticker,sector\nA," + "x" * 61, "line 2 of the sectors .* has no name of a sector"),
        ("ticker,sector\nA,Energy\n\na,Tech\n", "line 4 of the sectors .*: A has another sector in line 2"),
    ],
)
def test_an_invalid_line_of_sectors_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UnreadableSourceError, match=message) as caught:
        sectors(tmp_path, text)
    assert caught.value.hint


def test_a_file_of_sectors_that_is_missing_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError, match=r"^universe\.sectors: there is no file .*nowhere"):
        read_sectors(str(tmp_path / "nowhere.csv"))
    with pytest.raises(UnreadableSourceError, match=r"the sectors .* has 16777217 bytes, and at most"):
        sectors(tmp_path, "#" * (16 * 2**20 + 1))
