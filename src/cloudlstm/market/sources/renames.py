"""Renamed tickers: moves the bars of a company's old ticker to its new one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.config import Rename
from cloudlstm.market import columns


def apply_renames(table: pa.Table, renames: Sequence[Rename]) -> pa.Table:
    """Moves the bars of each old ticker, up to its last day, to the new ticker. The order of rows stays.

    Renames are applied one after the other, so a ticker may change twice. If both tickers have a bar of the same date,
    the last one to arrive is used, as for any duplicate.
    """
    if not renames:
        return table
    code, names = columns.codes(table.column("ticker"))
    for rename in renames:
        if rename.old not in names:
            continue
        moved = code == names.index(rename.old)
        if rename.until is not None:
            days = table.column("date").cast(pa.date32(), safe=False)
            early = pc.fill_null(pc.less_equal(days, pa.scalar(rename.until, pa.date32())), False)  # noqa: FBT003
            moved &= columns.one_chunk(early).to_numpy(zero_copy_only=False)
        if rename.new not in names:
            names = [*names, rename.new]
        code = np.where(moved, np.int32(names.index(rename.new)), code)
    ticker = columns.canonical(pa.chunked_array([columns.from_codes(code, [name or "" for name in names])]))
    return table.set_column(table.column_names.index("ticker"), "ticker", ticker)


def tickers_after(tickers: Iterable[str], renames: Sequence[Rename]) -> set[str]:
    """Returns the tickers after `apply_renames`. An old ticker stays if its rename has a last day."""
    names = set(tickers)
    for rename in renames:
        if rename.old in names:
            names.add(rename.new)
            if rename.until is None:
                names.discard(rename.old)
    return names
