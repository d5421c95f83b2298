"""The long table of everything exogenous: one row a number, with the time at which it could be known."""

from __future__ import annotations

import pyarrow as pa

EXOGENOUS = pa.schema(
    [
        ("series", pa.string()),
        ("entity", pa.string()),
        ("period", pa.date32()),
        ("available_at", pa.timestamp("us", "UTC")),
        ("value", pa.float64()),
        ("vintage", pa.int32()),
        ("source", pa.string()),
    ]
)
"""series: its name; entity: the ticker, or "" for the whole market; period: the date that it is about; available_at:
when it could be known, required; value: the number, NaN if it was published as missing; vintage: the version of the
period's value, from 0, and -1 if `available_at` is assumed by a rule; source: where it comes from."""

REFUSED = pa.schema(
    [
        ("series", pa.string()),
        ("entity", pa.string()),
        ("raw", pa.string()),
        ("reason", pa.string()),
        ("source", pa.string()),
    ]
)
"""Rows that are not used: the text as it was read, and a code of the reason."""

HEADLINES = pa.schema(
    [
        ("entity", pa.string()),
        ("period", pa.date32()),
        ("available_at", pa.timestamp("us", "UTC")),
        ("headline", pa.string()),
        ("source", pa.string()),
    ]
)
"""Headlines before they are scored; the columns are those of EXOGENOUS."""


def empty(schema: pa.Schema) -> pa.Table:
    """A table of a schema without rows."""
    return schema.empty_table()
