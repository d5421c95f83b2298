"""The last bars of all tickers, as arrays over all of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.errors import CorruptObjectError
from cloudlstm.market import columns
from cloudlstm.stream.bars import VALUES

_MINUTE_BITS = 40
"""More than a time in seconds of this millennium needs."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Bars in the order of ticker and minute; one array each, (row,), and `values` (row, VALUES).

    Attributes:
        code: The ticker's place among the tickers of the state.
        minute: Start of the bar, in seconds since 1970-01-01 UTC.
        segment: The minute of the first bar of its segment.
        session: Its session, as days since 1970-01-01.
        place: Its number in the session.
        left: Bars of the session after it.
        filled: It replaces a missing bar.
        final: It was final when it was used.
        sent: When it was sent, in seconds since the epoch; NaN if that is not known.
        forecast: The log-return forecast at this bar; NaN without one.
        values: Open, high, low, close and volume.
    """

    code: NDArray[np.int32]
    minute: NDArray[np.int64]
    segment: NDArray[np.int64]
    session: NDArray[np.int32]
    place: NDArray[np.int32]
    left: NDArray[np.int32]
    filled: NDArray[np.bool_]
    final: NDArray[np.bool_]
    sent: NDArray[np.float64]
    forecast: NDArray[np.float64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.code)

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(**{name: np.zeros((0, *_SHAPE.get(name, ())), kind) for name, kind in KINDS.items()})

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """Some rows."""
        return type(self)(*(getattr(self, each.name)[rows] for each in fields(self)))

    @classmethod
    def joined(cls, first: Self, second: Self) -> Self:
        """The rows of both, in this order."""
        return cls(*(np.concatenate([getattr(first, each.name), getattr(second, each.name)]) for each in fields(cls)))

    def keys(self) -> NDArray[np.int64]:
        """One number a row that sorts as ticker and minute."""
        return keys(self.code, self.minute)


KINDS = {
    "code": np.int32, "minute": np.int64, "segment": np.int64, "session": np.int32, "place": np.int32,
    "left": np.int32, "filled": np.bool_, "final": np.bool_, "sent": np.float64, "forecast": np.float64,
    "values": np.float64,
}  # fmt: skip
"""The type of each array of Rows."""
_SHAPE = {"values": (len(VALUES),)}


def keys(code: NDArray[np.int32], minute: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number a bar that sorts as ticker and minute."""
    found: NDArray[np.int64] = (code.astype(np.int64) << _MINUTE_BITS) | minute
    return found


@dataclass(frozen=True, slots=True)
class State:
    """What a stream must remember of the bars so far.

    Attributes:
        tickers: All tickers so far, sorted.
        rows: The last bars of each ticker's current segment; at least the last one of each ticker.
    """

    tickers: tuple[str, ...]
    rows: Rows

    @classmethod
    def empty(cls) -> Self:
        """Before the first bar."""
        return cls((), Rows.empty())

    def with_tickers(self, names: list[str]) -> State:
        """The same state with a place for these tickers."""
        known = set(self.tickers)
        if known.issuperset(names):
            return self
        every = tuple(sorted(known.union(names)))
        place = {name: number for number, name in enumerate(every)}
        moved = np.array([place[name] for name in self.tickers], np.int32)
        return State(every, replace(self.rows, code=moved[self.rows.code]))

    def to_bytes(self) -> bytes:
        """As an Arrow file; equal states give equal bytes."""
        arrays = {each.name: pa.array(getattr(self.rows, each.name)) for each in fields(Rows) if each.name != "values"}
        for place, name in enumerate(VALUES):
            arrays[name] = pa.array(np.ascontiguousarray(self.rows.values[:, place]))
        arrays["code"] = columns.from_codes(self.rows.code, list(self.tickers))
        table = pa.table(arrays)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(table)
        return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]

    @classmethod
    def from_bytes(cls, data: bytes, uri: str) -> State:
        """Reads a state.

        Raises:
            CorruptObjectError: The data is no state; names `uri`.
        """
        try:
            table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
            code = columns.one_chunk(table["code"]) if table.num_rows else None
            arrays = {name: table[name].to_numpy() for name in KINDS if name not in ("code", "values")}
            values = np.stack([table[name].to_numpy() for name in VALUES], axis=1)
        except (pa.ArrowException, KeyError, OSError) as error:
            raise CorruptObjectError(f"{uri} is no state of a stream: {error}") from None
        if code is None:
            return cls.empty()
        rows = Rows(code=columns.codes_of(code), values=values, **arrays)
        return cls(tuple(code.dictionary.to_pylist()), rows)
