"""Reads and writes the `section.key=value` words that override settings, and flat `section.key` names."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from cloudlstm.config.fields import TEXT, TEXTS, accepts
from cloudlstm.config.models import RunConfig
from cloudlstm.errors import ConfigError

_BARS = (".csv", ".gz", ".txt", ".tsv", ".parquet", ".pq", ".zip")


def _meant(word: str) -> str:
    """Returns what to type instead of a word without an equals sign."""
    if word.endswith(".toml"):
        return f"--config={word}"
    if word.lower().endswith(_BARS):
        return f"market.source=files market.path={shlex.quote(word)}; a value with blanks needs quotes"
    return "write section.key=value without blanks, as in train.epochs=3, and a value with blanks in quotes"


def apply(document: dict[str, Any], word: str) -> None:
    """Applies an override word to nested values.

    Raises:
        ConfigError: The word is not `section.key=value`, or a part of its name is a value.
    """
    key, equals, text = str(word).partition("=")
    if not equals or not key:
        raise ConfigError(f"{word!r} is not a setting", hint=_meant(str(word)))
    target = document
    *sections, leaf = key.split(".")
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{key!r} goes through {section!r}, which is a value and not a section")
    target[leaf] = _value(text, accepts([*sections, leaf]))


def _value(text: str, kind: str) -> Any:
    """Reads the value of a word. A setting that accepts text takes it as typed, so that 0050 keeps its zeros.

    Args:
        text: The part after the equals sign. Quotes and brackets are as in TOML.
        kind: What the setting accepts; other values than text are TOML, or text if they are not.
    """
    found = _toml(text)
    if kind == TEXT:
        return found if isinstance(found, str) else text
    if kind == TEXTS:
        if isinstance(found, str) or (isinstance(found, list) and all(isinstance(each, str) for each in found)):
            return found
        quoted = _toml(f"[{text}]") if text.startswith(('"', "'")) else None
        return quoted or (text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    return text if found is None else found


def _toml(text: str) -> Any:
    """Parses one value of TOML; None if the text is none."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # ValueError: also a number with thousands of digits
        return None
    return parsed["value"] if len(parsed) == 1 else None


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
    if isinstance(value, list) and value and all(isinstance(entry, str) and _is_entry(entry) for entry in value):
        return ",".join(value)
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
    found = _toml(value)
    return found is None or isinstance(found, dt.date)


def _is_entry(value: str) -> bool:
    """True if a list of such texts, joined with commas, is read back as these texts."""
    return _is_text(value) and value == value.strip() and not any(sign in value for sign in ",[]'\"")
