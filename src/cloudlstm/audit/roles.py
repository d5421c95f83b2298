"""Which column of a table has which role: named by the settings, or found by its name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cloudlstm.errors import UsageError

_NAMES = {
    "entity": ("ticker", "symbol", "entity", "entityid", "asset", "permno", "gvkey", "sid", "uniqueid", "stock",
               "secid", "item", "id"),
    "time": ("date", "time", "timestamp", "datetime", "ds", "day", "tradedate", "asof", "period", "month"),
    "target": ("target", "label", "y"),
    "split": ("split", "fold", "set", "subset", "partition"),
    "price": ("close", "price", "adjclose", "closeprice", "adjustedclose", "last"),
}  # fmt: skip
"""Role -> names of columns, best first; case and punctuation are ignored."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an audit is told. None: found in the table, or not used.

    Attributes:
        entity: Column of the entity, such as a ticker; a table of one series has none.
        time: Column of the date or time.
        target: Column of the value to forecast, in the row of the last inputs.
        features: The columns to check; by default all numeric columns without another role.
        split: Column with the name of the split of each row.
        train_end: Last date of the training rows, ISO 8601, where no column says it.
        price: Column of the price that is known at the time of the row.
        horizon: Rows ahead at which the target is known.
        max_r2: The largest share of the variance of one period's returns that anything known before may explain.
        accept: Findings to leave out: "check" or "check:column".
        calendar: The exchange whose closes end the dates, such as XNYS; without it a date ends with the day in UTC.
    """

    entity: str | None = None
    time: str | None = None
    target: str | None = None
    features: tuple[str, ...] | None = None
    split: str | None = None
    train_end: str | None = None
    price: str | None = None
    horizon: int | None = None
    max_r2: float = 0.01
    accept: tuple[str, ...] = ()
    calendar: str | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """The column of each role; None where the table has none."""

    entity: str | None
    time: str
    target: str | None
    split: str | None
    price: str | None


def find_roles(names: Sequence[str], settings: Settings, where: str) -> Roles:
    """Returns the roles of the columns.

    Args:
        names: The columns of the table.
        settings: What the user said.
        where: The name of the table, for messages.

    Raises:
        UsageError: A named column does not exist, one column has two roles, or no column is the time.
    """
    taken: dict[str, str] = {}
    for role in _NAMES:
        name = getattr(settings, role)
        if name is not None:
            require(names, name, f"--{role}", where)
            if name in taken.values():
                raise UsageError(f"the column {name} is named for two roles", hint="name another column")
            taken[role] = name
    for feature in settings.features or ():
        require(names, feature, "--features", where)
        if feature in (taken.get("entity"), taken.get("time"), taken.get("target")):
            raise UsageError(f"the column {feature} is a feature and has another role", hint="leave it out of one")
    for role, known in _NAMES.items():
        if role not in taken:
            free = {_plain(name): name for name in reversed(names) if name not in taken.values()}
            named = set(settings.features or ()) if role != "price" else set()
            found = next((free[each] for each in known if each in free and free[each] not in named), None)
            if found is not None:
                taken[role] = found
    if "time" not in taken:
        raise UsageError(
            f"{where} has no column that is known as a time; its columns are {_listed(names)}", hint="--time=COLUMN"
        )
    return Roles(*(taken.get(role) for role in ("entity", "time", "target", "split", "price")))  # type: ignore[arg-type]


def require(names: Sequence[str], name: str, flag: str, where: str) -> None:
    """Raises a UsageError if a table has no column of this name."""
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        raise UsageError(
            f"{where} has no column {name} ({flag}); its columns are {_listed(names)}",
            hint=f"{flag}={near[0]}" if near else "",
        )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} others" if len(names) > most else ""
    return ", ".join(names[:most]) + more
