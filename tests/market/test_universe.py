from __future__ import annotations

import pytest

from cloudlstm.config import UniverseConfig, parse
from cloudlstm.errors import DataError, ObjectNotFoundError, UnknownTickerError, UnreadableSourceError
from cloudlstm.market.sources.base import open_source
from cloudlstm.market.universe import requested_tickers, resolve_universe


def listed(tmp_path, text: str) -> UniverseConfig:
    (tmp_path / "universe.txt").write_bytes(text.encode())
    return UniverseConfig(path=str(tmp_path / "universe.txt"), tickers=())


def test_tickers_from_a_list_a_file_and_both(tmp_path):
    assert requested_tickers(UniverseConfig(tickers=("msft", "AAPL", "MSFT"))) == ("AAPL", "MSFT")
    config = listed(tmp_path, "\ufeff# the large ones\n\n msft  # Microsoft\r\nBRK-B\nmsft\n")
    assert requested_tickers(config) == ("BRK-B", "MSFT")
    both = config.model_copy(update={"tickers": ("AAPL",)})
    assert requested_tickers(both) == ("AAPL", "BRK-B", "MSFT")


def test_no_list_and_no_file_mean_all_tickers():
    assert requested_tickers(UniverseConfig()) is None
    assert resolve_universe(None, ["B", "A", "B"], "the source") == ("A", "B")


@pytest.mark.parametrize("text", ["", "\n\n", "# nobody\n"])
def test_a_file_without_tickers_is_an_empty_universe(tmp_path, text):
    with pytest.raises(DataError, match=r"the universe is empty: file://.*universe\.txt"):
        requested_tickers(listed(tmp_path, text))


def test_a_line_that_is_not_a_ticker_is_named(tmp_path):
    with pytest.raises(UnreadableSourceError, match=r"line 2 of the universe .* 'AAPL,MSFT'"):
        requested_tickers(listed(tmp_path, "TSLA\nAAPL,MSFT\n"))


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "universe.txt").write_bytes(b"\xff\x00\x9f")
    with pytest.raises(UnreadableSourceError, match="not a text file"):
        requested_tickers(UniverseConfig(path=str(tmp_path / "universe.txt")))


def test_a_missing_file(tmp_path):
    with pytest.raises(ObjectNotFoundError, match=r"^universe\.path: there is no file .*nowhere") as caught:
        requested_tickers(UniverseConfig(path=str(tmp_path / "nowhere.txt")))
    assert "universe.path=" in caught.value.hint


def test_unknown_tickers_are_named_with_similar_ones():
    assert resolve_universe(("B", "A"), ["C", "B", "A"], "the file") == ("A", "B")
    with pytest.raises(UnknownTickerError, match="the file has no APPL") as caught:
        resolve_universe(("APPL", "MSFT"), ["AAPL", "MSFT"], "the file")
    assert caught.value.hint == "AAPL"
    with pytest.raises(UnknownTickerError, match="no X0, X1, X2, X3, X4 and 2 more") as caught:
        resolve_universe([f"X{i}" for i in range(7)], ["AAPL", "MSFT"], "the file")
    assert caught.value.hint == "its only tickers are AAPL, MSFT"
    with pytest.raises(UnknownTickerError) as caught:
        resolve_universe(["ZZZ"], [f"AA{i}" for i in range(10, 31)], "the file")
    assert caught.value.hint == "it has 21 tickers, from AA10 to AA30"


def test_a_file_name_used_as_a_ticker_is_explained():
    with pytest.raises(UnknownTickerError) as caught:
        resolve_universe(["AAPL"], ["BARS"], "data/bars.csv")
    assert "market.columns.ticker" in caught.value.hint


def test_a_source_without_tickers_is_an_empty_universe():
    with pytest.raises(DataError, match="the universe is empty"):
        resolve_universe(None, [], "the file")


def test_a_file_that_is_too_large_for_a_universe_is_not_read(tmp_path):
    (tmp_path / "large.txt").write_bytes(b"#" * (16 * 2**20 + 1))
    with pytest.raises(UnreadableSourceError, match=r"the universe .*large\.txt has 16777217 bytes, and at most"):
        requested_tickers(UniverseConfig(path=str(tmp_path / "large.txt")))


def test_a_ticker_of_a_company_that_was_renamed_is_explained():
    with pytest.raises(UnknownTickerError) as caught:
        resolve_universe(["FB"], ["AAPL", "META"], "the file")
    assert caught.value.hint == "META, as FB is called now"
    with pytest.raises(UnknownTickerError) as caught:
        resolve_universe(["META"], ["AAPL", "FB"], "the file")
    assert caught.value.hint == "FB, as META was called"


def test_excluded_tickers_are_not_requested():
    config = UniverseConfig(tickers=("AAPL", "BRK B", "MSFT"), exclude=("brk b",))
    assert requested_tickers(config) == ("AAPL", "MSFT")
    assert requested_tickers(UniverseConfig(exclude=("MSFT",))) is None
    assert resolve_universe(None, ["C", "A", "B"], "the file", ("B",)) == ("A", "C")


def test_an_excluded_ticker_that_is_not_there_is_an_error():
    config = UniverseConfig(tickers=("AAPL", "MSFT"), exclude=("APPL",))
    with pytest.raises(
        UnknownTickerError, match=r"universe\.exclude names APPL, and the universe has no such"
    ) as caught:
        requested_tickers(config)
    assert caught.value.hint == "AAPL"
    with pytest.raises(UnknownTickerError, match="and the file has no such ticker"):
        resolve_universe(None, ["A", "B"], "the file", ("C",))


def test_a_universe_without_any_ticker_left_is_empty():
    with pytest.raises(DataError, match=r"universe\.exclude names all its tickers"):
        resolve_universe(None, ["A", "B"], "the file", ("A", "B"))


def test_the_synthetic_market_leaves_excluded_tickers_out():
    words = ["market.source=synthetic", "market.synthetic.tickers=3", "universe.exclude=SYN000002"]
    source = open_source(parse({}, words), None)
    assert [name for each in source.partitions() for name in source.tickers(each)] == ["SYN000001", "SYN000003"]
