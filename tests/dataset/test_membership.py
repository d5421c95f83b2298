"""Labels of members: exactly those of the whole universe whose origin lies in a period of their ticker."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bar_factory import weekdays
from cloudlstm.config import DatasetConfig
from cloudlstm.dataset import example, sequences, tfrecord, window_export
from cloudlstm.dataset.splits import LABELLED, SPLITS, bars_before_label, require_members
from cloudlstm.errors import DataError
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.market.calendar import to_date
from cloudlstm.market.members import Members
from cloudlstm.market.universe import Universe
from dataset.tables import features_table, replaced

Periods = Mapping[str, Sequence[tuple[dt.date, dt.date | None]]]

CONFIG = DatasetConfig(
    window_bars=10, horizon_bars=2, train_end=dt.date(2021, 8, 31), validation_end=dt.date(2021, 11, 30)
)
TABLE = features_table(4, 330)
TABLE = replaced(TABLE, withdrawn=np.isin(np.arange(TABLE.num_rows), [200, 700, 701]))
LAST = TABLE["date"][-1].as_py()


def members_of(periods: Periods, last: dt.date = LAST) -> Members:
    found = {name: tuple(each) for name, each in periods.items()}
    made = Members.of(Universe(("T000", "T001", "T002", "T003"), found), last)
    assert made is not None
    return made


def is_member(periods: Periods, ticker: str, date: dt.date) -> bool:
    if ticker not in periods:
        return True
    return any(first <= date and (last is None or date <= last) for first, last in periods[ticker])


Windows = dict[str, dict[tuple[str, dt.date], tuple[bytes, bytes]]]


def windows_of(data: Mapping[str, sequences.BuiltShard], config: DatasetConfig = CONFIG) -> Windows:
    """Split -> (ticker, origin) -> bytes of the window's values and of its target, read from the sequences."""
    found: Windows = {}
    for split, shard in data.items():
        found[split] = {}
        for record in tfrecord.records(shard.data, split):
            read = example.decode(record, split)
            values = read["values"].reshape(-1, len(FEATURE_NAMES))
            ends = [len(values) - 1] if split == "forecast" else np.flatnonzero(~np.isnan(read["targets"]))
            for end in ends:
                window = values[end - config.window_bars + 1 : end + 1]
                assert window.shape == (config.window_bars, len(FEATURE_NAMES))
                origin = read["dates"][end : end + 1].astype("datetime64[D]").tolist()[0]
                found[split][read["ticker"][0].decode(), origin] = (window.tobytes(), read["targets"][end].tobytes())
    return found


WHOLE = windows_of(sequences.build(TABLE, CONFIG))
DATES = sorted({row.as_py() for row in TABLE["date"]})


@st.composite
def periods_of(draw: st.DrawFn) -> list[tuple[dt.date, dt.date | None]]:
    """Up to three periods that do not overlap; some begin or end on days without a session."""
    days = st.integers(-20, (DATES[-1] - DATES[0]).days + 20)
    ends = sorted(draw(st.lists(days, unique=True, min_size=2, max_size=6)))
    found: list[tuple[dt.date, dt.date | None]] = [
        (DATES[0] + dt.timedelta(days=first), DATES[0] + dt.timedelta(days=last))
        for first, last in zip(ends[::2], ends[1::2], strict=False)
    ]
    if draw(st.booleans()):
        found[-1] = (found[-1][0], None)
    return found


@given(st.dictionaries(st.sampled_from(["T000", "T001", "T002", "T003"]), periods_of()))
def test_labels_are_those_of_the_whole_universe_whose_origin_lies_in_a_period(periods: Periods) -> None:
    built = sequences.build(TABLE, CONFIG, members_of(periods))
    found = windows_of(built)
    for split in LABELLED:
        inside = {key: value for key, value in WHOLE[split].items() if is_member(periods, *key)}
        assert found[split] == inside, "and each has the same window and target, bit for bit"
        assert built[split].windows == len(inside)
        assert built[split].left_out == len(WHOLE[split]) - len(inside)
    # All tickers of the table have a bar on the last date.
    current = {key: value for key, value in WHOLE["forecast"].items() if is_member(periods, *key)}
    assert found["forecast"] == current
    assert built["forecast"].left_out == 4 - len(current)


@given(st.dictionaries(st.sampled_from(["T000", "T001", "T002", "T003"]), periods_of()))
def test_the_windows_layout_has_the_same_windows(periods: Periods) -> None:
    members = members_of(periods)
    built, exported = sequences.build(TABLE, CONFIG, members), window_export.export(TABLE, CONFIG, members)
    assert {split: shard.windows for split, shard in exported.items()} == {
        split: shard.windows for split, shard in built.items()
    }


def test_periods_over_all_dates_give_the_bytes_of_a_list() -> None:
    plain = sequences.build(TABLE, CONFIG)
    assert all(plain[split].windows for split in SPLITS)
    everything: Periods = {
        "T000": [(DATES[0], None)], "T001": [(DATES[0], DATES[-1])], "T002": [(dt.date(1990, 1, 1), None)],
    }  # fmt: skip
    assert sequences.build(TABLE, CONFIG, members_of(everything)) == plain


def test_an_empty_table_has_no_windows() -> None:
    empty = sequences.build(TABLE.slice(0, 0), CONFIG, members_of({"T000": [(DATES[0], None)]}))
    assert {(shard.windows, shard.left_out) for shard in empty.values()} == {(0, 0)}


def test_the_first_window_of_a_period_begins_before_it() -> None:
    first = DATES[210]
    found = windows_of(sequences.build(TABLE, CONFIG, members_of({"T000": [(first, None)]})))
    keys = [key for split in LABELLED for key in found[split] if key[0] == "T000"]
    assert min(origin for _, origin in keys) == first
    [place] = [n for n, row in enumerate(TABLE["date"][:330]) if row.as_py() == first]
    expected = np.stack([TABLE[name].to_numpy()[place - 9 : place + 1] for name in FEATURE_NAMES], axis=1)
    split = next(split for split in LABELLED if ("T000", first) in found[split])
    assert found[split]["T000", first][0] == expected.astype(np.float32).tobytes()


def test_a_label_may_end_after_its_period_and_a_forecast_needs_a_member_of_the_last_date() -> None:
    leaves = DATES[-5]
    built = windows_of(sequences.build(TABLE, CONFIG, members_of({"T001": [(DATES[0], leaves)]})))
    assert max(origin for name, origin in built["test"] if name == "T001") == leaves
    assert {name for name, _ in built["forecast"]} == {"T000", "T002", "T003"}


def test_a_member_whose_bars_ended_with_its_membership_has_labels_and_no_forecast() -> None:
    gone = DATES[250]
    rows = [row["ticker"] != "T002" or row["date"] <= gone for row in TABLE.select(["ticker", "date"]).to_pylist()]
    table = TABLE.filter(pa.array(rows))
    built = windows_of(sequences.build(table, CONFIG, members_of({"T002": [(DATES[0], gone)]})))
    expected = windows_of(sequences.build(table, CONFIG))
    assert {split: built[split] for split in LABELLED} == {split: expected[split] for split in LABELLED}
    assert ("T002", gone) in expected["forecast"]
    assert ("T002", gone) not in built["forecast"], "the market's last date is later"


def test_a_ticker_that_joined_an_index_in_2015_has_no_label_before() -> None:
    config = DatasetConfig(window_bars=50, train_end=dt.date(2015, 12, 31), validation_end=dt.date(2016, 6, 30))
    table = features_table(2, 2000, start="2010-01-04")
    joined = dt.date(2015, 3, 23)
    found = windows_of(
        sequences.build(table, config, members_of({"T001": [(joined, None)]}, last=table["date"][-1].as_py())), config
    )
    origins = {name: sorted(date for split in LABELLED for each, date in found[split] if each == name) for name in
               ("T000", "T001")}  # fmt: skip
    assert origins["T000"][0] < dt.date(2010, 5, 1)
    assert origins["T001"][0] == joined
    assert origins["T001"] == [date for date in origins["T000"] if date >= joined]


def test_a_split_that_membership_empties_is_an_error_of_its_own() -> None:
    with pytest.raises(DataError, match=r"no window in validation \(1,234 windows\): .* no members") as caught:
        sequences.require_windows({"train": 9, "test": 1}, CONFIG, 300, weekdays(330), {"validation": 1234, "test": 5})
    assert "universe.path" in caught.value.hint
    with pytest.raises(DataError, match="no window of 10 bars"):
        sequences.require_windows({"train": 9, "test": 1}, CONFIG, 300, weekdays(330), {"validation": 0})


@pytest.mark.parametrize("horizon", [1, 5])
def test_dates_without_members_are_found_before_a_run_starts(horizon: int) -> None:
    """The first and the last origin that a split can have are those of a whole table of bars."""
    config = CONFIG.model_copy(update={"horizon_bars": horizon})
    whole = windows_of(sequences.build(features_table(1, 330), config), config)
    days = weekdays(330, DATES[0])
    for split in LABELLED:
        origins = sorted(origin for _, origin in whole[split])
        others = [(min(o for _, o in whole[each]), None if each == "test" else max(o for _, o in whole[each]))
                  for each in LABELLED if each != split]  # fmt: skip
        for date, fits in ((origins[0], True), (origins[-1], True), (DATES[DATES.index(origins[-1]) + 1], False)):
            periods = sorted([*others, (date, date)])
            members = members_of(dict.fromkeys(("T000", "T001", "T002", "T003"), periods[:3]))
            if fits:
                require_members(days, config, members)
            else:
                with pytest.raises(DataError, match=f"a label of {split} can begin") as caught:
                    require_members(days, config, members)
                assert caught.value.hint
    early = to_date(int(days[bars_before_label(config) - horizon - 2]))
    with pytest.raises(DataError, match="a label of train, validation, test can begin"):
        require_members(days, config, members_of({f"T{n:03d}": [(DATES[0], early)] for n in range(4)}))
    require_members(days, config, members_of({"T000": [(DATES[0], early)]}))
