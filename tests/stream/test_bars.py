"""A stream takes the bars that cleaning takes, as far as a bar alone decides it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudlstm.config import CleanConfig
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.stream.bars import BARS, fault_of, normal, usable
from minute_bars import grid, minute_bars

GRID = grid()
AT = GRID.starts[5:6]
_NEAR = st.sampled_from([0.0, 1.0, 1.2, 1.25, 1.26, 1.6, 4.9, 5.0, 5.1, 0.79, 0.8, -1.0])


def of_stream(values: dict[str, float]) -> pa.Table:
    row: dict[str, Any] = {"ticker": "A", "minute": int(AT[0]) * 60, "source": "", "final": True, "sent": 0.0, **values}
    return pa.Table.from_pylist([row], schema=BARS)


@settings(max_examples=150)
@given(st.fixed_dictionaries(dict.fromkeys(("open", "high", "low", "close"), _NEAR)), st.sampled_from([-1, 0, 7]))
def test_a_bar_alone_is_refused_if_and_only_if_cleaning_rejects_it(prices: dict[str, float], volume: int) -> None:
    batch = minute_bars("A", AT, volume=[volume], **{name: np.array([value]) for name, value in prices.items()})
    kept = clean(batch, CleanConfig(), GRID.starts, GRID).bars.num_rows > 0
    values = {**prices, "volume": float(volume)}
    assert (fault_of({"ticker": "A", "minute": 60, **values}) is None) == kept
    assert usable(of_stream(values)).tolist() == [kept]


def test_volumes_are_whole_shares_as_in_files_of_bars() -> None:
    prices = dict.fromkeys(("open", "high", "low", "close"), 1.0)
    found = pa.concat_tables([of_stream(prices | {"volume": volume}) for volume in (1.2, 2.5, 3.5, 7.0)])
    np.testing.assert_array_equal(normal(found)["volume"].to_numpy(), [1.0, 2.0, 4.0, 7.0])
