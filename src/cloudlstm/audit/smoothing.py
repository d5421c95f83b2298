"""Checks of look-ahead: correlations with what follows, and means centred on their row."""

from __future__ import annotations

import numpy as np

from cloudlstm.audit.checks import Facts, Found
from cloudlstm.audit.findings import Finding, Level
from cloudlstm.audit.leads import SIZE, Lead, standardised_by_past, strongest
from cloudlstm.audit.outcomes import FEWEST_ROWS, Outcomes
from cloudlstm.audit.panel import Panel, Values
from cloudlstm.audit.statistics import FEWEST_DATES, Correlation, Dated, correlation

_WIDEST = 15
_SAME = 1e-6
_MOSTLY = 0.95
_OTHER_LIMIT = 0.5
_NOTE = 0.3
_SHIFTS = (1, 2, 3, 5)
_NEVER_BEFORE = ("volume", "high", "low")
"""Raw columns that nothing has before. An open price may be the close before it in made data."""
_RAW = ("close", "price", "adjclose", "open", "high", "low", "volume")


def leads(facts: Facts) -> Found:
    """Features that know the target of their row ("future"), or what comes after it ("look-ahead")."""
    centred = list(_centred(facts))
    yield from centred
    smoothed = {each.column for each in centred}
    for name in facts.panel.features:
        found = strongest(facts.panel, facts.panel.values[name], facts.later, facts.past, facts.tests)
        for kind, check in (("now", "future"), ("later", "look-ahead")):
            if check == "look-ahead" and name in smoothed:
                continue  # said with its window
            if kind in found and (level := _level(found[kind], facts.outcomes)):
                yield _finding(check, level, name, found[kind])


def _level(lead: Lead, outcomes: Outcomes) -> Level | None:
    if lead.later.name != "target" or outcomes.kind == "returns":
        return "alarm" if lead.margin > 0.0 else None
    return "warning" if lead.margin + lead.later.limit > _OTHER_LIMIT else None


def _finding(check: str, level: Level, name: str, lead: Lead) -> Finding:
    later, found = lead.later, lead.found
    if later.name == "target":
        what = "the target of the row" if later.lead == 0 else f"the target {later.lead} rows later"
    else:
        ahead = f"{later.lead} row{'s' * (later.lead > 1)} ahead"
        what = "the size of returns " if later.name == SIZE else f"the return of {later.name} "
        what += f"over the next {later.rows} rows" if later.rows > 1 else ahead
    limit = (
        f"limit {later.limit:.2f}" if level == "alarm" else "the target does not behave like returns: judge yourself"
    )
    return Finding(
        check, level, name,
        f"{lead.form} has a correlation of {found.value:+.3f} ± {found.error:.3f} with {what}, beyond what went "
        f"before, over {found.dates} dates ({limit})",
        "It explains more than anything that is known at the time can explain."
        if level == "alarm" else "It explains much of what is not known yet.",
        "Look for a shift by a negative number, a centred window, a join on the day of the event, or a value that was "
        "revised later.",
        {"correlation": found.value, "error": found.error, "dates": found.dates, "limit": later.limit,
         "lead": later.lead, "rows": later.rows, "of": later.name, "form": lead.form},
    )  # fmt: skip


def _centred(facts: Facts) -> Found:
    """Features that equal the centred mean of a raw column."""
    panel = facts.panel
    raw = [name for name in panel.values if name == panel.roles.price or _plain(name) in _RAW]
    for source in raw:
        if _plain(source) in _NEVER_BEFORE:
            yield from _shifted(panel, source, [name for name in panel.features if _plain(name) not in _RAW])
        means = _centred_means(panel, panel.values[source])
        for name in panel.features:
            if name == source:
                continue
            for width, mean in means.items():
                if _equal(panel.values[name], mean):
                    yield Finding(
                        "look-ahead", "alarm", name,
                        f"it is the mean of {source} over {width} rows centred on its row: {width // 2} of them later",
                        "A centred mean smooths with values of the future.", f"Use the mean of the last {width} rows.",
                        {"width": width, "of": source},
                    )  # fmt: skip


def _shifted(panel: Panel, source: str, names: list[str]) -> Found:
    """Features that equal a raw column of a later row."""
    for rows in _SHIFTS:
        moved = panel.shifted(panel.values[source], rows)
        for name in names:
            if _equal(panel.values[name], moved):
                yield Finding(
                    "look-ahead", "alarm", name, f"it equals {source} {rows} row{'s' * (rows > 1)} later",
                    "The column was shifted by a negative number.", f"Shift it by {rows} rows the other way.",
                    {"rows": rows, "of": source},
                )  # fmt: skip


def _centred_means(panel: Panel, values: Values) -> dict[int, Values]:
    total = values.copy()
    means = {}
    for half in range(1, min(_WIDEST, int(panel.lengths.max()) // 3) + 1):
        total = total + panel.shifted(values, half) + panel.shifted(values, -half)
        means[2 * half + 1] = total / (2 * half + 1)
    return means


def _equal(x: Values, y: Values) -> bool:
    sample = slice(None, 200_000)
    known = np.isfinite(x[sample]) & np.isfinite(y[sample])
    if known.sum() < FEWEST_ROWS or known.sum() < 0.5 * np.isfinite(x[sample]).sum():
        return False
    a, b = x[sample][known], y[sample][known]
    if np.ptp(b) == 0.0:
        return False
    return bool((np.abs(a - b) <= _SAME * np.abs(b)).mean() >= _MOSTLY)


def _plain(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalpha())


def same_day(facts: Facts) -> Found:
    """Features that go with the return that has just happened much more than with the next one."""
    panel, returns = facts.panel, facts.outcomes.price
    assert returns is not None
    now, following = Dated.of(panel, returns), Dated.of(panel, panel.shifted(returns, 1))
    for name in panel.features:
        values = panel.values[name]
        forms = [standardised_by_past(panel, panel.change(values), centre=False), standardised_by_past(panel, values)]
        dated = [Dated.of(panel, form) for form in forms]
        here, after = (_stronger([correlation(form, each, 4) for form in dated]) for each in (now, following))
        if here.exceeds(_NOTE, facts.tests):
            yield Finding(
                "same-day", "note", name,
                f"correlation {here.value:+.2f} with the return up to its row, {after.value:+.2f} with the next one",
                "It mostly repeats what the price has done. If it is news of the same day, its time of publication "
                "decides whether it came before the close.",
                "Join news by its time, after the close to the next row.",
                {"same": here.value, "next": after.value},
            )  # fmt: skip


def _stronger(found: list[Correlation]) -> Correlation:
    return max(found, key=lambda each: -1.0 if np.isnan(each.value) else abs(each.value))


def lacking(facts: Facts) -> str:
    """Why nothing that comes later can be compared; empty if it can."""
    if not facts.later:
        return "no target and no price that moves like one"
    if len(facts.panel.seconds) < FEWEST_DATES:
        return f"fewer than {FEWEST_DATES} times"
    return ""
