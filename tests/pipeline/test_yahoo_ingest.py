"""The step ingest with the source yahoo on a real Spark: no ticker is lost, hidden or fetched twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from localstack.yahoo import Fault, Listing, Yahoo, listings

from bar_factory import bars_of, walk
from cloudlstm import storage
from cloudlstm.cli.progress import figures
from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import FetchError
from cloudlstm.market import bars
from cloudlstm.market.calendar import sessions
from cloudlstm.market.sources.files.source import FilesSource
from cloudlstm.pipeline import ingest as module
from cloudlstm.pipeline import prepare
from cloudlstm.pipeline.ingest import Ingest
from cloudlstm.pipeline.local_engine import LocalEngine
from cloudlstm.pipeline.rounds import Rounds
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs import index
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.environment import YAHOO_URL
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.progress import Progress

START, END = dt.date(2023, 1, 3), dt.date(2023, 3, 31)
SESSIONS = sessions("XNYS", START, END)


def bars_made(ticker: str) -> pa.Table:
    return bars_of(ticker, SESSIONS, walk(len(SESSIONS), seed=int(ticker[1:])))


def market(*tickers: str) -> dict[str, Listing]:
    return listings(row for ticker in tickers for row in bars_made(ticker).to_pylist())


def config_of(*tickers: str, **yahoo: float) -> RunConfig:
    settings = {"requests_per_minute": 60_000, "backoff_s": 0.02, "timeout_s": 5.0, "attempts": 4} | yahoo
    return parse(
        {
            "universe": {"tickers": tickers},
            "market": {"start": START, "end": END, "tickers_per_shard": 64, "yahoo": settings},
            "dataset": {"train_end": dt.date(2023, 2, 1), "validation_end": dt.date(2023, 3, 1)},
        }
    )


class RecordingJournal(Journal):
    """A journal that keeps all progress."""

    def __init__(self, paths: RunPaths) -> None:
        super().__init__(paths, "prepare", "driver")
        self.reports: list[Progress] = []

    def report(self, step: str, done: int, total: int, unit: str, **facts: object) -> None:
        super().report(step, done, total, unit, **facts)  # type: ignore[arg-type]
        self.reports.append(self._progress[step])


def ingest(spark: Spark, folder: Path, config: RunConfig, journal: Journal | None = None) -> Manifest:
    paths = RunPaths(f"file://{folder}")
    return prepare._Pipeline(spark, RunContext(paths, config, 0, journal or RecordingJournal(paths))).ingest(None)


def test_500_tickers_with_faults_end_complete(spark: Spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tickers = [f"T{number:03d}" for number in range(500)]
    passing = [
        Fault("status", 2, 429), Fault("status", 1, 429, "0.1"), Fault("status", 2, 500), Fault("truncated", 1),
        Fault("hang-up", 1), Fault("short", 2), Fault("status", 1, 503), Fault("status", 1, 401),
    ]  # fmt: skip
    with Yahoo(market(*tickers)) as yahoo:
        yahoo.faults = {
            tickers[20 * at + 7]: [Fault(**{name: getattr(fault, name) for name in fault.__slots__})]
            for at, fault in enumerate((passing * 4)[:25])
        }
        monkeypatch.setenv(YAHOO_URL, yahoo.url)
        journal = RecordingJournal(RunPaths(f"file://{tmp_path}"))
        manifest = ingest(spark, tmp_path, config_of(*tickers), journal)
        assert not any(yahoo.faults.values()), "every fault was met"
        assert set(yahoo.asked) == set(tickers)
    shown = manifest.facts["coverage"]
    assert [shown[key] for key in ("asked", "fetched", "reused", "empty", "failed")] == [500, 500, 0, 0, 0]
    assert shown["unfetched"] == []
    shards = [bars.from_parquet(read_object(row)) for row in manifest.of_kind("bars")]
    assert [len(set(shard.column("ticker").to_pylist())) for shard in shards] == [64] * 7 + [52]
    expected = pa.concat_tables([bars_made(ticker) for ticker in tickers]).unify_dictionaries()
    whole = pa.concat_tables(shards).unify_dictionaries()
    for name in ("ticker", "date", "open", "high", "low", "close", "adj_close", "volume"):
        assert whole.column(name).to_pylist() == expected.column(name).to_pylist(), name
    counted = [report for report in journal.reports if report.unit == "tickers"]
    assert (counted[0].done, counted[-1].done) == (0, 500)
    assert {report.total for report in counted} == {500}


def test_only_what_is_missing_is_fetched_again(spark: Spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tickers = [f"T{number:03d}" for number in range(8)]
    config = config_of(*tickers, "T999")
    with Yahoo(market(*tickers)) as yahoo:
        monkeypatch.setenv(YAHOO_URL, yahoo.url)
        yahoo.faults = {"T003": [Fault("status", None, 503)], "T006": [Fault("truncated")]}
        torn = RecordingJournal(RunPaths(f"file://{tmp_path}/torn"))
        with pytest.raises(FetchError) as caught:
            ingest(spark, tmp_path / "torn", config, torn)
        output = str(caught.value)
        assert "2 of 9 tickers could not be fetched from Yahoo Finance: T003: HTTP 503 (4 attempts" in output
        assert "T006: the reply is not complete JSON" in output
        assert "only missing ones are requested" in output
        (uri,) = [item.uri for item in storage.list_objects(f"file://{tmp_path}/torn/") if "coverage" in item.uri]
        assert uri in output
        statuses = {each["ticker"]: each["status"] for each in storage.read_json(uri)["tickers"]}
        assert sorted(statuses.values()) == ["empty", *["failed"] * 2, *["fetched"] * 6]
        assert statuses["T999"] == "empty"
        last = torn.reports[-1]
        assert (last.done, last.total, last.unit) == (7, 9, "tickers")

        yahoo.faults.clear()
        yahoo.asked.clear()
        # A corrupt snapshot counts as missing; snapshots of other inputs are removed.
        rotten = next((tmp_path / "torn").rglob("T001.*.parquet"))
        rotten.write_bytes(rotten.read_bytes()[:-100])
        stale = tmp_path / "torn" / "data" / "ingest" / "0123456789abcdef" / "snapshots" / "T000.00.parquet"
        stale.parent.mkdir(parents=True)
        stale.write_bytes(b"old")
        journal = RecordingJournal(RunPaths(f"file://{tmp_path}/torn"))
        mended = ingest(spark, tmp_path / "torn", config, journal)
        assert yahoo.asked == {"T001": 1, "T003": 1, "T006": 1}
        assert not stale.exists()
        assert len(list((tmp_path / "torn").rglob("T00*.parquet"))) == 8
        assert (journal.reports[0].done, journal.reports[0].resumed) == (7, 7)
        shown = mended.facts["coverage"]
        assert [shown[key] for key in ("asked", "fetched", "reused", "empty", "failed")] == [9, 8, 6, 1, 0]
        assert shown["unfetched"] == [
            {"ticker": "T999", "status": "empty", "cause": "No data found, symbol may be delisted"}
        ]

        yahoo.asked.clear()
        again = ingest(spark, tmp_path / "torn", config)
        assert not yahoo.asked, "a finished step asks no server"
        assert again.digest() == mended.digest()
        undisturbed = ingest(spark, tmp_path / "whole", config)
    assert undisturbed.digest() == mended.digest()
    assert [row.sha256 for row in undisturbed.of_kind("bars")] == [row.sha256 for row in mended.of_kind("bars")]
    about = [row.sha256 for manifest in (undisturbed, mended) for row in manifest.of_kind("coverage")]
    assert about[0] != about[1], "the coverage report contains times and is not part of the digest"


def test_runs_of_one_root_share_what_was_fetched_within_a_day(
    spark: Spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Yahoo(market("T001", "T002", "T003")) as yahoo:
        monkeypatch.setenv(YAHOO_URL, yahoo.url)
        first = ingest(spark, tmp_path / "first", config_of("T001", "T002"))
        index.mark(f"file://{tmp_path}", "first")
        index.mark(f"file://{tmp_path}", "second")
        yahoo.asked.clear()
        second = ingest(spark, tmp_path / "second", config_of("T002", "T003"))
        assert yahoo.asked == {"T003": 1}
        assert second.facts["coverage"]["reused"] == 1
        yahoo.asked.clear()
        same = ingest(spark, tmp_path / "third", config_of("T001", "T002"))
        assert not yahoo.asked
        assert same.digest() == first.digest()


def test_a_source_that_does_not_answer_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 0.0, 10.0, 10.0, 26.0, 26.0, 30.0, 30.0))  # at the start, then two looks a turn
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.__next__))
    journal = RecordingJournal(RunPaths(f"file://{tmp_path}"))
    context = RunContext(RunPaths(f"file://{tmp_path}"), config_of("T1"), 0, journal)
    ingest = Ingest(context.step("ingest", "print"), Rounds(LocalEngine(1), context), lambda _: [])
    report = ingest._report_snapshots("Yahoo Finance", f"file://{tmp_path}/", 1)
    report(0)
    report(0)
    (tmp_path / "T1.abc.parquet").write_bytes(b"")
    report(0)
    phases = [each.facts.get("phase") for each in journal.reports]
    assert phases == [None, "no answer from Yahoo Finance, retrying", None]


def test_the_first_report_says_how_much_is_read(tmp_path: Path) -> None:
    journal = RecordingJournal(RunPaths(f"file://{tmp_path}"))
    context = RunContext(RunPaths(f"file://{tmp_path}"), config_of("T1"), 0, journal)
    (tmp_path / "bars").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "bars" / name).write_text("date,ticker,open,high,low,close,volume\n2023-01-03,A,1,1,1,1,1\n")
    files = FilesSource.open(parse({"market": {"source": "files", "path": f"{tmp_path}/bars"}}).market, None)
    ingest = Ingest(context.step("ingest", "print"), Rounds(LocalEngine(1), context), lambda _: [])
    ingest._report_reading(files.partitions(), "file")(0)
    assert figures(journal.reports[0]) == "at work · reading 2 files"
