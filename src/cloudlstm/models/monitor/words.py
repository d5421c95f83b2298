"""Words of the page: names of kinds and reasons, sentences of a version, and definitions."""

from __future__ import annotations

from collections.abc import Sequence

from cloudlstm.models.gate import MOST_SESSIONS, NEEDED_E_VALUE
from cloudlstm.models.watch import ALARM_E_VALUE
from cloudlstm.report.models import Term
from cloudlstm.text.printable import shortened

LONG_REASONS = 240
"""Longest reasons in a table, in characters; the day's document has all of them."""

BASES = {
    "created": "first version",
    "skill": "shown to be better",
    "refresh": "refresh, no evidence of skill",
    "rollback": "rollback",
    "manual": "by hand",
    "worse": "shown to be worse",
    "expired": f"not shown to be better in {MOST_SESSIONS} sessions",
    "checks": "a check failed",
    "undecided": "undecided",
}
"""Basis of a move or of a decision -> words."""

KINDS = {
    "created": "from a run",
    "warm": "warm",
    "cold": "cold",
    "recipe": "recipe",
}
"""Kind of a version -> words."""


def joined(reasons: Sequence[str], most: int = LONG_REASONS) -> str:
    """Reasons in one text of at most `most` characters."""
    return shortened("; ".join(reasons), most)


DEFINITIONS = (
    Term("naive", "Naive", "The forecast that the price does not change, a log-return of zero."),
    Term("loss", "Loss", "Mean squared error of the forecast log-return over the tickers of a session."),
    Term(
        "saved", "Error saved",
        "1 - loss of the champion / loss of naive, of the means over sessions; below zero the champion's error was "
        "larger. The 95% interval (Fieller 1954) holds for one look, not for a look every day.",
    ),
    Term(
        "e_value", "E-value",
        "Evidence for a claim, such as that a challenger is better. It starts at 1. If the claim is false, it ever "
        "reaches a number n with probability 1 / n at most, however often one looks (Ville 1939).",
    ),
    Term(
        "gate", "Gate",
        f"Compares a challenger with the champion, session by session. It promotes on skill at an e-value of "
        f"{NEEDED_E_VALUE:g} times the number of challengers a year, and retires at {NEEDED_E_VALUE:g} for worse or "
        f"after {MOST_SESSIONS} sessions.",
    ),
    Term(
        "refresh", "Refresh",
        "A version that was trained on newer data replaces the champion if it was not shown to be worse. That is no "
        "evidence that it is better.",
    ),
    Term(
        "kind", "Warm, cold, recipe",
        "A warm version starts from the weights of the version that is named; a cold one from new weights; one of "
        "another recipe has other settings.",
    ),
    Term("champion", "Champion", "The version whose forecasts are used."),
    Term("challenger", "Challenger", "A version that forecasts beside the champion until its gate decides."),
    Term(
        "watch", "Watch",
        "Compares the champion with naive, or with the champion before it, without end. At an e-value of "
        f"{ALARM_E_VALUE:g} it raises an alarm; at most 5% of years do, if the champion is not worse.",
    ),
    Term(
        "psi", "PSI",
        "Population stability index: how far the feature's values of the last sessions are from those of the "
        "reference, over bins. 0 means equal shares.",
    ),
    Term("ks", "KS", "Largest difference of the two cumulated shares of values (Kolmogorov-Smirnov), from 0 to 1."),
    Term(
        "slow", "Slow feature",
        "A feature that moves so slowly that a window has too few independent sessions. It has no limits and raises "
        "no alarm.",
    ),
    Term(
        "inside", "Inside one standard deviation",
        "Share of returns that came within one standard deviation of the ticker's returns around the forecast.",
    ),
)  # fmt: skip
"""The special words of the page."""
