import pytest

from cloudlstm.report.caveats import caveats
from evaluation.samples import config, make_forecasts, report_of


def survivorship(*words, source="files", **parts):
    """The caveat on missing companies of a report whose facts are partly replaced."""
    report = report_of(make_forecasts(), source="files")
    quality = report.quality.model_copy(update=parts.pop("quality", {}))
    forecasts = report.forecasts.model_copy(update=parts)
    found = {row.name: row.text for row in caveats(config(*words, source=source), report.training, quality, forecasts)}
    return found["survivorship"]


@pytest.mark.parametrize(
    ("words", "source", "origin"),
    [
        ([], "files", "those of the data."),
        (["universe.tickers=AAPL,MSFT"], "files", "named in the settings"),
        (["universe.tickers=AAPL,MSFT"], "yahoo", "named in the settings"),
        ([], "yahoo", "the six default ones, chosen because"),
    ],
)
def test_the_caveat_says_where_the_tickers_come_from_and_what_the_run_cannot_know(words, source, origin):
    text = survivorship(*words, source=source)
    assert text.startswith(f"The tickers are {origin}")
    assert "cannot know whether companies are missing" in text
    assert ("Yahoo Finance" in text) == (source == "yahoo")


def test_the_caveat_counts_the_tickers_that_end_early_or_are_missing():
    assert "Of 6 tickers 1 ends before the last date." in survivorship()
    assert "All 6 tickers have bars to the last date" in survivorship(ended_earlier=0)
    text = survivorship(quality={"missing_tickers": ("GONE", "LATE")})
    assert "2 requested tickers have no bars" in text
    assert "end" not in survivorship(tickers=0, origin_date=None).split("before the last date.")[1].split("If")[0]


def test_a_simulated_market_has_no_caveat_on_missing_companies():
    names = [row.name for row in report_of(make_forecasts()).caveats]
    assert names == ["synthetic", "no trading result"]


@pytest.mark.parametrize("inputs", ["relative", "levels"])
def test_no_gain_in_validation_is_told_and_only_relative_inputs_begin_with_the_naive_forecast(inputs):
    report = report_of(make_forecasts())
    training = report.training.model_copy(update={"untrained_validation_loss": 1.1})
    settings = config(f"train.inputs={inputs}")
    found = {row.name: row.text for row in caveats(settings, training, report.quality, report.forecasts)}
    assert ("is the naive forecast" in found["no gain in validation"]) == (inputs == "relative")
