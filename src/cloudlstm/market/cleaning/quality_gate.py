"""The quality gate: fails a run, with evidence, when cleaning refused too much or a ticker has nothing left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cloudlstm.config import CleanConfig
from cloudlstm.errors import DataError, QualityGateError
from cloudlstm.market.cleaning.clean import Counts
from cloudlstm.market.cleaning.rules import Action, of_action

_GATED = tuple(rule.reason for rule in of_action("refuse") if rule.gated)
_SHOWN = 5


def judge(
    shards: Iterable[Counts],
    asked: Sequence[str] | None,
    config: CleanConfig,
    causes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the report says of the data, JSON-ready, if the data is good enough.

    Args:
        shards: The counts of every shard; no ticker is in two (an unreadable one, "", may be).
        asked: The universe as asked for; None for all that the source has.
        config: What is still good enough.
        causes: Why a ticker had no bars to begin with, where that is known.

    Raises:
        DataError: when there is no bar at all.
        QualityGateError: naming every limit that was passed, the reasons and the worst tickers.
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
    facts = _facts(by_ticker, total, asked)
    problems = _problems(facts, by_ticker, config, causes or {})
    if problems:
        raise QualityGateError("; ".join(problems), hint=_hint(facts))
    return facts


def _facts(by_ticker: dict[str, Counter[str]], total: Counter[str], asked: Sequence[str] | None) -> dict[str, Any]:
    there = {ticker for ticker, counts in by_ticker.items() if ticker and counts["kept"]}
    wanted = asked if asked is not None else [ticker for ticker in by_ticker if ticker]
    worst = sorted(by_ticker.items(), key=lambda item: (-_fraction(item[1]), item[0]))
    return {
        "rows": total["rows"],
        "kept": total["kept"],
        "filled": total["filled"],
        "refused": _found("refuse", total),
        "divided": _found("divide", total),
        "withdrawn": _found("withdraw", total),
        "noted": _found("note", total),
        "refused_fraction": _fraction(total),
        "tickers": len(there),
        "missing_tickers": sorted(set(wanted) - there),
        "worst_tickers": [_evidence(ticker, counts) for ticker, counts in worst[:_SHOWN] if _fraction(counts)],
    }


def _found(action: Action, total: Counter[str]) -> dict[str, int]:
    """Bars by reason that the rules of this action are about."""
    return {rule.reason: total[rule.reason] for rule in of_action(action) if total[rule.reason]}


def _evidence(ticker: str, counts: Counter[str]) -> dict[str, Any]:
    refused = _found("refuse", counts)
    return {"ticker": ticker, "rows": counts["rows"], "refused_fraction": _fraction(counts), "refused": refused}


def _fraction(counts: Counter[str]) -> float:
    return sum(counts[reason] for reason in _GATED) / max(counts["rows"], 1)


def _problems(
    facts: dict[str, Any], by_ticker: dict[str, Counter[str]], config: CleanConfig, causes: Mapping[str, str]
) -> list[str]:
    problems = []
    missing = facts["missing_tickers"]
    if len(missing) > config.max_missing_fraction * (len(missing) + facts["tickers"]):
        names = ", ".join(f"{name} ({causes[name]})" if name in causes else name for name in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        problems.append(f"no bars are left for {names}{more}")
    if facts["refused_fraction"] > config.max_refused_fraction:
        problems.append(
            f"cleaning refused {facts['refused_fraction']:.2%} of {facts['rows']:,} bars "
            f"(limit {config.max_refused_fraction:.2%}): {_words(facts['refused'])}"
        )
    filled = facts["filled"] / max(facts["kept"] + facts["filled"], 1)
    if filled > config.max_filled_fraction:
        problems.append(
            f"{filled:.2%} of the bars would be made up for sessions that have none "
            f"(limit {config.max_filled_fraction:.2%}): {facts['filled']:,} beside {facts['kept']:,} sound ones"
        )
    limit = config.max_refused_fraction_ticker
    # Bars without a readable ticker belong to no ticker that could be over its limit.
    over = sum(1 for ticker, counts in by_ticker.items() if ticker and _fraction(counts) > limit)
    if over:
        shown = [worst for worst in facts["worst_tickers"] if worst["ticker"] and worst["refused_fraction"] > limit]
        evidence = ", ".join(
            f"{worst['ticker']} {worst['refused_fraction']:.1%} of {worst['rows']:,} ({_words(worst['refused'])})"
            for worst in shown
        )
        problems.append(f"over the limit of {limit:.1%} of their bars refused: {over} tickers, worst {evidence}")
    return problems


def _words(refused: dict[str, int]) -> str:
    return ", ".join(f"{reason} {n:,}" for reason, n in sorted(refused.items(), key=lambda item: -item[1]))


def _hint(facts: dict[str, Any]) -> str:
    refused = facts["refused"]
    if refused and max(refused, key=refused.__getitem__) == "off_calendar":
        return "another market.calendar: most of what was refused is dated outside its sessions"
    if facts["filled"] > sum(refused.values()):
        return "another market.calendar, a higher clean.max_filled_fraction, or clean.max_fill_bars=0"
    return "look into the quarantine, then mend the source, change the universe or raise the limit in [clean]"
