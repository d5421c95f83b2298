"""The quality gate: fails a run if cleaning rejected too many bars or a ticker has no bars left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cloudlstm.config import CleanConfig
from cloudlstm.errors import DataError, QualityGateError
from cloudlstm.market.cleaning.clean import Counts
from cloudlstm.market.cleaning.rules import Action, of_action

_GATED = tuple(rule.reason for rule in of_action("reject") if rule.gated)
_SHOWN = 5


def evaluate_gate(
    shards: Iterable[Counts],
    requested: Sequence[str] | None,
    config: CleanConfig,
    causes: Mapping[str, str] | None = None,
    unreadable: str = "",
) -> dict[str, Any]:
    """Checks the data against the limits and returns the report's data quality facts, JSON-ready.

    Args:
        shards: The counts of every shard. A ticker occurs in one shard only, except "" (unreadable tickers).
        requested: The requested tickers; None for all tickers of the source.
        config: The limits.
        causes: By ticker: why the source had no bars for it, where known.
        unreadable: The first value that was not understood, for the message; "" if there is none.

    Raises:
        DataError: if there are no bars at all.
        QualityGateError: if a limit is exceeded; names every such limit, the reasons and the worst tickers.
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
    problems = _problems(facts, by_ticker, config, causes or {}, unreadable)
    if problems:
        raise QualityGateError("; ".join(problems), hint=_hint(facts))
    return facts


def _facts(by_ticker: dict[str, Counter[str]], total: Counter[str], requested: Sequence[str] | None) -> dict[str, Any]:
    with_bars = {ticker for ticker, counts in by_ticker.items() if ticker and counts["kept"]}
    wanted = requested if requested is not None else [ticker for ticker in by_ticker if ticker]
    worst = sorted(by_ticker.items(), key=lambda item: (-_fraction(item[1]), item[0]))
    return {
        "rows": total["rows"],
        "kept": total["kept"],
        "filled": total["filled"],
        "refused": _found("reject", total),
        "divided": _found("start_segment", total),
        "withdrawn": _found("drop_label", total),
        "noted": _found("note", total),
        "refused_fraction": _fraction(total),
        "tickers": len(with_bars),
        "missing_tickers": sorted(set(wanted) - with_bars),
        "worst_tickers": [_evidence(ticker, counts) for ticker, counts in worst[:_SHOWN] if _fraction(counts)],
    }


def _found(action: Action, total: Counter[str]) -> dict[str, int]:
    """Returns the number of bars by reason, for the rules with this action."""
    return {rule.reason: total[rule.reason] for rule in of_action(action) if total[rule.reason]}


def _evidence(ticker: str, counts: Counter[str]) -> dict[str, Any]:
    refused = _found("reject", counts)
    return {"ticker": ticker, "rows": counts["rows"], "refused_fraction": _fraction(counts), "refused": refused}


def _fraction(counts: Counter[str]) -> float:
    return sum(counts[reason] for reason in _GATED) / max(counts["rows"], 1)


def _problems(
    facts: dict[str, Any],
    by_ticker: dict[str, Counter[str]],
    config: CleanConfig,
    causes: Mapping[str, str],
    unreadable: str,
) -> list[str]:
    problems = []
    missing = facts["missing_tickers"]
    if len(missing) > config.max_missing_fraction * (len(missing) + facts["tickers"]):
        names = ", ".join(f"{name} ({causes[name]})" if name in causes else name for name in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        problems.append(f"no bars are left for {names}{more}")
    if facts["refused_fraction"] > config.max_refused_fraction:
        problems.append(
            f"cleaning rejected {facts['refused_fraction']:.2%} of {facts['rows']:,} bars "
            f"(limit {config.max_refused_fraction:.2%}): {_format_reasons(facts['refused'], unreadable)}"
        )
    filled = facts["filled"] / max(facts["kept"] + facts["filled"], 1)
    if filled > config.max_filled_fraction:
        problems.append(
            f"{filled:.2%} of all bars would fill sessions without a bar "
            f"(limit {config.max_filled_fraction:.2%}): {facts['filled']:,} filled, {facts['kept']:,} valid"
        )
    limit = config.max_refused_fraction_ticker
    # Bars with an unreadable ticker are counted under "", which has no limit of its own.
    over = sum(1 for ticker, counts in by_ticker.items() if ticker and _fraction(counts) > limit)
    if over:
        shown = [row for row in facts["worst_tickers"] if row["ticker"] and row["refused_fraction"] > limit]
        evidence = ", ".join(
            f"{row['ticker']} {row['refused_fraction']:.1%} of {row['rows']:,} ({_format_reasons(row['refused'])})"
            for row in shown
        )
        problems.append(f"over the limit of {limit:.1%} of their bars rejected: {over} tickers, worst {evidence}")
    return problems


def _format_reasons(refused: dict[str, int], unreadable: str = "") -> str:
    """Lists reasons and counts, the most frequent first; `unreadable` is an example for unreadable_value."""
    return ", ".join(
        f"{reason} {n:,}" + (f" (the first: {unreadable})" if reason == "unreadable_value" and unreadable else "")
        for reason, n in sorted(refused.items(), key=lambda item: -item[1])
    )


def _hint(facts: dict[str, Any]) -> str:
    refused = facts["refused"]
    if refused and max(refused, key=refused.__getitem__) == "off_calendar":
        return "another market.calendar: most rejected bars are dated outside its sessions"
    if facts["filled"] > sum(refused.values()):
        return "another market.calendar, a higher clean.max_filled_fraction, or clean.max_fill_bars=0"
    return "look into the quarantine, then correct the source, change the universe or raise the limit in [clean]"
