"""Looks up settings in the models: their names, what they accept, and which setting a mistyped name means.

A setting is named by its path, such as `("train", "epochs")`, or by its full name, `train.epochs`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from cloudlstm.config.models import RunConfig

NEAR = 0.73
"""Least similarity of a mistyped word and the one that is proposed, as of difflib.

The word horizon means horizon_bars (0.737); force does not mean source (0.727)."""

TEXT, TEXTS, OTHER = "text", "texts", "other"
"""What a setting accepts: a text, a list of texts, or values of other types, which are written as in TOML."""


def keys(path: Sequence[int | str]) -> list[str]:
    """Returns the keys of the section at `path`; none if there is no such section."""
    section = _section(_type_at(path))
    return [] if section is None else list(section.model_fields)


def accepts(path: Sequence[str]) -> str:
    """Returns TEXT, TEXTS or OTHER for the setting at `path`; OTHER also if there is none."""
    kind = _type_at(path)
    if _is_text(kind):
        return TEXT
    return TEXTS if get_origin(kind) is tuple and _is_text(_plain(get_args(kind)[0])) else OTHER


def choices(path: Sequence[str]) -> list[str]:
    """Returns the values that the setting at `path` accepts, if they are few."""
    kind = _type_at(path)
    if kind is bool:
        return ["true", "false"]
    return list(map(str, get_args(kind))) if get_origin(kind) is Literal else []


@cache
def names() -> tuple[str, ...]:
    """Returns the full names of all settings, in the order of the reference."""
    return tuple(_names(RunConfig, ""))


def meant(name: str) -> list[str]:
    """Returns the full names of the settings that a name may mean.

    A known name means itself. Else the last part counts: the settings that end in it, or in the most similar one.
    """
    if name in names():
        return [name]
    leaves = {each: each.rpartition(".")[2] for each in names()}
    leaf = name.rpartition(".")[2]
    near = [leaf] if leaf in leaves.values() else difflib.get_close_matches(leaf, leaves.values(), n=1, cutoff=NEAR)
    return [each for each in names() if leaves[each] in near]


def _names(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for key in section.model_fields:
        inner = _section(_plain(section.model_fields[key].annotation))
        if inner is None:
            yield prefix + key
        else:
            yield from _names(inner, f"{prefix}{key}.")


def _type_at(path: Sequence[int | str]) -> Any:
    """Returns the type of the value at `path`, without None; None if the path leads nowhere."""
    kind: Any = RunConfig
    for part in path:
        if isinstance(part, int):  # an entry of a list
            kind = _plain(get_args(kind)[0]) if get_args(kind) else None
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            section = _section(kind)
            field = None if section is None else section.model_fields.get(part)
            kind = None if field is None else _plain(field.annotation)
    return kind


def _plain(kind: Any) -> Any:
    """Returns a type without annotations, and without None as the alternative."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if type(None) in get_args(kind):
        return _plain(next(each for each in get_args(kind) if each is not type(None)))
    return kind


def _section(kind: Any) -> type[BaseModel] | None:
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _is_text(kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return all(isinstance(each, str) for each in get_args(kind))
    return kind is str
