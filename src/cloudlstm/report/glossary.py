"""Definitions of every metric in the report; `terms` has its other special words."""

from __future__ import annotations

from cloudlstm.report.models import Metric

METRICS = (
    Metric(
        "rmse_price", "RMSE, price", "dollar", "lower",
        "Root mean squared error of the price forecast, last close x exp(forecast log-return), against the actual "
        "close, in dollars. Every date weighs the same; on a date the expensive tickers weigh most.",
    ),
    Metric(
        "skill", "Skill against naive", "share", "higher",
        "1 - MSE(model) / MSE(naive) on the price: the share of naive's mean squared error that the model removes. "
        "Zero is the error of 'tomorrow = today', below zero the error is larger (Murphy 1988, Monthly Weather Review "
        "116).",
    ),
    Metric(
        "mae_price", "MAE, price", "dollar", "lower",
        "Mean absolute error of the price forecast, in dollars.",
    ),
    Metric(
        "rmse_return", "RMSE, return", "return", "lower",
        "Root mean squared error of the forecast log-return. Every date weighs the same, and on a date every ticker.",
    ),
    Metric(
        "mae_return", "MAE, return", "return", "lower",
        "Mean absolute error of the forecast log-return.",
    ),
    Metric(
        "r2_oos", "R² out of sample", "share", "higher",
        "1 - MSE(model) / MSE(naive) on the return: the share of naive's mean squared error that the model removes, "
        "with a forecast of zero as benchmark (Campbell and Thompson 2008, Review of Financial Studies 21(4), who use "
        "the historical mean). Every date weighs the same, as in the Diebold-Mariano test.",
    ),
    Metric(
        "r2_pooled", "R² by label", "share", "higher",
        "R² out of sample with every label weighing the same: 1 - sum of squared return errors / sum of squared "
        "returns. No test belongs to it. It is shown where it has another sign than R² out of sample, or differs by "
        "half a percentage point or more.",
    ),
    Metric(
        "dm_p", "DM p, return", "p", "none",
        "Two-sided p-value of the Diebold-Mariano test against naive. Hypothesis: both forecasts, as they were made, "
        "have the same expected squared return error (Diebold and Mariano 1995, Journal of Business & Economic "
        "Statistics 13(3); for models fitted once, Giacomini and White 2006, Econometrica 74(6)). Errors are averaged "
        "over tickers by date; with the correction of Harvey, Leybourne and Newbold (1997). Below 0.05 the difference "
        "is significant.",
    ),
    Metric(
        "cw_p", "CW p, return", "p", "none",
        "One-sided p-value of the Clark-West test against naive, for models that contain the naive forecast: drift, "
        "ridge, and the LSTM with relative inputs. Hypothesis: returns cannot be forecast, so the model's parameters "
        "only add noise; against: they can (Clark and West 2007, Journal of Econometrics 138). That noise is "
        "left out of the model's error. Below 0.05 the forecasts contain information about returns; that does not make "
        "their error smaller than naive's.",
    ),
    Metric(
        "dm_p_price", "DM p, price", "p", "none",
        "The same test on squared price errors in dollars.",
    ),
    Metric(
        "spread", "Spread of forecasts", "ratio", "none",
        "Standard deviation of the forecast returns over that of the actual returns. A calibrated forecast with R² of "
        "r has a spread of about the square root of r; a spread near 1 with a small R² means that the forecasts are "
        "mostly noise.",
    ),
    Metric(
        "directional_accuracy", "Direction right", "share", "higher",
        "Share of labels whose sign was forecast correctly, among those where neither forecast nor return is exactly "
        "zero. Compare it with the base rate. Naive forecasts no direction.",
    ),
    Metric(
        "base_rate_up", "Base rate of ups", "share", "none",
        "Share of positive returns among the returns that are not zero: the accuracy of always forecasting up.",
    ),
    Metric(
        "zero_forecasts", "Forecasts of zero", "count", "none",
        "Number of forecasts that are exactly zero and therefore have no direction.",
    ),
    Metric(
        "ic", "IC", "ratio", "higher",
        "Information coefficient: correlation over tickers of forecast and actual return on one date, averaged over "
        "the dates with enough tickers (Grinold and Kahn 1999, Active Portfolio Management).",
    ),
    Metric(
        "ic_t", "t of IC", "t", "none",
        "The mean IC over its standard error across dates; lags as in the Diebold-Mariano test.",
    ),
    Metric(
        "rank_ic", "RankIC", "ratio", "higher",
        "As IC, with ranks in place of returns (Spearman's correlation), so that single large moves count less.",
    ),
    Metric(
        "rank_ic_t", "t of RankIC", "t", "none",
        "The mean RankIC over its standard error across dates.",
    ),
    Metric(
        "ic_dates", "Dates in IC", "count", "none",
        "Number of dates with enough tickers, and with different forecasts, to compute an information coefficient.",
    ),
    Metric(
        "labels", "Labels", "count", "none",
        "Number of forecasts compared with the actual return.",
    ),
)  # fmt: skip
