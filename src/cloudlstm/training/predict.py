"""The network's forecasts as a Parquet table."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cloudlstm.dataset.inputs import Inputs
from cloudlstm.dataset.window_set import WindowSet
from cloudlstm.market.columns import MOMENT
from cloudlstm.training.members import Member

PREDICTIONS = pa.schema(
    [
        ("ticker", pa.string()),
        ("origin_date", pa.date32()),
        ("target_date", pa.date32()),
        ("split", pa.string()),
        ("last_close", pa.float64()),
        ("actual_return", pa.float64()),
        ("forecast_return", pa.float64()),
        ("seed", pa.int64()),
        ("fold", pa.int32()),
    ]
)
"""Returns are log-returns over the horizon. In the split "forecast" the target date is null, the actual return NaN.

Of bars within a day the dates are the starts of bars, `market.columns.MOMENT`."""

_BATCH_WINDOWS = 65_536


def predictions_file(
    member: Member, splits: Mapping[str, WindowSet], outputs: Mapping[str, NDArray[np.floating]], transform: Inputs
) -> bytes:
    """The forecasts for every window of the splits, in order, as a Parquet file with the schema PREDICTIONS.

    Args:
        member: The network.
        splits: The windows by split.
        outputs: The network's outputs for all windows of each split.
        transform: Turns outputs into log-returns.
    """
    file = io.BytesIO()
    schema = PREDICTIONS
    if any(windows.unit == "m" for windows in splits.values()):
        for name in ("origin_date", "target_date"):
            schema = schema.set(schema.get_field_index(name), pa.field(name, MOMENT))
    with pq.ParquetWriter(file, schema) as writer:
        for split, windows in splits.items():
            for begin in range(0, len(windows), _BATCH_WINDOWS):
                indices = np.arange(begin, min(begin + _BATCH_WINDOWS, len(windows)))
                tickers = windows.tickers(indices)
                returns = transform.returns(outputs[split][indices], windows.windows(indices), tickers)
                columns = {
                    "ticker": tickers,
                    "origin_date": _arrow(windows.origin_dates(indices)),
                    "target_date": _arrow(windows.target_dates(indices)),
                    "split": np.full(len(indices), split),
                    "last_close": windows.last_close(indices),
                    "actual_return": windows.targets(indices).astype(np.float64),
                    "forecast_return": returns,
                    "seed": np.full(len(indices), member.seed),
                    "fold": np.full(len(indices), member.fold),
                }
                arrays = [pa.array(columns[field.name], field.type) for field in schema]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return file.getvalue()


def _arrow(dates: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Dates in a unit that Arrow reads; it has no minutes."""
    return dates.astype("datetime64[ms]") if dates.dtype == np.dtype("datetime64[m]") else dates
