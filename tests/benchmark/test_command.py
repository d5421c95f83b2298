"""The command `benchmark` on real runs: a failed cell, the continuation, the results, and a cell that was changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.benchmark.matrix import Cell
from cloudlstm.benchmark.paths import BenchmarkPaths, benchmark_ids
from cloudlstm.cli import main
from cloudlstm.errors import MachineError
from cloudlstm.runs.manifest import Manifest
from cloudlstm.targets.local import job

SMALL = """
name = "small"
[benchmark]
tickers = [3]
cores = [1]
workers = [1]
train_cores = []
repeats = 1
[market]
source = "synthetic"
start = 2019-01-01
end = 2023-12-31
[dataset]
window_bars = 10
train_end = 2021-12-31
validation_end = 2022-12-31
[model]
units = 4
[train]
epochs = 1
batch_windows = 512
"""
LOCAL, SPARK, TRAIN = Cell("data", 3, "local", 1), Cell("data", 3, "spark", 1), Cell("train", 3, "local", None, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def words(folder: Path) -> list[str]:
    (folder / "small.toml").write_text(SMALL)
    return ["benchmark", f"--config={folder / 'small.toml'}", f"--root={folder / 'runs'}"]


@pytest.fixture(scope="module")
def paths(folder: Path, words: list[str]) -> BenchmarkPaths:
    """The benchmark after its first start, on a machine without Java."""

    def no_java() -> None:
        raise MachineError("there is no Java here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "find_java", no_java)
        assert main(words) == 1
    (name,) = benchmark_ids(f"file://{folder / 'runs'}")
    return BenchmarkPaths.of(f"file://{folder / 'runs'}", name)


def states(paths: BenchmarkPaths) -> dict[str, tuple[str, str | None]]:
    return {each["name"]: (each["state"], each["reason"]) for each in storage.read_json(paths.result("json"))["cells"]}


def test_a_failed_cell_is_told_and_the_others_go_on(paths: BenchmarkPaths) -> None:
    assert states(paths) == {
        LOCAL.name: ("equal", None),
        SPARK.name: ("failed", "there is no Java here"),
        TRAIN.name: ("equal", None),
    }


def test_the_same_command_runs_only_what_failed(
    paths: BenchmarkPaths, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = storage.read(paths.measurement(LOCAL.run_id(1)))
    assert main(words) == 0
    shown = capsys.readouterr()
    assert shown.err.count("has run before") == 2
    assert storage.read(paths.measurement(LOCAL.run_id(1))) == before
    assert {state for state, _ in states(paths).values()} == {"equal"}
    assert "1 of 3 cells has no other run with equal results" in " ".join(shown.out.split())  # the only training


def test_training_uses_data_that_a_cell_has_prepared(paths: BenchmarkPaths) -> None:
    prepared, taken = (Manifest.load(paths.run(cell.run_id(1)), "sequences") for cell in (LOCAL, TRAIN))
    assert prepared
    assert taken
    assert taken.digest() == prepared.digest()
    assert taken.facts["reused"] == paths.run(LOCAL.run_id(1)).uri


def test_reports_and_lists_know_the_benchmark(
    paths: BenchmarkPaths, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"--root={folder / 'runs'}"
    assert main(["report", "small", root]) == 0
    assert "Data steps by cell" in capsys.readouterr().out
    assert main(["report", paths.name, root, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [cell["peak_bytes"] is not None for cell in document["cells"]] == [True] * 3
    assert document["against_one_process"][0]["cell"] == SPARK.name
    assert document["cells"][2]["scores"]["rmse_price"] > 0.0
    assert main(["report", paths.uri, f"--to={folder / 'copies'}"]) == 0
    assert {path.name for path in (folder / "copies").iterdir()} == {
        "benchmark.html", "benchmark.json", "benchmark.md",
    }  # fmt: skip
    capsys.readouterr()
    assert main(["runs", root, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["runs"] == []  # the runs of cells have a root of their own
    assert [(each["benchmark"], each["cells"], each["equal"]) for each in listed["benchmarks"]] == [(paths.name, 3, 3)]


def test_a_dry_run_lists_the_runs_and_does_nothing(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "name=other", "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["run"] for each in document["runs"]] == [each.run_id(1) for each in (LOCAL, SPARK, TRAIN)]
    assert document["seconds"] > 0
    assert document["usd"] is None
    assert len(benchmark_ids(f"file://{folder / 'runs'}")) == 1


def test_a_changed_byte_takes_the_time_of_its_cell(
    paths: BenchmarkPaths, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    features = Manifest.load(paths.run(SPARK.run_id(1)), "features")
    assert features
    data = storage.read(features.objects[0].uri)
    storage.write(features.objects[0].uri, data[:-1] + bytes([data[-1] ^ 1]))
    assert main(words) == 1
    state, reason = states(paths)[SPARK.name]
    assert state == "unequal"
    assert "checksum" in (reason or "")
    for text in (capsys.readouterr().out, storage.read(paths.result("html")).decode()):
        assert "1 of 3 cells does not count" in text
        assert "does not have the checksum" in text


def test_the_same_command_makes_a_refused_run_anew(
    paths: BenchmarkPaths, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (refused,) = [cell["refused"] for cell in storage.read_json(paths.result("json"))["cells"] if cell["refused"]]
    assert refused == [SPARK.run_id(1)]
    assert main(words) == 0
    assert capsys.readouterr().err.count("has run before") == 2
    assert states(paths)[SPARK.name] == ("equal", None)


def test_commands_on_runs_say_where_a_benchmark_is_shown(
    paths: BenchmarkPaths, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", paths.name, f"--root={folder / 'runs'}"]) == 2
    shown = capsys.readouterr().err
    assert f"{paths.name} is a benchmark, not a run" in shown
    assert f"cloudlstm report {paths.name}" in shown


def test_a_benchmark_is_deleted_with_its_runs(
    paths: BenchmarkPaths, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"--root={folder / 'runs'}"
    assert main(["delete", "small", root, "--yes"]) == 2  # without a question the id must be complete
    assert paths.name in capsys.readouterr().err
    assert main(["delete", paths.name, root, "--yes"]) == 0
    assert "3 runs" in capsys.readouterr().out
    assert not (folder / "runs/benchmarks" / paths.name).exists()
    assert benchmark_ids(f"file://{folder / 'runs'}") == []
