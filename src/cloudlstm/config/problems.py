"""Describes what pydantic found wrong with settings in sentences that name the setting and what it accepts."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from cloudlstm.config import fields
from cloudlstm.config.models import NAME_PATTERN
from cloudlstm.text.printable import shortened

_MOST_SHOWN = 120
_SHORTEST = 3
"""Fewest letters of a key's beginning that is taken for the key."""

PATTERNS = {NAME_PATTERN: "lower-case letters, digits and hyphens, beginning with a letter, at most 41 characters"}
"""Pattern of a text -> what it allows."""

_KINDS = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number with fewer digits",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "date_parsing": "must be a date such as 2024-12-31",
    "date_type": "must be a date such as 2024-12-31",
    "date_from_datetime_parsing": "must be a date such as 2024-12-31",
    "date_from_datetime_inexact": "must be a date such as 2024-12-31, without a time",
    "tuple_type": "must be a list such as [1, 2]",
    "list_type": "must be a list such as [1, 2]",
    "dict_type": "must be a table such as { key = 'value' }",
    "model_type": "is a section of settings: write section.key=value",
    "model_attributes_type": "is a section of settings: write section.key=value",
}
"""Type of pydantic's error -> what the setting must be."""

_BOUNDS = {
    "greater_than_equal": ("must be at least", "ge"),
    "greater_than": ("must be greater than", "gt"),
    "less_than_equal": ("must be at most", "le"),
    "less_than": ("must be less than", "lt"),
    "string_too_short": ("must be text, and its least length is", "min_length"),
    "string_too_long": ("must be text, and its greatest length is", "max_length"),
    "too_short": ("must be a list, and its least length is", "min_length"),
    "too_long": ("must be a list, and its greatest length is", "max_length"),
}
"""Type of pydantic's error -> words before the bound, and the name of the bound."""


def sentence(detail: ErrorDetails) -> str:
    """Returns one sentence about one problem, as pydantic reports it."""
    kind, path = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return _unknown(path)
    where = _where(path)
    if kind == "missing":
        return f"{where} is missing"
    given = detail["input"]
    shown = "" if isinstance(given, Mapping | BaseModel) else shortened(repr(given), _MOST_SHOWN)
    if kind == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
        got = f" (got {shown})" if shown and shown not in message else ""
        return f"{f'{where}: ' if where else ''}{message}{got}"
    must = _must(kind, detail.get("ctx", {})) or f"is not accepted: {detail['msg']}"
    return f"{where} {must}, not {shown or 'a section of settings'}"


def _must(kind: str, context: Mapping[str, Any]) -> str:
    """Returns what the value must be, such as "must be at least 1"."""
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{words} {_number(context[bound])}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return f"may have {PATTERNS[pattern]}" if pattern in PATTERNS else f"must match {pattern}"
    return ""


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _where(path: Sequence[int | str]) -> str:
    """Returns the name of a setting; entries of a list are counted from 1: `market.renames[1].old`."""
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _unknown(path: Sequence[int | str]) -> str:
    """Returns the sentence about a setting that does not exist, with the one that may be meant."""
    where, leaf = _where(path), str(path[-1])
    known = fields.keys(path[:-1])
    near = difflib.get_close_matches(leaf, known, n=1, cutoff=fields.NEAR)
    near = near or [key for key in known if len(leaf) >= _SHORTEST and key.startswith(leaf)]
    proposed = [_where([*path[:-1], key]) for key in near] or fields.meant(where)
    if proposed:
        return f"unknown key {where!r}, did you mean {' or '.join(map(repr, proposed))}?"
    return f"unknown key {where!r}, known here: {', '.join(known)}"
