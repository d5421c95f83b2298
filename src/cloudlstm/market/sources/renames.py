"""Tickers that a company traded under before: its bars under the old name join those under the new one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloudlstm.config import Rename
from cloudlstm.market import columns


def apply_renames(table: pa.Table, renames: Sequence[Rename]) -> pa.Table:
    """BARS with each old name's bars, up to the last day of that name, under the new one; in their order.

    The renames apply one after the other, so a name may change twice. Of two rows of one bar, one under each name, the
    last to arrive stands, as ever.
    """
    if not renames:
        return table
    code, names = columns.codes(table.column("ticker"))
    for rename in renames:
        if rename.old not in names:
            continue
        moved = code == names.index(rename.old)
        if rename.until is not None:
            until = pa.scalar(rename.until, pa.date32())
            early = pc.fill_null(pc.less_equal(table.column("date"), until), False)  # noqa: FBT003
            moved &= columns.one_chunk(early).to_numpy(zero_copy_only=False)
        if rename.new not in names:
            names = [*names, rename.new]
        code = np.where(moved, np.int32(names.index(rename.new)), code)
    ticker = columns.canonical(pa.chunked_array([columns.from_codes(code, [name or "" for name in names])]))
    return table.set_column(table.column_names.index("ticker"), "ticker", ticker)


def tickers_after(tickers: Iterable[str], renames: Sequence[Rename]) -> set[str]:
    """The tickers that there are once `apply_renames`; an old name that goes on after a day stays among them."""
    names = set(tickers)
    for rename in renames:
        if rename.old in names:
            names.add(rename.new)
            if rename.until is None:
                names.discard(rename.old)
    return names
