"""Generated headlines explain as much of the next return as is asked, and nothing of the same day's."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray

from cloudlstm.config import MarketConfig, SyntheticConfig
from cloudlstm.errors import UsageError
from cloudlstm.exogenous.collect import collect
from cloudlstm.exogenous.sources import headlines, synthetic
from cloudlstm.market import calendar, columns
from cloudlstm.market.sources.synthetic import log_returns, make_bars, ticker_names
from exogenous.sources.news_inputs import NOW, config

YEARS_15 = MarketConfig(source="synthetic")
"""32 tickers, 2010 to 2024."""
ONE_YEAR = MarketConfig(
    source="synthetic", start=dt.date(2024, 1, 2), end=dt.date(2024, 12, 31), synthetic=SyntheticConfig(tickers=2)
)


def vader_scores(texts: list[str]) -> NDArray[np.float64]:
    """Scores of VADER; the number of the release does not count."""
    analyzer = pytest.importorskip("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
    known: dict[str, float] = {}
    plain = [text.partition(" ")[2].rpartition(",")[0] for text in texts]
    for text, name in zip(texts, plain, strict=True):
        if name not in known:
            known[name] = analyzer.polarity_scores(text)["compound"]
    return np.array([known[name] for name in plain])


def joined(market: MarketConfig, table: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The return of the same session and of the next one, for each headline."""
    names = ticker_names(market.synthetic)
    sessions = calendar.sessions(market.calendar, market.start, market.end)
    clean = market.synthetic.model_copy(update={"missing_days": 0.0, "bad_ticks": 0.0, "late_listings": 0.0})
    closes = columns.floats(make_bars(clean, names, sessions).column("close")).reshape(len(names), -1)
    returns = np.diff(np.log(closes), axis=1, prepend=np.nan, append=np.nan)
    row = np.array([names.index(name) for name in table.column("entity").to_pylist()])
    day = np.searchsorted(sessions, columns.days(table.column("period")))
    return returns[row, day], returns[row, day + 1]


def squared(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    known = ~np.isnan(one) & ~np.isnan(other)
    return float(np.corrcoef(one[known], other[known])[0, 1] ** 2)


@pytest.mark.parametrize("r2", [0.03, 0.3])
def test_the_scores_of_vader_explain_what_is_asked(r2: float) -> None:
    table = synthetic.news(YEARS_15, None, r2).all_headlines()
    score = vader_scores(table.column("headline").to_pylist())
    same, following = joined(YEARS_15, table)
    assert 0.8 * r2 < squared(score, following) < 1.2 * r2
    assert squared(score, same) < 2e-4


def test_without_an_effect_there_is_none() -> None:
    table = synthetic.news(YEARS_15, None, 0.0).all_headlines()
    assert squared(vader_scores(table.column("headline").to_pylist()), joined(YEARS_15, table)[1]) < 2e-4


def test_the_phrases_have_the_scores_of_vader() -> None:
    texts = [headlines.headline("SYN000001", place, 4711) for place in range(len(headlines.PHRASES))]
    assert vader_scores(texts) == pytest.approx([score for score, _ in headlines.PHRASES], abs=5e-5)


def test_one_headline_a_ticker_and_session_before_its_close() -> None:
    table = synthetic.news(ONE_YEAR, None, 0.03).all_headlines()
    sessions = calendar.sessions("XNYS", ONE_YEAR.start, ONE_YEAR.end)
    closes = calendar.hours_on("XNYS", sessions).closes.astype(np.int64) * 60_000_000
    for name in ticker_names(ONE_YEAR.synthetic):
        mine = table.filter(pc.equal(table.column("entity"), name))
        assert columns.days(mine.column("period")).tolist() == sessions[1:].tolist()
        utc = mine.column("available_at").cast(pa.int64()).to_numpy()
        assert (utc > closes[:-1]).all()
        assert (utc <= closes[1:] - 3600 * 1_000_000).all()


def test_a_longer_market_and_other_tickers_change_no_headline() -> None:
    longer = ONE_YEAR.model_copy(update={"end": dt.date(2025, 3, 31), "synthetic": SyntheticConfig(tickers=3)})
    table = synthetic.news(ONE_YEAR, None, 0.03).all_headlines().to_pylist()
    more = synthetic.news(longer, ["SYN000002", "SYN000001"], 0.03).all_headlines().to_pylist()
    assert [row for row in more if row["period"] <= ONE_YEAR.end] == table


def test_returns_of_the_model_are_those_of_the_bars() -> None:
    sessions = calendar.sessions("XNYS", ONE_YEAR.start, ONE_YEAR.end)
    names = ticker_names(ONE_YEAR.synthetic)
    clean = SyntheticConfig(tickers=2, missing_days=0.0, bad_ticks=0.0, late_listings=0.0)
    closes = columns.floats(make_bars(clean, names, sessions).column("close")).reshape(2, -1)
    made, sigma = log_returns(clean, names, sessions)
    assert np.abs(np.diff(np.log(closes), axis=1) - made[:, 1:]).max() < 0.002  # prices are rounded to cents
    assert ((sigma >= 0.01) & (sigma <= 0.02)).all()


def test_the_series_is_published_the_next_morning() -> None:
    rows = synthetic.macro(ONE_YEAR).all_rows()
    sessions = calendar.sessions("XNYS", ONE_YEAR.start, dt.date(2025, 1, 2))
    opens = calendar.hours_on("XNYS", sessions).opens.astype(np.int64) * 60_000_000
    assert columns.days(rows.column("period")).tolist() == sessions[:-1].tolist()
    assert rows.column("available_at").cast(pa.int64()).to_pylist() == (opens[1:] - 3600 * 1_000_000).tolist()
    assert float(np.diff(columns.floats(rows.column("value"))).std()) == pytest.approx(0.04, rel=0.2)


@pytest.mark.parametrize("section", ["macro", "news"])
def test_another_market_is_refused(section: str) -> None:
    found = config(**{section: {"source": "synthetic", **({"series": "SYNTHETIC"} if section == "macro" else {})}})
    market = found.market.model_copy(update={"source": "yahoo"})
    with pytest.raises(UsageError, match=r"market\.source"):
        collect(found.model_copy(update={"market": market}), ["AAPL"], NOW)
