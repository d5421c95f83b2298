"""The one definition of a ticker."""

from __future__ import annotations

import pytest

from cloudlstm.config.tickers import ticker


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("AAPL", "AAPL"),
        (" aapl ", "AAPL"),
        ("brk.b", "BRK.B"),
        ("BRK/B", "BRK/B"),
        ("brk b", "BRK B"),
        ("AAPL US Equity", "AAPL US EQUITY"),
        ("M&M.NS", "M&M.NS"),
        ("^GSPC", "^GSPC"),
        ("EURUSD=X", "EURUSD=X"),
        ("2330", "2330"),
        ("true", "TRUE"),
        ("NA", "NA"),
        ("貴州茅臺", "貴州茅臺"),
        ("ไทยพาณิชย์", "ไทยพาณิชย์"),
        ("रिलायंस", "रिलायंस"),
        ("e\u0301cole", "ÉCOLE"),
        ("газп", "ГАЗП"),
        ("straße", "STRAßE"),
        ("ſpy", "ſPY"),
        ("A" * 40, "A" * 40),
    ],
)
def test_a_ticker_has_one_form(text: str, found: str) -> None:
    assert ticker(text) == found
    assert ticker(found) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "A" * 41,
        "A\nB",
        "A\tB",
        "A\x00",
        "A  B",
        "A\u202eB",
        "\u0e31",
        "A\u200bB",
        "A.\u0301",
        "<b>",
        "A;B",
        "A,B",
        '"A"',
        "a\x1b[0m",
    ],
)
def test_other_text_is_no_ticker(text: str) -> None:
    assert ticker(text) is None
