from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm.config import DatasetConfig
from cloudlstm.dataset import example, sequences, tfrecord, window_export
from cloudlstm.dataset.splits import SPLITS, label
from cloudlstm.features import FEATURE_NAMES
from dataset.tables import features_table, replaced
from real_data import real_data

CONFIG = DatasetConfig(
    window_bars=10, horizon_bars=1, train_end=dt.date(2021, 12, 31), validation_end=dt.date(2022, 3, 31)
)


def labelled_by_hand(table: pa.Table, config: DatasetConfig) -> dict[str, list[tuple[str, dt.date, dt.date]]]:
    """(ticker, origin, target) of every label, by a plain loop over the rules."""
    rows = table.to_pylist()
    window, horizon = config.window_bars, config.horizon_bars

    def split(date: dt.date) -> str:
        return "train" if date <= config.train_end else "validation" if date <= config.validation_end else "test"

    def same(first: int, last: int) -> bool:
        return (
            first >= 0
            and last < len(rows)
            and all(
                (rows[i]["ticker"], rows[i]["segment"]) == (rows[last]["ticker"], rows[last]["segment"])
                for i in range(first, last + 1)
            )
        )

    def whole(origin: int) -> bool:
        return same(origin - window + 1, origin) and all(
            np.isfinite(rows[i][name]) for i in range(origin - window + 1, origin + 1) for name in FEATURE_NAMES
        )

    found: dict[str, list[tuple[str, dt.date, dt.date]]] = {name: [] for name in SPLITS}
    for origin in range(len(rows)):
        target = origin + horizon
        if not whole(origin) or not same(origin, target):
            continue
        if any(rows[place][fault] for place in (origin, target) for fault in ("filled", "withdrawn")):
            continue
        dates = rows[origin]["date"], rows[target]["date"]
        if split(dates[0]) == split(dates[1]):
            found[split(dates[0])].append((rows[origin]["ticker"], *dates))
    for ticker in sorted({row["ticker"] for row in rows}):
        last = max(i for i, row in enumerate(rows) if row["ticker"] == ticker and not row["filled"])
        if whole(last) and not rows[last]["withdrawn"]:
            found["forecast"].append((ticker, rows[last]["date"], rows[last]["date"]))
    return found


def read_back(built: dict[str, sequences.BuiltShard], config: DatasetConfig) -> dict[str, list]:
    found: dict[str, list] = {}
    for split, shard in built.items():
        found[split] = []
        for record in tfrecord.records(shard.data, split):
            features = example.decode(record, split)
            ticker, dates = features["ticker"][0].decode(), features["dates"].astype("datetime64[D]").tolist()
            ahead = config.horizon_bars
            origins = [len(dates) - 1] if split == "forecast" else np.flatnonzero(~np.isnan(features["targets"]))
            if split == "forecast":
                ahead = 0
            found[split] += [(ticker, dates[origin], dates[origin + ahead]) for origin in origins]
    return found


def untidy_table() -> pa.Table:
    """Segments, filled and withdrawn bars, a ticker too short for a window, one whose last bars are filled."""
    table = features_table(4, 330)
    row = np.arange(table.num_rows)
    segment = np.where((row > 200) & (row < 330), 1, 0) + np.where((row > 260) & (row < 330), 1, 0)
    filled = np.isin(row, [45, 46, 120, 330 + 259, 330 + 260, 2 * 330 - 1, 2 * 330 - 2])
    daily_return = table["daily_return"].to_numpy().copy()
    daily_return[[201, 261]] = np.nan
    withdrawn = np.isin(row, [60, 61, 150, 330 + 200, 330 + 261, 3 * 330 - 1])
    columns = {"filled": filled, "withdrawn": withdrawn, "daily_return": daily_return}
    table = replaced(table, segment=segment.astype(np.int32), **columns)
    return pa.concat_tables([table.slice(0, 3 * 330), table.slice(3 * 330, 25)])


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("window", [2, 10])
def test_labels_follow_the_rules(horizon: int, window: int) -> None:
    config = CONFIG.model_copy(update={"horizon_bars": horizon, "window_bars": window})
    table = untidy_table()
    expected = labelled_by_hand(table, config)
    assert all(expected.values())
    assert read_back(sequences.build(table, config), config) == expected


def test_a_withdrawn_bar_is_an_input_but_no_origin_and_no_target() -> None:
    table = features_table(1, 300)
    withdrawn = np.arange(300) == 150
    whole, less = (label(each, CONFIG) for each in (table, replaced(table, withdrawn=withdrawn)))
    lost = np.flatnonzero((whole.split >= 0) & (less.split < 0))
    assert lost.tolist() == [150 - CONFIG.horizon_bars, 150]
    np.testing.assert_array_equal(whole.values, less.values)


def test_no_label_crosses_a_border() -> None:
    config = CONFIG.model_copy(update={"horizon_bars": 5})
    found = read_back(sequences.build(features_table(), config), config)
    assert max(target for _, _, target in found["train"]) == config.train_end
    assert min(origin for _, origin, _ in found["validation"]) == dt.date(2022, 1, 3)
    assert max(target for _, _, target in found["validation"]) == config.validation_end
    assert min(origin for _, origin, _ in found["test"]) == dt.date(2022, 4, 1)


def test_an_example_holds_only_the_bars_that_its_windows_need() -> None:
    shard = sequences.build(features_table(1, 400), CONFIG)["test"]
    [record] = tfrecord.records(shard.data, "test")
    dates = example.decode(record, "test")["dates"]
    assert len(dates) == shard.bars == CONFIG.window_bars - 1 + shard.windows + CONFIG.horizon_bars
    assert dates[CONFIG.window_bars - 1].astype("datetime64[D]").tolist() == dt.date(2022, 4, 1)


def test_values_and_targets_are_those_of_the_table() -> None:
    table = features_table(2, 300, seed=3)
    by_bar = {(row["ticker"], row["date"]): row for row in table.to_pylist()}
    for split, shard in sequences.build(table, CONFIG).items():
        for record in tfrecord.records(shard.data, split):
            features = example.decode(record, split)
            ticker = features["ticker"][0].decode()
            rows = [by_bar[ticker, date] for date in features["dates"].astype("datetime64[D]").tolist()]
            expected = np.array([[row[name] for name in FEATURE_NAMES] for row in rows], np.float32)
            np.testing.assert_array_equal(features["values"].reshape(-1, 8), expected)
            close = np.array([row["close"] for row in rows])
            output = ~np.isnan(features["targets"])
            returns = np.append(np.log(close[1:] / close[:-1]), np.nan)
            np.testing.assert_allclose(features["targets"][output], returns[output], rtol=1e-6)


def test_a_later_bar_changes_nothing_before_its_target() -> None:
    """Windows and targets up to a bar do not depend on later bars, bit for bit."""
    table = features_table(1, 300)
    cut = table.slice(0, 250)
    long, short = label(table, CONFIG), label(cut, CONFIG)
    np.testing.assert_array_equal(long.split[:249], short.split[:249])
    np.testing.assert_array_equal(long.targets[:249], short.targets[:249])
    assert short.split[249] == -1
    assert short.forecast[249]


def test_equal_tables_give_equal_bytes_however_they_are_chunked() -> None:
    table = features_table(3, 200)
    pieces = pa.concat_tables([table.slice(0, 150), table.slice(150, 1), table.slice(151)])
    assert sequences.build(table, CONFIG) == sequences.build(pieces, CONFIG)


def test_an_empty_table_has_no_windows() -> None:
    built = sequences.build(features_table().slice(0, 0), CONFIG)
    assert {split: (shard.windows, shard.data) for split, shard in built.items()} == dict.fromkeys(SPLITS, (0, b""))


def test_the_windows_layout_holds_every_window() -> None:
    table = untidy_table()
    bars = label(table, CONFIG)
    expected = labelled_by_hand(table, CONFIG)
    place = {(row["ticker"], row["date"]): number for number, row in enumerate(table.to_pylist())}
    for split, shard in window_export.export(table, CONFIG).items():
        records = [example.decode(record, split) for record in tfrecord.records(shard.data, split)]
        assert shard.windows == len(records) == len(expected[split])
        for features, (ticker, origin, _) in zip(records, expected[split], strict=True):
            assert features["ticker"] == [ticker.encode()]
            assert features["date"].astype("datetime64[D]").tolist() == [origin]
            end = place[ticker, origin]
            np.testing.assert_array_equal(features["inputs"].reshape(10, 8), bars.values[end - 9 : end + 1])
            target = np.nan if split == "forecast" else bars.targets[end]
            np.testing.assert_array_equal(features["target"], [target])


def test_dates_whose_varints_differ_in_length_share_a_shard() -> None:
    """Days before 2014-11-10 take two bytes, later ones three."""
    table = features_table(2, 80, start="2014-09-01")
    config = CONFIG.model_copy(update={"train_end": dt.date(2020, 1, 1), "validation_end": dt.date(2020, 2, 1)})
    shard = window_export.export(table, config)["train"]
    dates = [example.decode(record, "x")["date"][0] for record in tfrecord.records(shard.data, "x")]
    assert dates == [(origin - dt.date(1970, 1, 1)).days for _, origin, _ in labelled_by_hand(table, config)["train"]]
    assert min(dates) < 16_384 < max(dates)


def test_real_bars_keep_the_rules() -> None:
    import pyarrow.csv

    from dataset.tables import moving_average

    raw = pyarrow.csv.read_csv(real_data("core6_daily_2010_2024.csv.gz")).to_pandas()
    raw.columns = [name.lower() for name in raw.columns]
    parts = []
    for ticker, frame in raw.groupby("ticker" if "ticker" in raw else "symbol"):
        frame = frame.sort_values("date").iloc[:900]
        close = frame["close"].to_numpy(float)
        columns = {name: frame[name].to_numpy(float) for name in ("open", "high", "low", "close", "volume")}
        columns |= {"ma7": moving_average(close, 7), "ma21": moving_average(close, 21)}
        columns["daily_return"] = np.concatenate([[np.nan], close[1:] / close[:-1] - 1])
        head = {
            "ticker": [ticker] * len(close),
            "date": pa.array(np.array(frame["date"], "datetime64[D]")),
            "segment": pa.array(np.zeros(len(close), np.int32)),
            "filled": np.zeros(len(close), bool),
            "withdrawn": np.zeros(len(close), bool),
        }
        parts.append(pa.table(head | columns))
    table = pa.concat_tables(parts)
    config = DatasetConfig(
        window_bars=20, train_end=dt.date(2011, 12, 30), validation_end=dt.date(2012, 6, 29), horizon_bars=1
    )
    assert read_back(sequences.build(table, config), config) == labelled_by_hand(table, config)
