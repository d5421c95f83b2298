"""Files, roles of columns, and times."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudlstm import storage
from cloudlstm.audit import Settings, times
from cloudlstm.audit.reading import read_table
from cloudlstm.audit.roles import find_roles
from cloudlstm.errors import UnreadableSourceError, UsageError

ROWS = "symbol;Date;x;note;y\nTRUE;2020-01-02;1,5;a;0.1\nNA2;2020-01-03;2;b;NA\n"


def test_csv_gzip_and_parquet_give_the_same_table(tmp_path: Path) -> None:
    text = "ticker,date,x,target\nA,2020-01-02,1.5,0.1\nA,2020-01-03,,\n"
    table = pa.table(
        {"ticker": ["A", "A"], "date": ["2020-01-02", "2020-01-03"], "x": [1.5, None], "target": [0.1, None]}
    )
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    pq.write_table(table, tmp_path / "t.parquet")
    storage.write("memory://audit/t.csv", text.encode())
    places = [(tmp_path / name).as_uri() for name in ("t.csv", "t.csv.gz", "t.parquet")] + ["memory://audit/t.csv"]
    for place in places:
        found, roles = read_table(place, Settings())
        assert found.to_pydict() == table.to_pydict()
        assert (roles.entity, roles.time, roles.target, roles.price) == ("ticker", "date", "target", None)


def test_an_entity_that_looks_like_a_truth_value_stays_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(ROWS)
    table, roles = read_table((tmp_path / "t.csv").as_uri(), Settings())
    assert table["symbol"].to_pylist() == ["TRUE", "NA2"]
    assert (roles.entity, roles.time, roles.target) == ("symbol", "Date", "y")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1 and no more", "no valid Parquet"),
        (b"\x1f\x8b broken", "cannot be unpacked"),
        (b"one column\n1\n", "no header"),
        (b"date,x,x\n2020-01-01,1,2\n", "two columns of the name x"),
        (b"date,x\n", "has no rows"),
        (b"date,x\n2020-01-01,1,2\n", "no valid CSV"),
        ("date,ä\n".encode("latin-1"), "neither Parquet nor CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(UnreadableSourceError, match=message):
        read_table((tmp_path / "t").as_uri(), Settings())


def test_roles_are_found_by_name_and_the_best_name_wins() -> None:
    roles = find_roles(["id", "Trade_Date", "Ticker", "adj_close", "close", "Label", "fold"], Settings(), "it")
    assert roles.entity == "Ticker"
    assert (roles.time, roles.target, roles.split, roles.price) == ("Trade_Date", "Label", "fold", "close")
    named = find_roles(["id", "date", "close", "y"], Settings(target="close", price="y"), "it")
    assert (named.target, named.price) == ("close", "y")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(target="retrun"), "no column retrun"),
        (Settings(features=("a", "nope")), "no column nope"),
        (Settings(target="a", price="a"), "two roles"),
        (Settings(target="a", features=("a",)), "has another role"),
    ],
)
def test_wrong_names_are_refused(settings: Settings, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_roles(["ticker", "date", "a", "return"], settings, "it")


def test_a_table_without_a_time_is_refused() -> None:
    with pytest.raises(UsageError, match="known as a time"):
        find_roles(["ticker", "a", "target"], Settings(), "it")


def seconds(values: list[object]) -> list[str]:
    return [times.iso(each) for each in times.parse(pa.chunked_array([pa.array(values)]), "t", "it").seconds]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2020-01-02", "2020-12-31"], ["2020-01-02", "2020-12-31"]),
        (["2020/1/2", "2020.12.31"], ["2020-01-02", "2020-12-31"]),
        (["13/01/2020", "02/01/2020"], ["2020-01-13", "2020-01-02"]),
        (["01/13/2020", "01/02/2020"], ["2020-01-13", "2020-01-02"]),
        (["20200102", "20201231"], ["2020-01-02", "2020-12-31"]),
        ([20200102, 20201231], ["2020-01-02", "2020-12-31"]),
        ([202001, 202012], ["2020-01-01", "2020-12-01"]),
        ([1990, 2020], ["1990-01-01", "2020-01-01"]),
        ([1577923200, 1577923200 + 3600], ["2020-01-02", "2020-01-02T01:00:00"]),
        ([1577923200000], ["2020-01-02"]),
        (["2020-01-02T16:00:00-05:00", "2020-01-02 21:30Z"], ["2020-01-02T21:00:00", "2020-01-02T21:30:00"]),
        (["2020-01-02 16:00:00.250"], ["2020-01-02T16:00:00"]),
        ([np.datetime64("2020-01-02T16:00:00", "ns")], ["2020-01-02T16:00:00"]),
    ],
)
def test_times_are_read(values: list[object], expected: list[str]) -> None:
    assert seconds(values) == expected


def test_what_is_ambiguous_is_counted() -> None:
    texts = ["03/04/2020", "13/04/2020", "04/25/2020", "nonsense", None, "31/06/2020"]
    found = times.parse(pa.chunked_array([pa.array(texts)]), "t", "it")
    assert (found.day_first, found.month_first, found.either, found.unreadable) == (2, 1, 1, 2)
    zones = times.parse(
        pa.chunked_array([pa.array(["2020-01-02 10:00Z", "2020-01-02 10:00", "2020-01-02"])]), "t", "it"
    )
    assert (zones.with_zone, zones.without_zone) == (1, 1)


def test_words_are_no_times() -> None:
    with pytest.raises(UnreadableSourceError, match="2 of 2 values of the column t"):
        seconds(["first", "second"])
