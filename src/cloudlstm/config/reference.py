"""Generates docs/configuration.md from the models: `python -m cloudlstm.config.reference > docs/configuration.md`.

A test checks that the file is up to date.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from cloudlstm.config.models import NON_IDENTITY, RunConfig

Schema = dict[str, Any]

_SCHEMA: Schema = RunConfig.model_json_schema()

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

A word is `section.key=value`. Numbers, dates, lists and `true`/`false` are written as in TOML. A setting that is text
or a list of texts takes the word as typed: `universe.tickers=0050,2330` needs no quotes and keeps its zeros. Unknown
keys and values out of range are reported all at once, and nothing runs. Equal configurations give the same run: the run
id is the name and a hash of all settings below, except rates, limits and timeouts. These can be changed to continue a
failed run:
NON_IDENTITY.

The unit of a number stands in its name: `_bars` are trading sessions of one ticker, `_windows` are samples, `_s`
seconds, `_mib` mebibytes.
"""


_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def text() -> str:
    """The whole page in Markdown."""
    head = _HEAD.replace("NON_IDENTITY", textwrap.fill(", ".join(_non_identity()), 118, break_on_hyphens=False))
    return "\n".join([head, *_sections(_SCHEMA, "")]).rstrip() + "\n"


def _non_identity() -> Iterator[str]:
    """The settings that are not part of a run's identity, as named on the page."""
    for section, settings in NON_IDENTITY.items():
        if settings is True:
            yield f"`[{section}]`"
            continue
        known = _resolved(_SCHEMA["properties"][section])["properties"]
        for name in sorted(settings):
            yield f"`[{section}.{name}]`" if "$ref" in known[name] else f"`{section}.{name}`"


def _resolved(schema: Schema) -> Schema:
    """The schema that a reference points to."""
    found: Schema = _SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def _sections(section: Schema, path: str) -> Iterator[str]:
    """The table of a section, then those of its subsections."""
    fields = {name: field for name, field in section["properties"].items() if "$ref" not in field}
    if fields:
        yield f"## {f'`[{path}]`' if path else 'Top level'}\n"
        yield f"{section['description']}\n"
        yield "| key | type | default | range | meaning |\n|---|---|---|---|---|"
        for name, field in fields.items():
            meaning = " ".join(field["description"].split())
            cells = [f"`{name}`", _type(field), _default(field), _range(field), meaning]
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        yield f"\n{_example(path, fields)}\n"
    for name, field in section["properties"].items():
        if "$ref" in field:
            yield from _sections(_resolved(field), f"{path}.{name}" if path else name)


def _variants(field: Schema) -> list[Schema]:
    """The types that a field accepts, without null."""
    return [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]


def _type(field: Schema) -> str:
    """The name of a type for readers who know TOML."""
    return " or ".join(map(_type_name, _variants(field)))


def _type_name(schema: Schema) -> str:
    if "$ref" in schema:
        return f"{{ {', '.join(_resolved(schema)['properties'])} }}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        item = "ticker" if schema["items"].get("format") == "ticker" else _type_name(schema["items"])
        return f"list of {item}" if item.startswith("{") else f"list of {item}s"
    if schema["type"] == "object":
        return "table of texts"
    return "date" if schema.get("format") == "date" else _TYPES[schema["type"]]


def _default(field: Schema) -> str:
    value = field.get("default", {})  # only an empty table has no default in the schema
    if value is None:
        return "not set"
    if value in ([], {}):
        return "empty"
    return f"`{value}`" if field.get("format") == "date" else f"`{_toml(value)}`"


def _range(field: Schema) -> str:
    """Bounds and pattern."""
    parts = []
    for schema in _variants(field):
        for name, sign in _BOUNDS.items():
            if (bound := schema.get(name)) is not None:
                parts.append(f"{sign} {bound:,}" if isinstance(bound, int) else f"{sign} {bound:g}")
        parts += [f"`{schema['pattern']}`"] if "pattern" in schema else []
    return ", ".join(parts)


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
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
    "prepare": ("engine", "local"),
    "spark": ("driver_memory_mib", 4096),
}
"""Section -> key and value of its example."""


def _example(path: str, fields: dict[str, Schema]) -> str:
    """An example setting in TOML and as a word."""
    key, value = _SHOWN.get(path) or next((name, field.get("default")) for name, field in fields.items())
    head = f"[{path}]\n" if path else ""
    word = ",".join(value) if isinstance(value, list) else value
    name = f"{path}.{key}" if path else key
    quoted = f"'{name}={word}'" if "*" in str(word) else f"{name}={word}"
    return f"```toml\n{head}{key} = {_toml(value)}\n```\n\nor on the command line: `{quoted}`"


if __name__ == "__main__":
    sys.stdout.write(text())
