"""Reads a RunConfig from TOML and `section.key=value` words, and validates it."""

from __future__ import annotations

import copy
import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from cloudlstm import storage
from cloudlstm.config.models import RunConfig
from cloudlstm.config.overrides import apply
from cloudlstm.config.problems import sentence
from cloudlstm.errors import ConfigError, ObjectNotFoundError, ObjectTooLargeError

_LOCAL_MASTER = re.compile(r"local(\[[\d*]+(,\s*\d+)?\])?")
_MOST_BYTES = 2**20
"""Largest configuration file."""


def load(path: str | None, overrides: Iterable[str] = ()) -> RunConfig:
    """Reads the TOML file at `path` (a path or storage URI) and applies `section.key=value` words.

    Raises:
        ConfigError: There are problems; the message lists all of them.
    """
    return parse(read_document(path, overrides), overrides)


def read_document(path: str | None, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Reads the TOML file at `path` as plain values; none without a path. The values are not checked yet.

    Args:
        path: A path or storage URI; None for no file.
        overrides: The words that the user typed; only they may name a Spark master on another machine.

    Raises:
        ConfigError: There is no such file, it is not TOML, or it names such a master.
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
    return document


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
        apply(values, word)
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError.of(_all_problems(values, error)) from None


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
        fresh = [found for found in map(sentence, details) if found not in problems]
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
    """Removes the key at `path` from nested values, and a list as a whole; False if there is none."""
    names = list(itertools.takewhile(lambda part: isinstance(part, str), path))
    for part in names[:-1]:
        values = values.get(part) if isinstance(values, dict) else None
    if names and isinstance(values, dict) and names[-1] in values:
        del values[names[-1]]
        return True
    return False
