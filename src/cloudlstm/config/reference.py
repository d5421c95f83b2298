"""Generates docs/configuration.md from the models: `python -m cloudlstm.config.reference > docs/configuration.md`.

A test checks that the file is up to date.
"""

from __future__ import annotations

import datetime as dt
import sys
import textwrap
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cloudlstm.config.models import NON_IDENTITY, RunConfig

_HEAD = """# Configuration

Generated from `src/cloudlstm/config/` by `make docs`.

A run is configured by a TOML file, by words on the command line, or by both. Words override the file.

```
cloudlstm submit --config=mine.toml train.epochs=3 universe.tickers=AAPL,MSFT
```

```toml
name = "mine"

[universe]
tickers = ["AAPL", "MSFT"]

[train]
epochs = 3
```

A word is `section.key=value`. Numbers, dates, lists and `true`/`false` are written as in TOML; any other value is text
and needs no quotes. Unknown keys and values out of range are reported all at once, and nothing runs. Equal
configurations give the same run: the run id is the name and a hash of all settings below, except rates, limits and
timeouts. These can be changed to continue a failed run:
NON_IDENTITY.

The unit of a number stands in its name: `_bars` are trading sessions of one ticker, `_windows` are samples, `_s`
seconds, `_mib` mebibytes.
"""


def text() -> str:
    """The whole page in Markdown."""
    head = _HEAD.replace("NON_IDENTITY", textwrap.fill(", ".join(_non_identity()), 118, break_on_hyphens=False))
    return "\n".join([head, *_sections(RunConfig, "")]).rstrip() + "\n"


def _non_identity() -> Iterator[str]:
    """The settings that are not part of a run's identity, as named on the page."""
    for section, settings in NON_IDENTITY.items():
        if settings is True:
            yield f"`[{section}]`"
            continue
        for name in sorted(settings):
            inner = _section(RunConfig.model_fields[section])
            assert inner is not None
            nested = _section(inner.model_fields[name]) is not None
            yield f"`[{section}.{name}]`" if nested else f"`{section}.{name}`"


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    """The table of a section, then those of its subsections."""
    leaves = {name: field for name, field in model.model_fields.items() if _section(field) is None}
    if leaves:
        yield f"## {f'`[{path}]`' if path else 'Top level'}\n"
        yield f"{(model.__doc__ or '').strip()}\n"
        yield "| key | type | default | range | meaning |\n|---|---|---|---|---|"
        for name, field in leaves.items():
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            yield f"| `{name}` | {_kind(field)} | {_default(field)} | {_range(field)} | {meaning} |"
        yield f"\n{_example(path, leaves)}\n"
    for name, field in model.model_fields.items():
        inner = _section(field)
        if inner is not None:
            yield from _sections(inner, f"{path}.{name}" if path else name)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _kind(field: FieldInfo) -> str:
    return _named(field.annotation)


def _named(kind: Any) -> str:
    """The name of a type for readers who know TOML."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_named(each) for each in arguments if each is not type(None))
    if origin is tuple:
        each = _named(arguments[0])
        return f"list of {each}" if each.startswith("{") else f"list of {each}s"
    if origin is dict:
        return "table of texts"
    if hasattr(kind, "__metadata__"):
        return "ticker" if _pattern(kind.__metadata__) else _named(arguments[0])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"{{ {', '.join(kind.model_fields)} }}"
    return {int: "whole number", float: "number", str: "text", bool: "true or false", dt.date: "date"}[kind]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True) if not field.is_required() else PydanticUndefined
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "not set"
    if isinstance(value, (tuple, dict)) and not value:
        return "empty"
    return f"`{_toml(value)}`"


def _range(field: FieldInfo) -> str:
    """Bounds and patterns."""
    parts = []
    for entry in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            bound = getattr(entry, name, None)
            if bound is not None:
                parts.append(f"{sign} {bound:,}" if isinstance(bound, int) else f"{sign} {bound:g}")
    pattern = _pattern(field.metadata)
    if pattern:
        parts.append("`" + pattern.replace("|", "\\|") + "`")
    return ", ".join(parts)


def _pattern(metadata: Any) -> str | None:
    return next((entry.pattern for entry in metadata if isinstance(getattr(entry, "pattern", None), str)), None)


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_toml(each) for each in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, float) and value == int(value) and abs(value) >= 1e5:
        return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    return str(value)


_SHOWN = {
    "": ("name", "mine"),
    "universe": ("tickers", ["AAPL", "MSFT"]),
    "market": ("path", "s3://bucket/bars/*.csv.gz"),
    "market.synthetic": ("tickers", 100),
    "market.yahoo": ("requests_per_minute", 30),
    "clean": ("max_fill_bars", 5),
    "dataset": ("window_bars", 30),
    "model": ("units", 64),
    "train": ("epochs", 3),
    "evaluation": ("ic_min_tickers", 50),
    "spark": ("driver_memory_mib", 4096),
}
"""Section -> key and value of its example."""


def _example(path: str, leaves: dict[str, FieldInfo]) -> str:
    """An example setting in TOML and as a word."""
    key, value = _SHOWN.get(path) or next((name, field.get_default()) for name, field in leaves.items())
    head = f"[{path}]\n" if path else ""
    word = ",".join(value) if isinstance(value, list) else value
    name = f"{path}.{key}" if path else key
    quoted = f"'{name}={word}'" if "*" in str(word) else f"{name}={word}"
    return f"```toml\n{head}{key} = {_toml(value)}\n```\n\nor on the command line: `{quoted}`"


if __name__ == "__main__":
    sys.stdout.write(text())
