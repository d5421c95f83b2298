"""Reads a RunConfig from TOML and `section.key=value` words, and validates it."""

from __future__ import annotations

import copy
import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cloudlstm import storage
from cloudlstm.config.models import RunConfig
from cloudlstm.errors import ConfigError, ObjectNotFoundError, ObjectTooLargeError
from cloudlstm.text.printable import shortened

_LOCAL_MASTER = re.compile(r"local(\[[\d*]+(,\s*\d+)?\])?")
_MOST_SHOWN = 120
_MOST_BYTES = 2**20
"""Largest configuration file."""


def load(path: str | None, overrides: Iterable[str] = ()) -> RunConfig:
    """Reads the TOML file at `path` (a path or storage URI) and applies `section.key=value` words.

    Raises:
        ConfigError: There are problems; the message lists all of them.
    """
    document: dict[str, Any] = {}
    if path is not None:
        uri = storage.absolute(path)
        try:
            document = tomllib.loads(storage.read_small(uri, _MOST_BYTES).decode())
        except ObjectNotFoundError:
            raise ConfigError(f"no configuration file at {path}", hint="check --config") from None
        except ObjectTooLargeError as error:
            raise ConfigError(error.message, hint="check --config") from None
        except (ValueError, RecursionError) as error:  # ValueError: also a number with thousands of digits
            raise ConfigError(f"{path} is not a TOML file: {error}") from None
        require_local_master(document, path, overrides)
    return parse(document, overrides)


def require_local_master(document: Mapping[str, Any], where: str, overrides: Iterable[str] = ()) -> None:
    """Raises ConfigError if a configuration names a Spark master on another machine that the user has not typed.

    The driver unpickles what executors send, so a foreign master could run code on this machine.

    Args:
        document: The configuration as plain values.
        where: Its origin, for the message.
        overrides: The words that the user typed.
    """
    section = document.get("spark")
    master = section.get("master") if isinstance(section, Mapping) else None
    typed = any(str(word).startswith(("spark.master=", "spark=")) for word in overrides)
    if isinstance(master, str) and not typed and not _LOCAL_MASTER.fullmatch(master):
        raise ConfigError(
            f"{where} sets spark.master to {master!r}, which is not on this machine and would get to run code here",
            hint=f"if the master is yours, type it: spark.master={master}",
        )


def parse(document: Mapping[str, Any], overrides: Iterable[str] = ()) -> RunConfig:
    """Validates plain values, such as those of a config.json, after applying override words; raises ConfigError."""
    values: dict[str, Any] = copy.deepcopy(dict(document))
    for word in overrides:
        _apply(values, word)
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_all_problems(values, error))) from None


def _all_problems(values: dict[str, Any], error: ValidationError) -> list[str]:
    """Describes all problems.

    pydantic checks rules between keys only if each key is valid. So the invalid keys are removed and the rest is
    validated again, until no new problem appears.
    """
    problems: list[str] = []
    removed: set[tuple[int | str, ...]] = set()
    while True:
        # A removed key is missing now, which is not a problem of the user.
        details = [detail for detail in error.errors(include_url=False) if detail["loc"] not in removed]
        fresh = [sentence for sentence in map(_sentence, details) if sentence not in problems]
        problems += fresh
        taken = {detail["loc"] for detail in details if detail["type"] != "missing" and _remove(values, detail["loc"])}
        removed |= taken
        if not fresh or not taken:
            return problems
        try:
            RunConfig.model_validate(values)
        except ValidationError as again:
            error = again
        else:
            return problems


def _remove(values: Any, path: tuple[int | str, ...]) -> bool:
    """Removes the key at `path` from nested values; False if there is none."""
    for part in path[:-1]:
        values = values.get(part) if isinstance(values, dict) else None
    if path and isinstance(values, dict) and path[-1] in values:
        del values[path[-1]]
        return True
    return False


def _apply(document: dict[str, Any], word: str) -> None:
    """Applies an override word to nested values."""
    key, equals, text = str(word).partition("=")
    if not equals or not key:
        raise ConfigError(f"{word!r} is not an override", hint="write section.key=value, as in train.epochs=3")
    target = document
    *sections, leaf = key.split(".")
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{key!r} goes through {section!r}, which is a value and not a section")
    target[leaf] = _value(text)


def _value(text: str) -> Any:
    """Parses a number, date, list or boolean as in TOML; any other text is a string without quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _sentence(detail: ErrorDetails) -> str:
    """Describes one problem."""
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = _known_keys(detail["loc"][:-1])
        leaf = str(detail["loc"][-1])
        elsewhere = [f"{name}.{leaf}" for name in known if leaf in _known_keys((name,))]
        near = elsewhere or difflib.get_close_matches(leaf, known, n=1, cutoff=0.5)
        prefix = where.removesuffix(leaf) if not elsewhere else ""
        meant = f"did you mean {prefix + near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"unknown key {where!r}, {meant}"
    if detail["type"] == "missing":
        return f"{where} is missing"
    message = detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    shown = "" if isinstance(given, (dict, BaseModel)) else f" (got {shortened(repr(given), _MOST_SHOWN)})"
    return f"{where + ': ' if where else ''}{message}{shown}"


def _known_keys(path: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at `path`."""
    model: type[BaseModel] = RunConfig
    for part in path:
        if isinstance(part, int):  # the index in a list of sections
            continue
        field = model.model_fields.get(str(part))
        kind = None if field is None else next(iter(get_args(field.annotation)), field.annotation)
        if not isinstance(kind, type) or not issubclass(kind, BaseModel):
            return []
        model = kind
    return list(model.model_fields)
