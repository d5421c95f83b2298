"""The quality gate: fails a run if cleaning rejected too many bars or a ticker has no bars left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from cloudlstm.config import CleanConfig
from cloudlstm.errors import DataError, QualityGateError
from cloudlstm.market.calendar_fit import Problem
from cloudlstm.market.cleaning.clean import Counts
from cloudlstm.market.cleaning.gate_problems import SHOWN, Counted, Evidence, find_problems, refused_fraction
from cloudlstm.market.cleaning.rules import Action, of_action


def evaluate_gate(
    shards: Iterable[Counts],
    requested: Sequence[str] | None,
    config: CleanConfig,
    evidence: Evidence | None = None,
) -> dict[str, Any]:
    """Checks the data against the limits and returns the report's data quality facts, JSON-ready.

    Args:
        shards: The counts of every shard. A ticker occurs in one shard only, except "" (unreadable tickers).
        requested: The requested tickers; None for all tickers of the source.
        config: The limits.
        evidence: What the message can tell beyond the counts.

    Raises:
        DataError: if there are no bars at all.
        QualityGateError: if a limit is exceeded; names every such limit, the reasons, the worst tickers, and what to
            type for each.
    """
    by_ticker: dict[str, Counter[str]] = {}
    for shard in shards:
        for ticker, counts in shard.items():
            by_ticker.setdefault(ticker, Counter()).update(counts)
    total: Counter[str] = Counter()
    for counts_of_ticker in by_ticker.values():
        total.update(counts_of_ticker)
    if not total["rows"]:
        raise DataError("the source has no bars for these tickers and dates", hint="check market.start and market.end")
    facts = _facts(by_ticker, total, requested)
    problems = find_problems(Counted(by_ticker, total, facts["missing_tickers"]), config, evidence or Evidence())
    if problems:
        raise _error(problems)
    return facts


def _error(problems: Sequence[Problem]) -> QualityGateError:
    """Returns one error; each problem but the last is followed by its own words to type, the last by the hint."""
    *before, last = problems
    parts = [f"{problem.message} (try: {problem.hint})" if problem.hint else problem.message for problem in before]
    return QualityGateError("; ".join([*parts, last.message]), hint=last.hint)


def _facts(by_ticker: dict[str, Counter[str]], total: Counter[str], requested: Sequence[str] | None) -> dict[str, Any]:
    with_bars = {ticker for ticker, counts in by_ticker.items() if ticker and counts["kept"]}
    wanted = requested if requested is not None else [ticker for ticker in by_ticker if ticker]
    worst = sorted(by_ticker.items(), key=lambda item: (-refused_fraction(item[1]), item[0]))
    return {
        "rows": total["rows"],
        "kept": total["kept"],
        "filled": total["filled"],
        "refused": _found("reject", total),
        "divided": _found("start_segment", total),
        "withdrawn": _found("drop_label", total),
        "noted": _found("note", total),
        "refused_fraction": refused_fraction(total),
        "tickers": len(with_bars),
        "missing_tickers": sorted(set(wanted) - with_bars),
        "worst_tickers": [_shares_of(ticker, counts) for ticker, counts in worst[:SHOWN] if refused_fraction(counts)],
    }


def _found(action: Action, total: Counter[str]) -> dict[str, int]:
    """Returns the number of bars by reason, for the rules with this action."""
    return {rule.reason: total[rule.reason] for rule in of_action(action) if total[rule.reason]}


def _shares_of(ticker: str, counts: Counter[str]) -> dict[str, Any]:
    refused = _found("reject", counts)
    return {"ticker": ticker, "rows": counts["rows"], "refused_fraction": refused_fraction(counts), "refused": refused}
