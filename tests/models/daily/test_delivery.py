"""latest.json and its Parquet file: whole, of one day, the same bytes again, and checked by `models verify`."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.errors import StorageError
from cloudlstm.models import delivery, ledger
from cloudlstm.models.day import run_day
from cloudlstm.models.paths import ModelPaths
from models.daily.recorded import FIRST_DAY, change_rows, evenings, write_market
from models.daily.untrained import add_version, make_model

SCHEMA_PAGE = Path(__file__).parents[3] / "docs/latest.schema.json"
SCHEMA = json.loads(SCHEMA_PAGE.read_text(encoding="utf-8"))
DAYS = list(evenings(FIRST_DAY, 4))


@pytest.fixture
def paths(tmp_path: Path) -> ModelPaths:
    """A model without a day, on bars in `bars`; challenger 2 also forecasts from the second day on."""
    made = make_model(f"file://{tmp_path}/runs", "m", write_market(tmp_path / "bars", tickers=3))
    add_version(made, 2)
    return made


def daily(paths: ModelPaths, number: int) -> int:
    return main(["daily", "m", f"--root={paths.root}", f"--now={DAYS[number][1].isoformat()}"])


def read(paths: ModelPaths) -> tuple[dict[str, Any], pa.Table]:
    """What a reader gets: latest.json and the file that it names."""
    latest: dict[str, Any] = storage.read_json(paths.latest)
    Draft202012Validator(SCHEMA).validate(latest)
    return latest, pq.read_table(io.BytesIO(storage.read(f"{paths.uri}/{latest['newest']['parquet']}")))


def test_the_schema_is_that_of_the_page() -> None:
    assert delivery.json_schema() == SCHEMA


def test_the_forecasts_of_the_champion_are_delivered(paths: ModelPaths) -> None:
    for number in range(2):
        assert daily(paths, number) == 0
        latest, table = read(paths)
        record = ledger.record_of(paths, latest["newest"]["session"])
        own = [row for row in ledger.forecasts_of(paths, record).to_pylist() if row["version"] == 1]
        assert [row["ticker"] for row in table.to_pylist()] == [row["ticker"] for row in own]
        for row, known in zip(table.to_pylist(), own, strict=True):
            assert row["forecast_return"] == known["forecast_return"]
            assert row["forecast_close"] == pytest.approx(known["last_close"] * math.exp(known["forecast_return"]))
        assert (latest["status"], latest["current"], latest["day"]) == ("done", True, DAYS[number][0].isoformat())
        assert (latest["newest"]["version"], latest["newest"]["forecasts"]) == (1, 3)
        assert latest["newest"]["session"] == DAYS[number + 1][0].isoformat()
        assert table.schema.metadata[b"record"].decode() == latest["newest"]["record"]
        assert latest["newest"]["made_at"] < latest["newest"]["opens_at"]


def test_after_a_refused_day_readers_see_the_last_good_forecasts_and_the_refusal(
    paths: ModelPaths, tmp_path: Path
) -> None:
    assert daily(paths, 0) == 0
    good, _ = read(paths)
    for file in (tmp_path / "bars").glob("*.csv"):
        change_rows(file, {DAYS[1][0].isoformat()}, -1.0)
    assert daily(paths, 1) == 3
    latest, _ = read(paths)
    assert (latest["status"], latest["current"], latest["day"]) == ("refused", False, DAYS[1][0].isoformat())
    assert latest["newest"] == good["newest"]
    assert "coverage" in " ".join(latest["reasons"])


def test_a_model_that_has_made_no_forecasts_says_so(paths: ModelPaths) -> None:
    late = DAYS[0][1].replace(hour=23, minute=59)
    run_day(paths, late, lambda: DAYS[1][1])
    latest = delivery.deliver(paths)
    assert (latest.status, latest.newest, latest.current) == ("late", None, False)
    assert delivery.problems(paths) == []


def test_the_example_of_the_page_takes_only_forecasts_of_the_session_that_is_needed(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not those of an older day either, whose latest.json says `current`."""
    assert daily(paths, 0) == 0
    page = (SCHEMA_PAGE.parent / "delivery.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    code = code.replace("runs/models/core6/", paths.uri.removeprefix("file://") + "/")
    code, places = re.subn(r'wanted = "[0-9-]+"', "pass", code)
    assert places == 1
    known: dict[str, Any] = {"wanted": DAYS[1][0].isoformat()}
    exec(code, known)
    assert len(known["forecasts"]) == 3
    with pytest.raises(AssertionError):
        exec(code, {"wanted": DAYS[2][0].isoformat()})


@pytest.mark.parametrize("write", [1, 2])
def test_a_delivery_that_was_killed_leaves_the_old_one_whole(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    """Between the document of the day and each write of the delivery, and then the same bytes."""
    assert daily(paths, 0) == 0
    before = read(paths)[0]
    run_day(paths, DAYS[1][1])
    real, writes = storage.write, 0

    def dying(uri: str, data: bytes, *, if_absent: bool = False) -> None:
        nonlocal writes
        writes += 1
        if writes == write:
            raise StorageError("the process was killed")
        real(uri, data, if_absent=if_absent)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write", dying)
        with pytest.raises(StorageError):
            delivery.deliver(paths)
    assert read(paths)[0] == before
    assert delivery.problems(paths) != []
    delivery.deliver(paths)
    first = {item.uri: item.etag for item in storage.list_objects(f"{paths.uri}/forecasts/")}
    delivery.deliver(paths)
    assert {item.uri: item.etag for item in storage.list_objects(f"{paths.uri}/forecasts/")} == first
    assert delivery.problems(paths) == []
    assert read(paths)[0]["current"]


def test_a_slow_process_does_not_deliver_an_older_day_over_a_newer_one(
    paths: ModelPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the first day; before its last write another process does the second one and delivers it."""
    run_day(paths, DAYS[0][1])
    real, others = storage.write, [1]

    def write(uri: str, data: bytes, *, if_absent: bool = False) -> None:
        if uri == paths.latest and others:
            assert daily(paths, others.pop()) == 0
        real(uri, data, if_absent=if_absent)

    monkeypatch.setattr(storage, "write", write)
    assert delivery.deliver(paths).day == DAYS[1][0].isoformat()
    assert read(paths)[0]["day"] == DAYS[1][0].isoformat()
    assert delivery.problems(paths) == []


def test_a_record_of_a_day_that_has_no_document_yet_is_not_delivered(paths: ModelPaths) -> None:
    assert daily(paths, 0) == 0
    before = storage.read(paths.latest)
    run_day(paths, DAYS[1][1])
    storage.delete(paths.day(DAYS[1][0].isoformat()))  # as if the day had been killed after its record
    delivery.deliver(paths)
    assert storage.read(paths.latest) == before


def another_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a release that writes other bytes of the same table."""
    real = pq.write_table

    def writing(table: pa.Table, file: Any, **_: Any) -> None:
        real(table, file, compression="gzip", write_statistics=False)

    monkeypatch.setattr(delivery.pq, "write_table", writing)


def test_another_pyarrow_finds_no_fault_and_keeps_the_file(paths: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    assert daily(paths, 0) == 0
    before = storage.read(paths.latest)
    another_pyarrow(monkeypatch)
    assert delivery.problems(paths) == []
    delivery.deliver(paths)
    assert storage.read(paths.latest) == before
    assert len(list(storage.list_objects(f"{paths.uri}/forecasts/"))) == 1


def test_a_file_with_other_forecasts_is_found_though_its_name_is_right(paths: ModelPaths) -> None:
    """Somebody replaced both objects."""
    assert daily(paths, 0) == 0
    latest, table = read(paths)
    before = storage.read(paths.latest)
    for column in ("forecast_return", "forecast_close", "ticker"):
        place = table.schema.get_field_index(column)
        changed = table.set_column(place, table.schema.field(column), table[column].take([1, 0, 2]))
        file = io.BytesIO()
        pq.write_table(changed, file)
        sha256 = hashlib.sha256(file.getvalue()).hexdigest()
        storage.write(paths.delivered(latest["newest"]["session"], sha256), file.getvalue())
        name = f"forecasts/{latest['newest']['session']}.{sha256}.parquet"
        forged = {**latest, "newest": latest["newest"] | {"sha256": sha256, "parquet": name}}
        storage.write_json(paths.latest, forged)
        assert f"{name} does not have the forecasts of the ledger" in delivery.problems(paths)
        delivery.deliver(paths)
        assert storage.read(paths.latest) == before


def test_a_file_that_was_changed_is_written_again(paths: ModelPaths) -> None:
    assert daily(paths, 0) == 0
    latest, table = read(paths)
    uri = f"{paths.uri}/{latest['newest']['parquet']}"
    storage.write(uri, storage.read(uri)[:-1] + b"x")
    delivery.deliver(paths)
    assert delivery.problems(paths) == []
    assert read(paths)[1].equals(table)


def test_verify_finds_what_was_changed(paths: ModelPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert daily(paths, 0) == 0
    latest, _ = read(paths)
    uri = f"{paths.uri}/{latest['newest']['parquet']}"
    assert delivery.problems(paths) == []
    good = storage.read(uri)
    storage.write(uri, good[:-1] + b"x")
    assert delivery.problems(paths) == [f"{latest['newest']['parquet']} was changed"]
    storage.delete(uri)
    assert delivery.problems(paths) == [f"{latest['newest']['parquet']} is missing"]
    storage.write(uri, good)
    storage.write_json(paths.latest, latest | {"current": False})
    capsys.readouterr()
    assert main(["models", "verify", "m", f"--root={paths.root}"]) == 1
    assert "delivered: latest.json is not that of the day" in capsys.readouterr().out
