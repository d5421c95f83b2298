"""The contract of a topic of bars: one message a bar, its key the ticker, its value JSON.

    key    AAPL
    value  {"schema": 1, "ticker": "AAPL", "minute": 1767364200, "open": 271.0, "high": 271.3, "low": 270.9,
            "close": 271.2, "volume": 12300, "source": "files", "final": true, "sent": 1767364261.2}

`schema`, `source`, `final` and `sent` may be missing: 1, "", true and unknown. Other fields are ignored. Messages with
the same key are in the same partition, so their order is kept. The time of a bar stands in the value, because not every
broker keeps the timestamps of messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from cloudlstm.config.tickers import ticker
from cloudlstm.market import columns
from cloudlstm.stream.bars import BARS, MOST_VALUE, Refused, empty, fault_of, normal, usable, written

SCHEMA = 1
"""The newest version of the contract that this release reads, and the one that it writes."""

_FEW = 200
"""So many messages are read one by one if the fast reader cannot read them together."""

_FIELDS = pa.schema([("schema", pa.int64()), *BARS])
_PARSE = pj.ParseOptions(explicit_schema=_FIELDS, unexpected_field_behavior="ignore")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Messages as bars.

    Attributes:
        bars: BARS table of the usable ones, in the order of the messages.
        refused: The others, with their reasons.
    """

    bars: pa.Table
    refused: list[Refused]


def encode(bars: pa.Table) -> list[tuple[bytes, bytes]]:
    """Key and value of a message for each bar of a BARS table."""
    names = BARS.names
    lists = [bars[name].cast(BARS.field(name).type).to_pylist() for name in names]
    lists[names.index("sent")] = [value if value == value else None for value in lists[names.index("sent")]]
    return [
        (row[0].encode(), json.dumps({"schema": SCHEMA, **dict(zip(names, row, strict=True))}).encode())
        for row in zip(*lists, strict=True)
    ]


def decode(values: Sequence[bytes | None], keys: Sequence[bytes | None] | None, where: Callable[[int], str]) -> Decoded:
    """Reads messages. A message that is no bar does not stop the others.

    Args:
        values: The values of the messages; None is a message without a value.
        keys: Their keys; None if there are none.
        where: The place of a message in its source, for people, by its number.
    """
    if not len(values):
        return Decoded(empty(), [])
    table = _parsed(values)
    if table is None and len(values) > _FEW:  # the fast reader takes the part without the message that stops it
        half = len(values) // 2
        parts = [
            decode(values[:half], keys and keys[:half], where),
            decode(values[half:], keys and keys[half:], lambda number: where(number + half)),
        ]
        return Decoded(normal(pa.concat_tables([part.bars for part in parts])), [*parts[0].refused, *parts[1].refused])
    if table is None:
        return _one_by_one(values, keys, where)
    good = usable(table)
    version = columns.filled(columns.one_chunk(table["schema"]), SCHEMA)
    good &= (version >= 1) & (version <= SCHEMA)
    if keys is not None:
        same = pc.equal(pa.array(keys, pa.binary()), pc.cast(columns.one_chunk(table["ticker"]), pa.binary()))
        good &= pc.fill_null(same, fill_value=True).to_numpy(zero_copy_only=False)
    found = []
    for row in np.flatnonzero(~good).tolist():
        document, reason = _read(values[row], keys[row] if keys is not None else None)
        if document is None:
            found.append(_refusal(values[row], where(row), reason))
        good[row] = document is not None  # such as the key aapl of the ticker AAPL
    bars = table.select(BARS.names)
    return Decoded(normal(bars.filter(pa.array(good)) if found else bars), found)


def _parsed(values: Sequence[bytes | None]) -> pa.Table | None:
    """The fields of all messages; None if one of them may not be an object of one line with fields of these types."""
    try:
        joined = b"\n".join(values)  # type: ignore[arg-type]
    except TypeError:  # one has no value
        return None
    rows = len(values)
    one_each = joined.count(b"\n") == rows - 1 and joined.count(b"{") == rows
    if not one_each or not all(value.startswith(b"{") for value in values if value is not None):
        return None
    try:
        table = pj.read_json(
            pa.BufferReader(joined), pj.ReadOptions(use_threads=False, block_size=len(joined) + 1), _PARSE
        )
        if table.num_rows != rows:
            return None
        table = table.select(_FIELDS.names)
        table["ticker"].validate(full=True)  # JSON in other encodings than UTF-8
        table["source"].validate(full=True)
    except (pa.ArrowException, KeyError):
        return None
    return table


def _one_by_one(
    values: Sequence[bytes | None], keys: Sequence[bytes | None] | None, where: Callable[[int], str]
) -> Decoded:
    """Like `decode`, with the parser of Python, which says what is wrong with one message."""
    rows: list[dict[str, Any]] = []
    refused: list[Refused] = []
    for number, value in enumerate(values):
        key = keys[number] if keys is not None else None
        document, reason = _read(value, key)
        if document is None:
            refused.append(_refusal(value, where(number), reason))
        else:
            rows.append(document)
    lists = {name: [row.get(name) for row in rows] for name in BARS.names}
    for name in ("open", "high", "low", "close", "volume", "sent"):
        lists[name] = [None if value is None else float(value) for value in lists[name]]
    return Decoded(normal(pa.table(lists, schema=BARS)), refused)


def _refusal(value: bytes | None, where: str, reason: str) -> Refused:
    text = (value or b"").decode(errors="replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    fields = found if isinstance(found, dict) else {}
    name, minute = fields.get("ticker"), fields.get("minute")
    return Refused(
        where=where,
        reason=reason,
        ticker=name if isinstance(name, str) else None,
        minute=minute if type(minute) is int and abs(minute) < 2**62 else None,
        value=text[:MOST_VALUE],
    )


def _read(value: bytes | None, key: bytes | None) -> tuple[dict[str, Any] | None, str]:
    """The fields of a message; None and the reason if it is no bar."""
    if value is None:
        return None, "it has no value"
    try:
        document = json.loads(value)
    except (ValueError, RecursionError) as error:
        return None, f"it is no JSON: {error}"
    if not isinstance(document, dict):
        return None, "it is no JSON object"
    version = document.get("schema", SCHEMA)
    version = SCHEMA if version is None else version
    if type(version) is not int or version < 1:
        return None, "its schema is no number from 1"
    if version > SCHEMA:
        return None, f"its schema is {version}, and this version of cloudlstm reads up to {SCHEMA}"[:MOST_VALUE]
    if fault := fault_of(document):
        return None, fault
    if key is not None and ticker(key.decode(errors="replace")) != ticker(document["ticker"]):
        return None, f"its key {key[:MOST_VALUE].decode(errors='replace')!r} is not its ticker {document['ticker']!r}"
    final, source = document.get("final"), document.get("source")
    if not (final is None or isinstance(final, bool)):
        return None, "its final is neither true nor false"
    if not (source is None or (isinstance(source, str) and written(source) == source)):
        return None, "its source is no text"
    return document, ""
