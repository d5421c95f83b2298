"""What the words of the report mean, apart from the figures in metrics.py: every term on the page is in one of both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """A word of the report.

    Attributes:
        name: Its key, as in the page's footnotes.
        label: As it is written.
        definition: What it means, with its unit.
    """

    name: str
    label: str
    definition: str


TERMS = (
    Term("naive", "Naive", "A forecast that the price stays as it is, a log-return of zero. The measure of all else."),
    Term("drift", "Drift", "The forecast that each ticker moves by its mean log-return of the training split."),
    Term(
        "ridge", "Ridge",
        "Linear regression with a quadratic penalty on the same inputs as the network; the penalty is chosen on the "
        "validation split.",
    ),
    Term("lstm", "LSTM", "Long short-term memory: the recurrent network that the run trained."),
    Term("test", "Test split", "The latest dates. No model has seen them; all figures of merit are of these dates."),
    Term("horizon", "Sessions ahead", "How many trading sessions lie between the last bar seen and the one forecast."),
    Term(
        "window", "Window",
        "A sample: the bars of one ticker that a forecast looks at. A window with a label has a known outcome.",
    ),
    Term(
        "interval", "95% interval",
        "Where the mean difference lies with 95% confidence: from Student's t on the daily differences, with the "
        "variance of the Diebold-Mariano test. One that contains zero shows no difference.",
    ),
    Term(
        "difference", "Difference in MSE",
        "Mean squared error of the model over that of the other, minus 1. Below zero the model is better.",
    ),
    Term(
        "saved", "Error saved",
        "Squared return error of naive minus that of the model, summed up to a date, in percent of naive's sum over "
        "all dates (Welch and Goyal 2008, Review of Financial Studies 21(4)).",
    ),
    Term("return", "Return", "Log-return over the horizon, log(close then / close now), in percent."),
    Term(
        "decile", "Decile",
        "One of ten equal groups of the labels in the order of their forecast. Calibrated forecasts equal the mean of "
        "what came; the bar is a 95% interval from the mean of each date.",
    ),
    Term("move", "Move", "Forecast price over last close, minus 1, in percent."),
    Term(
        "usual_miss", "Usual miss",
        "The ticker's RMSE of the return on the test split, in dollars at the last close: how far off its forecasts "
        "are as a rule. A move much smaller than that is small talk.",
    ),
    Term(
        "turnover", "Turnover",
        "Close x volume, averaged over the last window of the test split, in dollars a session. The largest ticker is "
        "the one with the most.",
    ),
    Term(
        "loss", "Loss",
        "Mean squared error in the units that the network fits: with relative inputs the log-return over the window's "
        "own volatility, where 1 is about the error of forecasting nothing; with levels the z-score of the price.",
    ),
    Term(
        "untrained", "Untrained",
        "Loss on the validation split before the first step, epoch 0. With relative inputs it is the naive forecast.",
    ),
    Term("epoch", "Epoch", "One pass over all training windows."),
    Term("learning_rate", "Learning rate", "Size of Adam's steps at the end of an epoch; it has no unit."),
    Term("parameters", "Parameters", "Weights of the network that training adjusts."),
    Term("rate", "Rate", "Bars (rows) or windows worked on in a second, all workers together."),
    Term(
        "startup", "Start-up",
        "Time in which processes, the JVM of Spark and TensorFlow start. It does not grow with the data and is no part "
        "of any step's seconds.",
    ),
    Term("reused", "Reused", "Done by an earlier attempt for the same inputs, so not done again."),
    Term("bars", "Bars", "Rows of open, high, low, close and volume: one ticker, one session."),
    Term("kept", "Kept", "Bars that cleaning found sound."),
    Term("refused", "Refused", "Bars that a rule of cleaning moved to the quarantine, each with one reason."),
    Term(
        "refused_fraction", "Refused share",
        "Refused bars over all bars, without exact copies of a bar: what the quality gate judges.",
    ),
    Term("filled", "Filled", "Sessions without a sound bar, bridged by the last close with volume 0. Never a label."),
    Term(
        "withdrawn", "Withdrawn labels",
        "Bars that stay as inputs but are not forecast, because a later bar casts doubt on them.",
    ),
    Term(
        "coverage", "Coverage",
        "What became of each ticker asked for: fetched now, reused from an earlier snapshot, empty (the source knows "
        "no bars), or failed, with its cause.",
    ),
    Term("as_of", "As of", "When the snapshot of the source was taken, in UTC."),
    Term("data_hash", "Data hash", "Hash of the bars as they came from the source: equal hash, equal data."),
    Term("seed", "Seed", "Number from which all chance in the run comes: the same seed makes the same run."),
)  # fmt: skip
