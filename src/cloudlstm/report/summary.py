"""The verdict and the summary sentences of the report.

One standard for every sentence that ranks two models: a model is better or worse than another only if a
Diebold-Mariano test says so at 5 %, and the sentence states the size of the difference. The direction is that of the
tested difference, in which every date weighs the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from cloudlstm.evaluation.rows import Loss, ModelName, ModelScores, ModelTest
from cloudlstm.report.evidence_models import Evidence

SIGNIFICANCE = 0.05
_SMALL_DOLLARS = 0.1
"""Errors below ten cents, those of bars within a day, have more digits."""

Verdict = Literal["better", "same", "worse", "untested"]

_AGAINST_NAIVE: dict[Verdict, str] = {
    "better": "On returns the LSTM beats the naive forecast",
    "worse": "On returns the LSTM is worse than the naive forecast",
    "same": "On returns the LSTM does not differ significantly from the naive forecast",
    "untested": "The LSTM cannot be compared with the naive forecast by a test: there are too few dates, or the errors "
    "do not vary",
}
_AGAINST_OTHERS: dict[Verdict, str] = {
    "better": "beats",
    "worse": "is worse than",
    "same": "does not differ significantly from",
    "untested": "cannot be compared by a test with",
}
_IN_DOLLARS: dict[Verdict, str] = {
    "better": "significantly smaller than",
    "worse": "significantly larger than",
    "same": "not significantly different from",
    "untested": "compared with",
}


def verdict(test: ModelTest | None) -> Verdict:
    """A model against a reference by a Diebold-Mariano test at 5 %."""
    if test is None or test.p is None or test.statistic is None or test.difference is None:
        return "untested"
    if test.p >= SIGNIFICANCE:
        return "same"
    return "better" if test.statistic < 0.0 else "worse"


def find_test(
    tests: Sequence[ModelTest], reference: ModelName, *, loss: Loss = "return"
) -> ModelTest | None:  # fmt: skip
    """The test of the LSTM against another model; None if there is none."""
    found = (row for row in tests if (row.model, row.reference, row.loss) == ("lstm", reference, loss))
    return next(found, None)


def headline(
    models: Mapping[str, ModelScores],
    tests: Sequence[ModelTest],
    *,
    dates: int,
    evidence: Evidence | None = None,
    date_word: str = "date",
) -> str:
    """The result in a few sentences: the LSTM against naive, drift and ridge on returns, then in dollars.

    With several seeds or folds two more sentences say how far they agree.

    Args:
        models: Scores by model; "lstm" and "naive" are required.
        tests: Results of `scoring.compare_models`.
        dates: Number of dates of the test split.
        evidence: Results by seed and fold; None leaves them out.
        date_word: What the tests have one number for: "session" for bars within a day.
    """
    lstm, test = models["lstm"], find_test(tests, "naive")
    details = _details([_size(test), _p_value("Diebold-Mariano p", test.p if test else None)])
    sentences = [
        f"{_AGAINST_NAIVE[verdict(test)]}{details}, on {lstm.labels:,} test forecasts over {dates:,} {date_word}s.",
        _pooled(lstm, test, date_word),
        _clark_west(test),
        _other_models(tests),
        _seeds(evidence) if evidence else "",
        _folds(evidence) if evidence else "",
        _dollars(lstm, models["naive"], find_test(tests, "naive", loss="price")),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _pooled(lstm: ModelScores, test: ModelTest | None, date_word: str) -> str:
    """Warns if R² by label has another sign than the tested difference."""
    difference, pooled = test.difference if test else None, lstm.r2_pooled
    if not difference or not pooled or (difference < 0.0) == (pooled > 0.0):
        return ""
    return (
        f"{date_word.capitalize()}s have different numbers of {'tickers' if date_word == 'date' else 'labels'}: here "
        f"every {date_word} weighs the same. If every label weighs the same, "
        f"the sign is the opposite, an R² of {pooled:+,.2%}; no test belongs to that number."
    )


def _clark_west(test: ModelTest | None) -> str:
    if test is None or test.cw_p is None:
        return ""
    found = "finds" if test.cw_p < SIGNIFICANCE else "does not find"
    return (
        f"The Clark-West test, which leaves out the noise of fitting a model, {found} information about returns in the "
        f"LSTM's forecasts ({_p_value('one-sided p', test.cw_p)})."
    )


def _seeds(evidence: Evidence) -> str:
    """How far the networks of several seeds agree, by their R²."""
    spread = evidence.spread.get("r2_oos")
    if spread is None or spread.sd is None:
        return ""
    significant = sum(row.dm_p is not None and row.dm_p < SIGNIFICANCE for row in evidence.seeds)
    return (
        f"Over {spread.members} seeds the R² is {spread.mean:+,.2%} on average, from {spread.min:+,.2%} to "
        f"{spread.max:+,.2%}, and differs significantly from zero for {significant or 'none'} of them."
    )


def _folds(evidence: Evidence) -> str:
    """In how many folds the network is better than naive."""
    row = next((row for row in evidence.over_folds if row.model == evidence.model), None)
    if row is None:
        return ""
    name = "ensemble" if evidence.model == "ensemble" else "LSTM"
    return f"In {row.better} of {len(evidence.folds)} folds the {name}'s squared error is smaller than naive's."


def _other_models(tests: Sequence[ModelTest]) -> str:
    """The LSTM against the models without a network, by the same test as against naive."""
    references: tuple[ModelName, ...] = ("drift", "ridge")
    found = {name: row for name in references if (row := find_test(tests, name))}
    if not found:
        return ""
    clauses: dict[str, list[str]] = {}
    for name, row in found.items():
        named = f"{name}{_details([_size(row), _p_value('p', row.p)])}"
        clauses.setdefault(_AGAINST_OTHERS[verdict(row)], []).append(named)
    text = ", and ".join(f"{verb} {' and '.join(names)}" for verb, names in clauses.items())
    return f"The LSTM {text}; these models need no network."


def _dollars(lstm: ModelScores, naive: ModelScores, test: ModelTest | None) -> str:
    if lstm.rmse_price is None or naive.rmse_price is None:
        return ""
    digits = 3 if naive.rmse_price >= _SMALL_DOLLARS else 5
    return (
        f"In dollars, where expensive tickers weigh most, the LSTM's RMSE is ${lstm.rmse_price:,.{digits}f}, "
        f"{_IN_DOLLARS[verdict(test)]} naive's ${naive.rmse_price:,.{digits}f}"
        f"{_details([_p_value('p', test.p if test else None)])}."
    )


def _size(test: ModelTest | None) -> str:
    """How much larger or smaller the squared error is, in words."""
    if test is None or test.difference is None:
        return ""
    size = abs(test.difference)
    amount = "less than 0.01%" if size < 5e-5 else f"{size:,.2%}"
    if not size:
        return "equal squared error"
    return f"squared error {amount} {'smaller' if test.difference < 0.0 else 'larger'}"


def _p_value(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{name} < 0.001" if value < 0.001 else f"{name} = {value:.3f}"


def _details(parts: Sequence[str]) -> str:
    known = [part for part in parts if part]
    return f" ({', '.join(known)})" if known else ""
