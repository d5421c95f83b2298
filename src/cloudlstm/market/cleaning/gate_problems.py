"""The limits of the quality gate: what exceeds them, why, and the words to type for each."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cloudlstm.config import CleanConfig
from cloudlstm.market.calendar_fit import Problem
from cloudlstm.market.cleaning.rules import of_action

GATED = tuple(rule.reason for rule in of_action("reject") if rule.gated)
"""The reasons that the gate counts."""

SHOWN = 5
"""Tickers that a message names with their reasons."""

_SHOWN_NAMES = 20
_MOST_TO_RAISE = 0.2
_MOST_TO_RAISE_OF_TICKER = 0.5
"""Shares of all bars, and of the bars of one ticker. Hints do not propose limits above these shares, because the source
is then at fault."""
_OF_DATES = ("off_calendar", "duplicate_conflict")
"""Reasons that a wrong calendar or bars that are not daily give to most tickers."""
_OFTEN = 0.02
_CORRECT = "correct the source; the rejected rows are in the quarantine of the step clean"
_HINTS = {
    "unreadable_key": "market.date_format=… and market.columns.ticker=… as the source writes them",
    "unreadable_value": "correct these values in the source",
    "duplicate_conflict": "one row for each ticker and date; market.columns.ticker=… if the files have such a column",
    "off_calendar": "market.calendar=… of the exchange",
    "missing_volume": "market.columns.volume=… if the source has the volume under another name",
}


_WHY = {"duplicate_conflict": ": several rows for one ticker and date; tickers that differ only in case are one ticker"}
"""Explains a reason, where it is the most frequent one."""


def no_problem(_: str) -> Problem | None:
    """Knows nothing about the dates of a ticker."""
    return None


def nowhere(_: str) -> str:
    """Saves no names."""
    return ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the gate can tell beyond the counts.

    Attributes:
        causes: By ticker: why the source had no bars for it.
        examples: By reason: the first row that was rejected for it, as text.
        dates: Returns what is wrong with the dates of a ticker's bars, if anything.
        save: Stores the names of many tickers, joined by commas, in a file of their own, and returns its path or URI.
    """

    causes: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    dates: Callable[[str], Problem | None] = no_problem
    save: Callable[[str], str] = nowhere


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts of a data set.

    Attributes:
        by_ticker: The counts of each ticker; "" is an unreadable ticker.
        total: Their sum.
        missing: Wanted tickers without a bar.
    """

    by_ticker: Mapping[str, Counter[str]]
    total: Counter[str]
    missing: Sequence[str]

    def without(self, names: Sequence[str]) -> Counter[str]:
        """Returns the sum over all other tickers."""
        rest = Counter(self.total)
        for name in names:
            rest.subtract(self.by_ticker[name])
        return rest

    def over(self, share: Callable[[Counter[str]], float], limit: float) -> list[str]:
        """Returns the tickers whose share exceeds a limit, the largest first."""
        found = [name for name, counts in self.by_ticker.items() if name and share(counts) > limit]
        return sorted(found, key=lambda name: (-share(self.by_ticker[name]), name))


def refused_fraction(counts: Counter[str]) -> float:
    """Returns the share of the rows that were rejected for a reason that the gate counts."""
    return sum(counts[reason] for reason in GATED) / max(counts["rows"], 1)


def filled_fraction(counts: Counter[str]) -> float:
    """Returns the share of the bars that would be filled."""
    return counts["filled"] / max(counts["kept"] + counts["filled"], 1)


def find_problems(counted: Counted, config: CleanConfig, evidence: Evidence) -> list[Problem]:
    """Returns every limit that is exceeded, with words to type.

    If most tickers have dates that do not fit the calendar, this one cause explains the limits on bars, and its hint
    replaces theirs. Gaps that rejected rows left are no problem of their own.
    """
    missing, refused = _missing(counted, config, evidence), _refused(counted, config, evidence)
    filled, tickers = _filled(counted, config, evidence), _tickers(counted, config, evidence)
    found = [problem for problem in (refused, filled, tickers) if problem is not None]
    if found and (cause := _cause_of_dates(counted, evidence)) is not None:
        messages = [problem.message for problem in found if problem is not tickers]
        found = [Problem("; ".join([cause.message, *messages]), cause.hint)]
    elif refused is not None:
        found[0] = Problem(refused.message + _why(counted.total), refused.hint)
        n_refused = sum(counted.total[reason] for reason in GATED)
        if filled is not None and 2 * n_refused > counted.total["filled"]:
            found.remove(filled)
        if tickers is not None and sum(1 for name in counted.by_ticker if name) == 1:
            found.remove(tickers)
    return [*([missing] if missing is not None else []), *found]


def _cause_of_dates(counted: Counted, evidence: Evidence) -> Problem | None:
    """Returns what is wrong with the dates of most tickers; None if it is unknown or only some are affected."""

    def misdated(counts: Counter[str]) -> float:
        return max(sum(counts[reason] for reason in _OF_DATES) / max(counts["rows"], 1), filled_fraction(counts))

    affected = counted.over(misdated, _OFTEN)
    if 2 * len(affected) < sum(1 for name in counted.by_ticker if name):
        return None
    largest = max(affected, key=lambda name: counted.by_ticker[name]["rows"], default="")
    problem = evidence.dates(largest) if largest else None
    return Problem(f"{largest}: {problem.message}", problem.hint) if problem else None


def _missing(counted: Counted, config: CleanConfig, evidence: Evidence) -> Problem | None:
    missing = counted.missing
    left = sum(1 for name, counts in counted.by_ticker.items() if name and counts["kept"])
    if len(missing) <= config.max_missing_fraction * (len(missing) + left):
        return None
    shown = []
    for name in missing[:SHOWN]:
        reasons = _reasons(counted.by_ticker.get(name, Counter()))
        cause = evidence.causes.get(name) or reasons
        shown.append(f"{name} ({cause})" if cause else name)
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    words = [_exclude(missing, evidence)] if left else []
    fraction = len(missing) / (len(missing) + left)
    if fraction <= _MOST_TO_RAISE:
        words.append(_raised("max_missing_fraction", fraction))
    return Problem(f"no bars are left for {', '.join(shown)}{more}", ", or ".join(words))


def _refused(counted: Counted, config: CleanConfig, evidence: Evidence) -> Problem | None:
    fraction, limit = refused_fraction(counted.total), config.max_refused_fraction
    if fraction <= limit:
        return None
    reasons = _reasons(counted.total, evidence.examples)
    message = f"cleaning rejected {fraction:.2%} of {counted.total['rows']:,} bars (limit {limit:.2%}): {reasons}"
    words = _without_the_worst(counted, refused_fraction, limit, evidence)
    if not words:
        words = [_HINTS.get(_most_frequent(counted.total), _CORRECT)]
    if fraction <= _MOST_TO_RAISE:
        words.append(_raised("max_refused_fraction", fraction))
    return Problem(message, ", or ".join(words))


def _filled(counted: Counted, config: CleanConfig, evidence: Evidence) -> Problem | None:
    fraction, limit = filled_fraction(counted.total), config.max_filled_fraction
    if fraction <= limit:
        return None
    message = (
        f"{fraction:.2%} of all bars would fill sessions without a bar "
        f"(limit {limit:.2%}): {counted.total['filled']:,} filled, {counted.total['kept']:,} valid"
    )
    if empty := counted.total["empty_row"]:
        message += f", {empty:,} rows without a value (empty_row)"
    words = _without_the_worst(counted, filled_fraction, limit, evidence)
    if fraction <= _MOST_TO_RAISE:
        words.append(_raised("max_filled_fraction", fraction))
    return Problem(message, ", or ".join([*words, "clean.max_fill_bars=0"]))


def _tickers(counted: Counted, config: CleanConfig, evidence: Evidence) -> Problem | None:
    # Bars with an unreadable ticker are counted under "", which has no limit of its own.
    limit = config.max_refused_fraction_ticker
    missing = set(counted.missing)
    over = [name for name in counted.over(refused_fraction, limit) if name not in missing]
    if not over:
        return None
    shown = []
    for name in over[:SHOWN]:
        counts = counted.by_ticker[name]
        shown.append(f"{name} {refused_fraction(counts):.1%} of {counts['rows']:,} ({_reasons(counts)})")
    n_tickers = "1 ticker" if len(over) == 1 else f"{len(over)} tickers"
    message = f"over the limit of {limit:.1%} of their bars rejected: {n_tickers}, worst {', '.join(shown)}"
    if _most_frequent(counted.by_ticker[over[0]]) in _OF_DATES and (cause := evidence.dates(over[0])):
        message += f"; {over[0]}: {cause.message}"
    else:
        message += _why(counted.by_ticker[over[0]])
    words = [_exclude(over, evidence)] if len(over) < sum(1 for name in counted.by_ticker if name) else []
    worst = refused_fraction(counted.by_ticker[over[0]])
    if worst <= _MOST_TO_RAISE_OF_TICKER:
        words.append(_raised("max_refused_fraction_ticker", worst))
    return Problem(message, ", or ".join(words) or _CORRECT)


def _most_frequent(counts: Counter[str]) -> str:
    return max(GATED, key=lambda reason: counts[reason])


def _why(counts: Counter[str]) -> str:
    """Returns an explanation of the most frequent reason, where it needs one."""
    return _WHY.get(_most_frequent(counts), "")


def _without_the_worst(
    counted: Counted, share: Callable[[Counter[str]], float], limit: float, evidence: Evidence
) -> list[str]:
    """Returns the words that take the worst tickers out, if that is a minority and the others keep the limit."""
    worst = counted.over(share, max(limit, _OFTEN))
    few = 0 < 2 * len(worst) < sum(1 for name in counted.by_ticker if name)
    return [_exclude(worst, evidence)] if few and share(counted.without(worst)) <= limit else []


def _reasons(counts: Counter[str], examples: Mapping[str, str] | None = None) -> str:
    """Returns reasons and counts, the most frequent first, with an example of that one and of unreadable values."""
    found = [rule.reason for rule in of_action("reject") if counts[rule.reason]]
    found.sort(key=lambda reason: -counts[reason])
    parts = []
    for reason in found:
        example = (examples or {}).get(reason, "") if reason in (found[0], "unreadable_value") else ""
        parts.append(f"{reason} {counts[reason]:,}" + (f" (the first: {example})" if example else ""))
    return ", ".join(parts)


def _exclude(names: Sequence[str], evidence: Evidence) -> str:
    """Returns words that take tickers out of the universe; more than 20 names are in a file."""
    joined = ",".join(sorted(names))
    saved = evidence.save(joined) if len(names) > _SHOWN_NAMES else ""
    if saved and "://" in saved:
        return f"universe.exclude=… with the names in {saved}"
    return f'universe.exclude="$(cat {shlex.quote(saved)})"' if saved else f"universe.exclude={shlex.quote(joined)}"


def _raised(setting: str, fraction: float) -> str:
    """Returns the word that raises a limit just enough."""
    return f"clean.{setting}={math.ceil(round(fraction * 100, 6)) / 100:g}"
