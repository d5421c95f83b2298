"""Definitions of the words of the report that are no metric."""

from __future__ import annotations

from cloudlstm.report.models import Term

TERMS = (
    Term("naive", "Naive", "The forecast that the price does not change, a log-return of zero. All models are "
         "compared with it."),
    Term("drift", "Drift", "The forecast that each ticker moves by its mean log-return in the training split."),
    Term(
        "ridge", "Ridge",
        "Linear regression with a quadratic penalty on the same inputs as the network; the penalty is chosen on the "
        "validation split.",
    ),
    Term("lstm", "LSTM", "Long short-term memory: the recurrent network that the run trained."),
    Term(
        "ensemble", "Ensemble",
        "Mean of the forecasts of the networks with all seeds. Its mean squared error is at most the mean of theirs "
        "(Krogh and Vedelsby 1995, NIPS 7).",
    ),
    Term(
        "calibrated", "Calibrated",
        "The ensemble's forecast (of one seed: the LSTM's) times the supported slope, between 0 and 1. A model that "
        "has nothing to say then says little.",
    ),
    Term(
        "slope", "Supported slope",
        "Slope through the origin of actual on forecast returns on the validation split, times 1 - 1/t² of its "
        "t-statistic and never below 0 or above 1 (shrinkage as in James and Stein 1961): the part of the forecasts "
        "that is more than noise.",
    ),
    Term(
        "fold", "Fold",
        "One period of a walk-forward evaluation: networks and baselines are fitted on labels before it and tested "
        "on it. Every test label is in one fold.",
    ),
    Term(
        "embargo", "Embargo",
        "Sessions before a border whose labels are not used, so that no window after it shares a bar with a label "
        "before it.",
    ),
    Term(
        "conformal", "Forecast interval",
        "Split conformal prediction: half width q x the window's volatility, with q from the errors on the validation "
        "split (Lei et al. 2018, Journal of the American Statistical Association 113). It holds what it states as "
        "long as the market stays as in validation.",
    ),
    Term(
        "regime", "Volatility regime",
        "A third of the test dates in the order of the mean volatility of the windows that end on them: calm, normal, "
        "turbulent.",
    ),
    Term("rmse_ratio", "RMSE ratio", "RMSE of the return over naive's; below 1 the model is better."),
    Term(
        "portfolio", "Decile portfolio",
        "On each date long the tenth of the tickers with the largest forecasts, short the tenth with the smallest, "
        "with equal weights, held for the horizon. Returns are of the capital of one side; no financing or borrowing "
        "is counted.",
    ),
    Term(
        "trading", "Portfolio turnover",
        "Share of the portfolio that is replaced in a session: value bought and sold over four times the capital of "
        "one side.",
    ),
    Term(
        "drawdown", "Drawdown",
        "Fall of the sum of returns after costs below its largest value before, over the capital of one side.",
    ),
    Term(
        "sharpe", "Sharpe ratio",
        "Mean return a year over its standard deviation, with its standard error (Lo 2002, Financial Analysts Journal "
        "58(4)).",
    ),
    Term(
        "exogenous", "Exogenous column",
        "A feature that is not computed from bars but joined to them: a value of a macro series, or a summary of the "
        "headlines of a session. A bar gets only what was known before the close of its session, less the embargo.",
    ),
    Term(
        "ablation", "Ablation",
        "The same networks trained with fewer of the exogenous columns, and without any: same seeds, folds, windows "
        "and settings. What differs is what the columns bring, and chance.",
    ),
    Term(
        "rank_correlation", "Rank correlation",
        "Spearman's correlation over the dates of each ticker, averaged over the tickers with the number of their "
        "values as weights. Missing values are left out. Its p-value has one number per date, because tickers move "
        "together.",
    ),
    Term(
        "importance", "Permutation importance",
        "Increase of the mean squared return error, as a share of it, when the scaled inputs of one feature are "
        "exchanged at random among the windows (Breiman 2001, Machine Learning 45). Features that say the same share "
        "it.",
    ),
    Term("test", "Test split", "The latest dates. No model was fitted on them; all metrics are computed on them."),
    Term("horizon", "Sessions ahead", "Number of trading sessions from the last bar in the window to the forecast."),
    Term(
        "window", "Window",
        "One sample: the consecutive bars of one ticker from which a forecast is made. A window with a label has a "
        "known outcome.",
    ),
    Term(
        "interval", "95% interval",
        "95% confidence interval of the difference: all differences that the Diebold-Mariano test does not reject "
        "(Fieller 1954). It contains zero exactly if the difference from zero is not significant at 0.05.",
    ),
    Term(
        "difference", "Difference in MSE",
        "Mean squared error of the model over that of the other, minus 1; below zero the model's is smaller. Every "
        "date weighs the same. Against naive it is R² out of sample, or the skill, with the other sign.",
    ),
    Term(
        "saved", "Error saved",
        "Squared return error of naive minus that of the model, summed up to a date, in percent of naive's sum over "
        "all dates (Welch and Goyal 2008, Review of Financial Studies 21(4)). Every date weighs the same.",
    ),
    Term("return", "Return", "Log-return over the horizon, log(close at the target date / close now), in percent."),
    Term(
        "decile", "Decile",
        "One of ten equal groups of the labels in the order of their forecast. If forecasts are calibrated, the mean "
        "forecast of a group equals its mean realised return. Means are over dates; the bar is their 95% interval, "
        "from Student's t. More than one session ahead it takes neighbouring dates of the group as overlapping.",
    ),
    Term("move", "Move", "Forecast price over last close, minus 1, in percent."),
    Term(
        "typical_error", "Typical error",
        "The ticker's RMSE of the return on the test split, in dollars at the last close. Forecast moves well below it "
        "are within that error.",
    ),
    Term(
        "turnover", "Turnover",
        "Close x volume, averaged over the ticker's last window of the test split, in dollars per session.",
    ),
    Term(
        "loss", "Loss",
        "Mean squared error in the units that the network fits. With relative inputs: the log-return divided by the "
        "window's volatility, where forecasting zero gives about 1. With levels: the z-score of the price.",
    ),
    Term(
        "untrained", "Untrained",
        "Loss on the validation split before the first step, epoch 0. With relative inputs it is that of the naive "
        "forecast.",
    ),
    Term("epoch", "Epoch", "One pass over all training windows."),
    Term("learning_rate", "Learning rate", "Size of Adam's steps at the end of an epoch; it has no unit."),
    Term("parameters", "Parameters", "Weights of the network that training adjusts."),
    Term("rate", "Rate", "Bars (rows) or windows processed per second by all workers together."),
    Term(
        "startup", "Start-up",
        "Time in which processes, the JVM of Spark and TensorFlow start. It does not grow with the data and is not "
        "part of any step's seconds.",
    ),
    Term("reused", "Reused", "Done by an earlier attempt for the same inputs, and not repeated."),
    Term("bars", "Bars", "Rows of open, high, low, close and volume: one ticker, one session."),
    Term("kept", "Kept", "Bars that passed all rules of cleaning."),
    Term("refused", "Rejected", "Bars that a rule of cleaning moved to the quarantine, each with one reason."),
    Term(
        "refused_fraction", "Rejected share",
        "Rejected bars over all bars. Exact copies, empty rows, carried rows and stale bars do not count as rejected. "
        "The quality gate checks this share.",
    ),
    Term(
        "filled", "Filled",
        "Sessions without a valid bar, filled with the last close and volume 0. They are never labels.",
    ),
    Term(
        "withdrawn", "Dropped labels",
        "Bars that remain as inputs but are not forecast, because a later bar shows that their price may be wrong.",
    ),
    Term(
        "coverage", "Coverage",
        "Outcome of each requested ticker: fetched now, reused from an earlier snapshot, empty (the source has no "
        "bars), or failed, with its cause.",
    ),
    Term("as_of", "As of", "Time of the snapshot of the source, in UTC."),
    Term("data_hash", "Data hash", "Hash of the bars as the source delivered them; equal data have equal hashes."),
    Term("seed", "Seed", "Start value of the random generators: a run with the same seed gives the same result."),
)  # fmt: skip

_WITHIN_A_DAY = {
    "date": Term(
        "date", "Session as the unit of evidence",
        "The errors of all bars and tickers of a session are averaged first; every mean and every test has one number "
        "per session, because the bars of a session share its news and its volatility.",
    ),
    "horizon": Term("horizon", "Bars ahead", "Number of bars from the last bar in the window to the forecast."),
    "bars": Term("bars", "Bars", "Rows of open, high, low, close and volume: one ticker, one interval of time."),
    "filled": Term(
        "filled", "Filled",
        "Bars of a session that are missing or were rejected, filled with the last close and volume 0. They are never "
        "labels.",
    ),
    "exogenous": Term(
        "exogenous", "Exogenous column",
        "A feature that is not computed from bars but joined to them: a value of a macro series, or a summary of the "
        "headlines of the session so far. A bar gets only what was known before its end, less the embargo.",
    ),
    "turnover": Term(
        "turnover", "Turnover",
        "Close x volume, averaged over the ticker's last window of the test split, in dollars per bar.",
    ),
    "portfolio": Term(
        "portfolio", "Decile portfolio",
        "At each bar long the tenth of the tickers with the largest forecasts, short the tenth with the smallest, with "
        "equal weights, held for the horizon and closed with the session. Returns are of the capital of one side, "
        "summed over the bars of a session; no financing or borrowing is counted.",
    ),
}  # fmt: skip


def terms_within_a_day() -> tuple[Term, ...]:
    """The terms of a report on bars within a day."""
    known = {term.name for term in TERMS}
    new = [term for name, term in _WITHIN_A_DAY.items() if name not in known]
    return (*(_WITHIN_A_DAY.get(term.name, term) for term in TERMS), *new)
