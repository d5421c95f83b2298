"""Writes a configuration as flat `section.key` names and as `section.key=value` override words."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from cloudlstm.config import RunConfig


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens a nested configuration to `section.key` -> value."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


_NOT_REPEATED = {"train.cache_dir"}
"""Settings of one machine, which are left out."""


def command(config: RunConfig) -> str:
    """The `cloudlstm submit` command line with this configuration, quoted for a shell."""
    return " ".join(["cloudlstm submit", *(shlex.quote(word) for word in words(config))])


def words(config: RunConfig) -> list[str]:
    """The override words for all settings that differ from their defaults, in the order of the settings."""
    return [f"{key}={_text(value)}" for key, value in _differing(config, "") if key not in _NOT_REPEATED]


def _differing(section: BaseModel, prefix: str) -> list[tuple[str, Any]]:
    plain = section.model_dump(mode="json")
    found: list[tuple[str, Any]] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            found += _differing(value, f"{prefix}{name}.")
        elif value != field.get_default(call_default_factory=True):
            found.append((prefix + name, plain[name]))
    return found


def _text(value: Any) -> str:
    """Writes a value as in an override word: TOML, or text without quotes if that is unambiguous."""
    if isinstance(value, list) and value and all(isinstance(entry, str) and _is_text(entry) for entry in value):
        return ",".join(value)  # only tickers are lists of text, and they are split at commas when read
    if isinstance(value, str):
        return value if _is_text(value) else toml(value)
    return toml(value)


def toml(value: Any) -> str:
    """Writes a value as TOML; a value of a type that TOML lacks becomes text."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml(str(key))} = {toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, default=str, ensure_ascii=False)


def _is_text(value: str) -> bool:
    """True if a word without quotes is read back as this text, or as a date, which date settings accept."""
    try:
        found = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return True
    return isinstance(found, dt.date)
