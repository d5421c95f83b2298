import pytest

from cloudlstm.report import sections
from cloudlstm.report.caveats import caveats
from cloudlstm.report.run_models import Members
from cloudlstm.runs.manifest import Manifest
from evaluation.samples import config, make_forecasts, report_of


def survivorship(*words, source="files", **parts):
    """The caveat on missing companies of a report whose facts are partly replaced."""
    report = report_of(make_forecasts(), source="files")
    quality = report.quality.model_copy(update=parts.pop("quality", {}))
    members = parts.pop("members", None)
    forecasts = report.forecasts.model_copy(update=parts)
    rows = caveats(config(*words, source=source), report.training, quality, forecasts, members)
    return {row.name: row.text for row in rows}["survivorship"]


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


FACTS = {
    "tickers": 1612, "left": 1143, "bars_to_end": 1120, "without_periods": 0, "excluded": 0, "last_date": "2024-12-30",
    "windows_left_out": {"train": 5, "validation": 0, "test": 0, "forecast": 1143},
}  # fmt: skip


def test_with_periods_the_caveat_tells_who_left_and_whose_bars_are_there():
    text = survivorship("universe.path=sp500.csv", members=Members(**FACTS))
    assert text.startswith(
        "Members as they were at the time: 1,612 tickers, 1,143 of them left before the last date, 2024-12-30. Of the "
        "1,143 that left, 1,120 have bars to the end of their membership. Of the other 23 the last labels are missing, "
        "or all. The run cannot know whether the table is complete. Of 6 tickers that are still members 1 ends before "
    )
    assert "named in the settings" not in text
    parts = {"left": 1, "bars_to_end": 1, "excluded": 1, "without_periods": 2}
    text = survivorship("universe.path=sp500.csv", members=Members(**FACTS | parts))
    assert (
        "Of the 1 that left, 1 has bars to the end of its membership. The settings exclude 1 member. In addition the "
        "settings name 2 tickers without periods. The run cannot know"
    ) in text


def test_a_table_in_which_nobody_left_is_not_taken_for_one_of_members_at_the_time():
    text = survivorship("universe.path=sp500.csv", members=Members(**FACTS | {"left": 0, "bars_to_end": 0}))
    assert "1,612 tickers, none of them left" in text
    assert "may hold only those of today" in text


def test_membership_comes_from_the_manifest_of_the_sequences():
    made = Manifest("sequences", "0" * 16, (), 1.0, {"windows": {}, "members": FACTS})
    assert sections.members_section(made) == Members(**FACTS)
    assert sections.members_section(Manifest("sequences", "0" * 16, (), 1.0, {"windows": {}})) is None
    assert sections.members_section(None) is None


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
