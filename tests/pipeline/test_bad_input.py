"""Bad input ends with one line of error and the right exit status, and leaves no partial result.

Disks that are full have tests of their own, in reliability/test_full_disks.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlstm.config import load
from cloudlstm.errors import CloudLSTMError
from cloudlstm.pipeline.prepare import run_on
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs.context import RunContext, StepData
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from pipeline.cli_runner import SMALL, cloudlstm, error_line, one_run, submit, write_config

FILES = SMALL.replace('source = "synthetic"', 'source = "files"')


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid CSV file of two tickers."""
    from datetime import date

    from cloudlstm.config import SyntheticConfig
    from cloudlstm.market.calendar import sessions
    from cloudlstm.market.sources.synthetic import make_bars

    made = make_bars(
        SyntheticConfig(tickers=2, bad_ticks=0, missing_days=0, late_listings=0),
        ["AAA", "BBB"],
        sessions("XNYS", date(2019, 1, 1), date(2023, 12, 31)),
    )
    path = tmp_path_factory.mktemp("bars") / "bars.csv"
    made.drop_columns(["source"]).to_pandas().to_csv(path, index=False)
    return path


def failed(tmp_path: Path, path: Path | str, *words: str, root: str = "", status: int = 1) -> str:
    done = submit(write_config(tmp_path, FILES), root or f"{tmp_path}/runs", f"market.path={path}", *words)
    line = error_line(done)
    assert done.returncode == status, line
    return line


def refused(spark: Spark, tmp_path: Path, bars: Path, *words: str) -> str:
    """The error of the job "prepare" in this process."""
    config = load(str(write_config(tmp_path, FILES)), [f"market.path={bars}", *words])
    paths = RunPaths(f"file://{tmp_path}/run")
    with pytest.raises(CloudLSTMError) as caught, Journal(paths, "prepare", "driver") as journal:
        run_on(spark, RunContext(paths, config, 0, journal))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_ticker_is_named_with_near_ones(spark: Spark, tmp_path: Path, bars: Path) -> None:
    line = refused(spark, tmp_path, bars, "universe.tickers=AAA,BBBB")
    assert "BBBB" in line
    assert "BBB" in line.split("try:")[1]


def test_an_empty_universe(tmp_path: Path, bars: Path) -> None:
    empty = tmp_path / "universe.txt"
    empty.write_text("# nobody\n\n")
    line = failed(tmp_path, bars, f"universe.path={empty}")
    assert "universe is empty" in line
    assert "universe.txt" in line


def test_dates_in_the_wrong_order_run_nothing(tmp_path: Path, bars: Path) -> None:
    line = failed(tmp_path, bars, "market.start=2023-06-01", "market.end=2020-01-01", status=2)
    assert "2023-06-01" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("calendar", ["XTKS", "24/7"])
def test_bars_of_another_exchange_name_its_calendar(spark: Spark, tmp_path: Path, bars: Path, calendar: str) -> None:
    line = refused(spark, tmp_path, bars, f"market.calendar={calendar}")
    assert "the dates fit the calendar XNYS" in line
    assert line.endswith("(try: market.calendar=XNYS)")


def test_the_names_of_many_bad_tickers_are_in_a_file_that_can_be_typed(spark: Spark, tmp_path: Path) -> None:
    from datetime import date

    from cloudlstm.config import SyntheticConfig
    from cloudlstm.market.calendar import sessions
    from cloudlstm.market.sources.synthetic import make_bars

    names = [f"T{number:02d}" for number in range(60)]
    days = sessions("XNYS", date(2021, 9, 1), date(2023, 3, 31))
    made = make_bars(SyntheticConfig(tickers=60, bad_ticks=0, missing_days=0), names, days).to_pandas()
    bad = made.ticker.isin(names[:21]) & (made.index % 3 == 0)
    made.loc[bad, "close"] = 0.0
    path = tmp_path / "bars.parquet"
    made.to_parquet(path)
    line = refused(spark, tmp_path, path, "market.tickers_per_shard=60")
    assert "21 tickers" in line
    file = line.split('universe.exclude="$(cat ')[1].split(')"')[0]
    exclude = f"universe.exclude={Path(file).read_text()}"
    assert exclude == f"universe.exclude={','.join(names[:21])}"
    line = refused(spark, tmp_path, path, "market.tickers_per_shard=60", exclude, "dataset.window_bars=2000")
    assert "no window of 2000 bars" in line  # the gate lets the other tickers pass


def test_bars_before_the_splits_name_split_dates(spark: Spark, tmp_path: Path, bars: Path) -> None:
    later = ("dataset.train_end=2024-01-31", "dataset.validation_end=2024-06-28", "market.end=2024-12-31")
    line = refused(spark, tmp_path, bars, *later)
    assert "in validation, test: its bars are of 2019-01-02 to 2023-12-29" in line
    assert "try: dataset.train_end=2022-12-28 dataset.validation_end=2023-05-05" in line


def test_a_window_longer_than_the_history(spark: Spark, tmp_path: Path, bars: Path) -> None:
    line = refused(spark, tmp_path, bars, "dataset.window_bars=2000")
    assert "2000" in line
    assert "window" in line


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "nowhere.csv" in failed(tmp_path, "/tmp/nowhere.csv")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and then nothing of the kind")
    assert "broken.parquet" in failed(tmp_path, broken)


def test_bars_that_are_mostly_wrong_fail_with_evidence(tmp_path: Path, bars: Path) -> None:
    header, *rows = bars.read_text().splitlines()
    fields = header.split(",")
    spoiled = []
    for number, row in enumerate(rows):
        cells = row.split(",")
        if number % 10 == 0:
            cells[fields.index("close")] = "0"
        spoiled.append(",".join(cells))
    path = tmp_path / "spoiled.csv"
    path.write_text("\n".join([header, *spoiled]) + "\n")
    line = failed(tmp_path, path)
    assert "10.0" in line
    assert "non_positive_price" in line
    run = Path(one_run(f"file://{tmp_path}/runs").removeprefix("file://"))
    assert list(run.glob("data/clean/*/quarantine-*.parquet"))
    assert not (run / "manifests" / "clean.json").exists()


def test_no_rights_on_the_storage(tmp_path: Path) -> None:
    """Not even root can create folders in /sys."""
    done = submit(write_config(tmp_path), "/sys/cloudlstm-runs")
    assert done.returncode == 1
    assert "/sys/cloudlstm-runs" in error_line(done)


def test_no_rights_on_s3(tmp_path: Path, s3_root: str) -> None:
    done = submit(write_config(tmp_path), s3_root, env={"AWS_SECRET_ACCESS_KEY": "not-the-secret"})
    assert done.returncode == 1
    line = error_line(done)
    assert s3_root.removeprefix("s3://").split("/")[0] in line


def test_an_unknown_run(tmp_path: Path) -> None:
    done = cloudlstm("status", "--run=never-was", f"--root={tmp_path}")
    assert done.returncode == 2
    assert "never-was" in error_line(done)


def test_each_list_of_tickers_gets_a_file(tmp_path: Path) -> None:
    from cloudlstm.pipeline.judge import _evidence

    data = StepData(RunPaths(f"file://{tmp_path}"), "clean", "place")
    evidence = _evidence(Manifest("ingest", "", (), 0.0), [], data, "XNYS")
    paths = [evidence.save("A,B"), evidence.save("C,D")]
    assert [Path(path).read_text() for path in paths] == ["A,B", "C,D"]
