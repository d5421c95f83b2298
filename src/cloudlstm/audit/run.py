"""Runs all checks on a table or a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from cloudlstm.audit import (
    copies,
    filling,
    joins,
    keys,
    missing,
    periods,
    scaling,
    skill,
    smoothing,
    splits,
    stamps,
    times,
    vintages,
)
from cloudlstm.audit.checks import Check, Facts
from cloudlstm.audit.findings import LEVELS, Audit, Coverage, Finding
from cloudlstm.audit.leads import PastReturns, later_values
from cloudlstm.audit.outcomes import find_outcomes
from cloudlstm.audit.panel import Panel, make_panel
from cloudlstm.audit.publications import publications, read_publications
from cloudlstm.audit.reading import read_table
from cloudlstm.audit.roles import Roles, Settings, find_roles
from cloudlstm.errors import UsageError

_FORMS = 6
"""Forms in which a column is compared with each later value."""
_EXPLAINED = ("future", "look-ahead")
"""Findings that a column has anyway if it is a copy of the target."""
_OTHER_TESTS = 4
"""Further statistical tests of a column."""


def _features(facts: Facts) -> tuple[str, ...]:
    return facts.panel.features


def _no_target(facts: Facts) -> str:
    return "no target" if facts.panel.target is None else ""


def _no_price(facts: Facts) -> str:
    return "no price" if facts.panel.price is None else ""


CHECKS: tuple[Check, ...] = (
    Check("duplicates", "rows with the same entity and time", keys.duplicates),
    Check("times", "ambiguous times, rows out of order", keys.times_),
    Check("time-order", "a price whose times were shuffled", keys.time_order, lacking=_no_price),
    Check("split", "splits that overlap in time, labels that reach across", splits.splits, lacking=splits.lacking),
    Check("target-copy", "features that are the target", copies.copies, _features, _no_target),
    Check("target-known", "a target that has happened already", copies.target_known,
          lacking=lambda facts: _no_target(facts) or _no_price(facts)),
    Check("future, look-ahead", "features that know the target or later returns", smoothing.leads, _features,
          smoothing.lacking),
    Check("skill", "R² that no honest forecast has", skill.skill, _features,
          lambda facts: _no_target(facts) or ("" if facts.outcomes.kind == "returns" else
                                              "the target does not behave like returns")),
    Check("scaling", "scalers fitted on all rows", scaling.scaling, _features),
    Check("back-fill", "gaps filled with later values", filling.back_fill, filling.columns_of),
    Check("gaps", "missing values that tell the future", missing.gaps, _features),
    Check("period-join", "figures that stand in their own month", periods.period_joins, _features, periods.lacking),
    Check("available-at", "values from after the close, by their own column of times", stamps.stamped,
          lacking=stamps.lacking),
    Check("unpublished", "values joined by their date, before they were published", joins.unpublished, _features,
          joins.lacking),
    Check("revised", "values rewritten after their time", vintages.revised, _features,
          lambda facts: "" if facts.revised is not None else "no other vintage (--revised)"),
    Check("adjusted", "adjusted prices", vintages.adjusted,
          lacking=lambda facts: "" if all(vintages.pair(facts.panel)) else "no raw and adjusted close"),
    Check("same-day", "features that repeat the return of the day", smoothing.same_day, _features,
          lambda facts: "" if facts.outcomes.price is not None else "no price that moves like one"),
    Check("stale", "values that stay for long", filling.stale, filling.columns_of),
    Check("constant", "columns without information", missing.constant, _features),
    Check("survivors", "a universe chosen at its end", keys.survivors),
)  # fmt: skip
"""All checks, in the order of the output."""


def audit_table(
    table: pa.Table,
    settings: Settings | None = None,
    *,
    revised: pa.Table | None = None,
    exogenous: pa.Table | None = None,
    where: str = "the table",
    progress: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Audits a table.

    Args:
        table: One row for each entity and time.
        settings: The roles of its columns.
        revised: An older or newer vintage of the same table.
        exogenous: When each exogenous value was published: series, period, available_at, value; entity and vintage.
        where: The name of the table, for messages.
        progress: Is told the name of each check that starts.

    Raises:
        UsageError: A named column does not exist, or no column is the time.
        UnreadableSourceError: The times cannot be read.
    """
    settings = settings or Settings()
    roles = find_roles(table.column_names, settings, where)
    other = None if revised is None else (revised, find_roles(revised.column_names, settings, "the other vintage"))
    long = None if exogenous is None else publications(exogenous, "the exogenous table")
    return _audit(table, roles, settings, other, long, where, progress)


def audit_file(
    uri: str, settings: Settings, *, revised: str | None = None, exogenous: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Audit:  # fmt: skip
    """Audits a CSV or Parquet file at a storage URI, as `audit_table` does; `revised` and `exogenous` are URIs too."""
    table, roles = read_table(uri, settings)
    other = None if revised is None else read_table(revised, replace(settings, features=None, split=None))
    long = None if exogenous is None else read_publications(exogenous)
    return _audit(table, roles, settings, other, long, uri, progress)


def _audit(
    table: pa.Table, roles: Roles, settings: Settings, other: tuple[pa.Table, Roles] | None, exogenous: pa.Table | None,
    where: str, progress: Callable[[str], None],
) -> Audit:  # fmt: skip
    panel = make_panel(table, roles, settings.features, where)
    outcomes = find_outcomes(panel, settings.horizon)
    later = later_values(panel, outcomes, settings.max_r2)
    facts = Facts(
        panel=panel,
        settings=settings,
        outcomes=outcomes,
        later=later,
        past=PastReturns(panel, outcomes),
        tests=max(len(panel.features), 1) * (_FORMS * max(len(later), 1) * 2 + _OTHER_TESTS),
        revised=None if other is None else make_panel(other[0], other[1], None, "the other vintage"),
        exogenous=exogenous,
        train_end=_seconds(settings.train_end),
    )
    findings: list[Finding] = []
    coverage = []
    for check in CHECKS:
        progress(check.name)
        reason = check.lacking(facts)
        if not reason:
            with np.errstate(all="ignore"):
                findings += check.find(facts)
        coverage.append(_covered(check, facts, panel, reason))
    copied = {found.column for found in findings if found.check == "target-copy"}
    findings = [each for each in findings if not (each.column in copied and each.check in _EXPLAINED)]
    findings = [each for each in findings if not _accepted(each, settings.accept)]
    findings.sort(key=lambda found: LEVELS.index(found.level))
    return Audit(
        rows=panel.rows,
        entities=len(panel.entities),
        first=times.iso(int(panel.seconds[0])),
        last=times.iso(int(panel.seconds[-1])),
        roles={"entity": roles.entity, "time": roles.time, "target": roles.target, "split": roles.split,
               "price": roles.price},
        features=panel.features,
        target_kind=outcomes.kind,
        horizon=outcomes.horizon,
        horizon_from=outcomes.horizon_from,
        findings=tuple(findings),
        coverage=tuple(coverage),
    )  # fmt: skip


def _covered(check: Check, facts: Facts, panel: Panel, reason: str) -> Coverage:
    columns = 1 if check.columns is None else len(check.columns(facts))
    of = 1 if check.columns is None else columns + len(panel.not_numeric)
    if reason:
        return Coverage(check.name, check.looks_for, "not done", 0, of, reason)
    if of > columns:
        names = ", ".join(panel.not_numeric[:5])
        return Coverage(check.name, check.looks_for, "partly", columns, of, f"not numeric: {names}")
    return Coverage(check.name, check.looks_for, "done", columns, of, "")


def _accepted(found: Finding, accept: tuple[str, ...]) -> bool:
    return found.check in accept or f"{found.check}:{found.column}" in accept


def _seconds(date: str | None) -> int | None:
    if date is None:
        return None
    try:
        text = f"{date[:4]}-{date[4:6]}-{date[6:]}" if date.isdigit() and len(date) == 8 else date
        moment = np.datetime64(text, "s")
    except ValueError:
        raise UsageError(f"--train-end is a date, not {date}", hint="--train-end=2020-12-31") from None
    end = int(moment.astype(np.int64))
    return end + 86_399 if len(text) == 10 else end
