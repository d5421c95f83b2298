"""Invalid sequences with right checksums are rejected in one line; no window is read from wrong bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cloudlstm.dataset import example, tfrecord
from cloudlstm.dataset.reader import SequenceSet
from cloudlstm.errors import CorruptObjectError
from cloudlstm.runs.manifest import ManifestRow, write_object

WINDOW, HORIZON, N_BARS, N_FEATURES = 5, 2, 10, 8
NAN = float("nan")


def sequence(
    *,
    ticker: bytes = b"AAA",
    dates: list[int] | None = None,
    targets: dict[int, float] | None = None,
    n_values: int = N_BARS * N_FEATURES,
    n_targets: int = N_BARS,
) -> bytes:
    """A TFRecord file of one Example, by default a valid one: 10 bars, labels at the bars 4 to 7 (from 0)."""
    labels = np.full(n_targets, NAN, np.float32)
    for place, value in ({4: 0.1, 5: 0.2, 6: 0.3, 7: 0.4} if targets is None else targets).items():
        labels[place] = value
    features = {
        "ticker": example.bytes_feature([ticker]),
        "dates": example.int64_feature(example.varints(dates or [*range(100, 100 + N_BARS)])[0].tobytes()),
        "values": example.float_feature(np.arange(n_values, dtype=np.float32)),
        "targets": example.float_feature(labels),
    }
    return tfrecord.frame(example.encode(features))


def shard(folder: Path, data: bytes, *, windows: int, kind: str = "train", name: str = "poisoned") -> ManifestRow:
    return write_object(f"file://{folder}/{name}.tfrecord", data, kind=kind, rows=windows)


def staged(folder: Path, *rows: ManifestRow) -> SequenceSet:
    return SequenceSet.stage(rows, window_bars=WINDOW, horizon_bars=HORIZON, cache_dir=folder / "cache")


def test_a_valid_sequence_is_read(tmp_path: Path) -> None:
    windows = staged(tmp_path, shard(tmp_path, sequence(), windows=4))
    assert windows.windows(np.array([0]))[0, 0, 0] == 0.0
    assert windows.target_dates(np.array([3]))[0] == np.datetime64("1970-01-01") + 109


@pytest.mark.parametrize(
    ("poison", "windows", "why"),
    [
        ({"targets": {3: 0.1, 4: 0.2}}, 2, "a window of 5 bars ends at its bar 4"),
        ({"targets": {0: 0.1}}, 1, "a window of 5 bars ends at its bar 1"),
        ({"targets": {7: 0.1, 8: 0.2}}, 2, "the target 2 bars after its bar 9 of 10 is not in it"),
        ({"targets": {9: 0.1}}, 1, "the target 2 bars after its bar 10 of 10 is not in it"),
        ({"targets": {5: float("inf")}}, 1, "a target is infinite"),
        ({"dates": [*range(100, 109), 2**31 + 5]}, 4, "a date is 100 or 2147483653 days from 1970-01-01"),
        ({"dates": [-(2**40), *range(101, 110)]}, 4, "a date is -1099511627776 or 109 days"),
        ({"dates": [-(2**63), *range(101, 109), 2**63 - 1]}, 4, "a date is -9223372036854775808 or"),
        ({"dates": [*range(100, 109), 108]}, 4, "its dates are not in order"),
        ({"dates": [*range(109, 99, -1)]}, 4, "its dates are not in order"),
        ({"n_values": N_BARS * N_FEATURES - 1}, 4, r"dates\[10\], targets\[10\], ticker\[1\], values\[79\]"),
        ({"n_values": 0}, 4, r"values\[0\]"),
        ({"n_targets": 12}, 4, r"targets\[12\]"),
        ({"ticker": b"\xff\xfe"}, 4, r"its ticker b'\\xff\\xfe' is not UTF-8"),
    ],
)
def test_an_invalid_sequence_is_rejected_by_name(
    tmp_path: Path, poison: dict[str, object], windows: int, why: str
) -> None:
    rows = [
        shard(tmp_path, sequence(), windows=4, name="sound"),  # bars that a negative number would reach
        shard(tmp_path, sequence(**poison), windows=windows),  # type: ignore[arg-type]
    ]
    with pytest.raises(CorruptObjectError, match=rf"poisoned\.tfrecord has an Example that is not a sequence: .*{why}"):
        staged(tmp_path, *rows)
    assert not list((tmp_path / "cache" / "sequences").glob("*/entry.json"))


@pytest.mark.parametrize("n_bars", [0, 4])
def test_a_forecast_that_is_shorter_than_a_window_is_refused(tmp_path: Path, n_bars: int) -> None:
    features = {
        "ticker": example.bytes_feature([b"AAA"]),
        "dates": example.int64_feature(example.varints([*range(100, 100 + n_bars)])[0].tobytes()),
        "values": example.float_feature(np.zeros(n_bars * N_FEATURES, np.float32)),
        "targets": example.float_feature(np.full(n_bars, NAN, np.float32)),
    }
    poisoned = shard(tmp_path, tfrecord.frame(example.encode(features)), windows=1, kind="forecast")
    with pytest.raises(CorruptObjectError, match=f"a window of 5 bars ends at its bar {n_bars}"):
        staged(tmp_path, poisoned)


TICKER = example.bytes_feature([b"AAA"])
WHOLE = example.int64_feature(example.varints([*range(N_BARS)])[0].tobytes())
REAL = example.float_feature(np.arange(N_BARS, dtype=np.float32))
LABELS = example.float_feature(np.full(N_BARS, NAN, np.float32))
VALUES = example.float_feature(np.zeros(N_BARS * N_FEATURES, np.float32))


@pytest.mark.parametrize(
    "features",
    [
        {},
        {"ticker": TICKER},
        {"ticker": TICKER, "dates": REAL, "values": VALUES, "targets": LABELS},
        {"ticker": TICKER, "dates": WHOLE, "values": VALUES, "targets": WHOLE},
        {"ticker": TICKER, "dates": TICKER, "values": VALUES, "targets": LABELS},
        {"ticker": REAL, "dates": WHOLE, "values": VALUES, "targets": LABELS},
    ],
)
def test_an_example_without_the_features_of_a_sequence_is_refused(tmp_path: Path, features: dict[str, bytes]) -> None:
    poisoned = shard(tmp_path, tfrecord.frame(example.encode(features)), windows=0)
    with pytest.raises(CorruptObjectError, match="has an Example that is not a sequence"):
        staged(tmp_path, poisoned)


def test_a_cache_for_other_lengths_is_not_used(tmp_path: Path) -> None:
    """A shard that is valid for 5 bars is rejected for 6, also if it is staged already."""
    row = shard(tmp_path, sequence(), windows=4)
    staged(tmp_path, row)
    for window, horizon in ((6, 2), (5, 3)):
        with pytest.raises(CorruptObjectError, match="not a sequence"):
            SequenceSet.stage([row], window_bars=window, horizon_bars=horizon, cache_dir=tmp_path / "cache")
