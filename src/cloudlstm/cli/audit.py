"""The command `audit`: looks for leakage in a table of features."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from cloudlstm.cli import terminal
from cloudlstm.cli.flags import parse_number, parse_switch, parse_text
from cloudlstm.cli.submit import Deferred
from cloudlstm.errors import UsageError

if TYPE_CHECKING:
    from cloudlstm.audit.findings import Audit, Finding
    from cloudlstm.audit.roles import Settings

_WIDTH = 80


def audit(
    file: str,
    /,
    *,
    entity: str | None = None,
    time: str | None = None,
    target: str | None = None,
    features: str | None = None,
    split: str | None = None,
    train_end: str | None = None,
    price: str | None = None,
    horizon: int | None = None,
    revised: str | None = None,
    exogenous: str | None = None,
    calendar: str | None = None,
    max_r2: float | None = None,
    accept: str | None = None,
    json: bool = False,
) -> Deferred:
    """Looks for leakage in a table of features: columns that contain what was not known at the time of their row.

    The table is CSV or Parquet, packed by gzip or not, at any storage URI, with one row for each entity and time. Exit
    status: 0 without an alarm, 1 with an alarm or after a failure, 2 usage error.

    Args:
        file: The table, a path or a storage URI.
        entity: The column of the entity; by default ticker, symbol, entity, id and the like.
        time: The column of the date or time; by default date, time, timestamp and the like.
        target: The column of the value to forecast; by default target, label or y.
        features: The columns to check; by default all numeric ones.
        split: The column with the split of each row; by default split, fold or set.
        train_end: The last date of the training rows, if no column says it.
        price: The column of the price that is known at the row; by default close or price.
        horizon: Rows ahead at which the target is known; by default it is found.
        revised: An older or newer vintage of the same table.
        exogenous: A table of what was published when: series, period, available_at, value.
        calendar: The exchange whose closes count, such as XNYS; by default a date ends with the day in UTC.
        max_r2: The largest share of the variance of one period's returns that a forecast may explain; by default 0.01.
        accept: Findings that you have judged and accept, such as period-join:cpi.
        json: Print a JSON document.
    """
    place, as_json = parse_text("file", file), parse_switch("json", json)
    other, published = parse_text("revised", revised), parse_text("exogenous", exogenous)
    exchange = parse_text("calendar", calendar)
    number = parse_number("horizon", horizon)
    share = _share(max_r2)
    names = {"entity": entity, "time": time, "target": target, "split": split, "price": price, "train-end": train_end}
    texts = {flag.replace("-", "_"): parse_text(flag, value) for flag, value in names.items()}
    columns, accepted = _list("features", features), _list("accept", accept)

    def work() -> int:
        from cloudlstm import storage
        from cloudlstm.audit import Settings, audit_file

        settings = Settings(**texts, features=columns or None, horizon=number, max_r2=share, accept=accepted or (),
                            calendar=exchange)  # fmt: skip
        uri = storage.absolute(str(place))
        vintage, long = (None if each is None else storage.absolute(each) for each in (other, published))
        found = audit_file(uri, settings, revised=vintage, exogenous=long)
        if as_json:
            _print_json(uri, found)
        else:
            show(str(place), found, settings)
        return 1 if found.of_level("alarm") else 0

    return Deferred(work)


def _list(flag: str, value: object) -> tuple[str, ...] | None:
    """The words of a flag: Fire passes `a,b` as a tuple."""
    if value is None:
        return None
    words = value if isinstance(value, (tuple, list)) else str(parse_text(flag, value)).split(",")
    found = tuple(str(word).strip() for word in words if str(word).strip())
    if not found:
        raise UsageError(f"--{flag} needs a value", hint=f"write --{flag}=…")
    return found


def _share(value: object) -> float:
    if value is None:
        return 0.01
    try:
        share = float(str(value))
    except ValueError:
        share = 0.0
    if not 0.0 < share < 1.0:
        raise UsageError(f"--max-r2 is a share between 0 and 1, not {value}", hint="--max-r2=0.01")
    return share


def show(name: str, found: Audit, settings: Settings) -> None:
    """Prints an audit for people: what was read, the findings, and what could not be checked."""
    from cloudlstm.audit.findings import LEVELS
    from cloudlstm.cli.tables import Column, console, print_table

    out = console()
    width = min(out.width, _WIDTH)
    roles = ", ".join(f"{role} {column}" for role, column in found.roles.items() if column) or "none"
    series = f"{found.entities} entities" if found.entities > 1 else "1 series"
    _say(f"{name}: {found.rows} rows, {series}, {found.first} to {found.last}", "", width)
    _say(f"columns: {roles}; {len(found.features)} features", "", width)
    if found.target_kind != "none":
        _say(f"target: {_kind(found, settings)}; horizon {found.horizon} ({found.horizon_from})", "", width)
    if found.findings:
        rows = [(each.level, each.check, each.column or "-") for each in found.findings]
        print_table(
            out, [Column("level", 3, text=True), Column("check", 3, text=True), Column("column", 2, text=True)], rows
        )
    for each in found.findings:
        _show_finding(each, width)
    counts = [(len(found.of_level(level)), level) for level in LEVELS]
    _say(", ".join(f"{n} {level}{'s' * (n != 1)}" for n, level in counts), "", width)
    checked = sum(each.columns for each in found.coverage), sum(each.of for each in found.coverage)
    _say(f"could check {checked[0]} of {checked[1]} pairs of check and column ({found.share_checked:.0%}):", "", width)
    for check in found.coverage:
        if check.state != "done":
            _say(f"{check.state}: {check.check} ({check.looks_for}): {check.reason}", "  ", width)
    _say(
        "It cannot see leakage that is not linear, nor times of publication that no table has; "
        "cloudlstm.audit.perturbation tests the code of features.",
        "",
        width,
    )


def _kind(found: Audit, settings: Settings) -> str:
    if found.target_kind == "returns":
        return f"behaves like returns, so R² above {min(settings.max_r2 * found.horizon, 0.25):.1%} is suspicious"
    return "does not behave like returns, so limits of R² do not apply"


def _show_finding(found: Finding, width: int) -> None:
    title = f"{found.level.upper() if found.level == 'alarm' else found.level}: {found.check}"
    _say(f"{title}{f', column {found.column}' if found.column else ''}: {found.evidence}.", "", width)
    if found.level != "note":
        _say(f"means: {found.meaning}", "  ", width)
        _say(f"do: {found.action}", "  ", width)


def _say(text: str, indent: str, width: int) -> None:
    lines = textwrap.wrap(
        " ".join(text.split()), width, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )
    terminal.write("\n".join(lines) + "\n")


def _print_json(uri: str, found: Audit) -> None:
    from cloudlstm.cli.json_output import AuditCheck, AuditFinding, AuditReport, json_values, print_document

    print_document(
        AuditReport(
            file=uri,
            rows=found.rows,
            entities=found.entities,
            first=found.first,
            last=found.last,
            roles=dict(found.roles),
            features=found.features,
            target_kind=found.target_kind,
            horizon=found.horizon,
            horizon_from=found.horizon_from,
            alarms=len(found.of_level("alarm")),
            findings=tuple(
                AuditFinding(check=each.check, level=each.level, column=each.column, evidence=each.evidence,
                             meaning=each.meaning, action=each.action, numbers=json_values(each.numbers))
                for each in found.findings
            ),
            checks=tuple(
                AuditCheck(name=each.check, looks_for=each.looks_for, state=each.state, columns=each.columns,
                           of=each.of, reason=each.reason)
                for each in found.coverage
            ),
            share_checked=found.share_checked,
        )
    )  # fmt: skip
