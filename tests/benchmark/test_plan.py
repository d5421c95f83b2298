"""The plan of a benchmark: what each cell changes in the settings, and which data it takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloudlstm.benchmark.matrix import Matrix, parse_matrix
from cloudlstm.cli.benchmark_plan import BenchmarkPlan, CellRun, make_benchmark_plan, read_settings
from cloudlstm.cli.plans import config_of
from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import ConfigError
from cloudlstm.runs.environment import DEVICES
from cloudlstm.targets import open_target

SYNTHETIC = parse({"name": "bench", "market": {"source": "synthetic"}})


def plan_of(matrix: Matrix, folder: Path, settings: RunConfig = SYNTHETIC) -> BenchmarkPlan:
    return make_benchmark_plan(open_target(None), settings, matrix, str(folder))


def by_name(plan: BenchmarkPlan) -> dict[str, CellRun]:
    return {run.run_id: run for run in plan.runs}


def test_cells_differ_only_in_what_runs_them(tmp_path: Path) -> None:
    plan = plan_of(parse_matrix({"tickers": "6,100", "cores": "2", "repeats": 2, "train_cores": []}), tmp_path)
    runs = by_name(plan)
    configs = {name: config_of(run.plan) for name, run in runs.items()}
    assert configs["data-6-local-1-r1"].prepare.processes == 1
    assert configs["data-100-spark-2-r2"].spark.master == "local[2]"
    assert configs["data-100-spark-2-r2"].market.synthetic.tickers == 100
    assert configs["train-6-workers-2-r1"].train.workers == 2
    for config in configs.values():
        common = config.model_copy(update={"prepare": SYNTHETIC.prepare, "spark": SYNTHETIC.spark})
        assert common.dataset == SYNTHETIC.dataset
        assert common.train.model_copy(update={"workers": None}) == SYNTHETIC.train
    assert [each.get("job") for each in runs["data-6-local-1-r1"].plan.requests][2:] == ["prepare"]
    assert [each.get("job") for each in runs["train-6-workers-1-r1"].plan.requests][2:] == ["prepare", "train"]


def test_words_of_the_matrix_may_be_written_as_in_the_file() -> None:
    settings, matrix = read_settings(None, ["benchmark.tickers=6,100", "repeats=1", "train.epochs=2"])
    assert (matrix.tickers, matrix.repeats, settings.train.epochs) == ((6, 100), 1, 2)


@pytest.mark.parametrize(("word", "instead"), [("prepare.engine=spark", "engines="), ("train.workers=2", "workers=")])
def test_a_setting_that_each_cell_sets_is_refused(word: str, instead: str) -> None:
    with pytest.raises(ConfigError, match="has no effect") as caught:
        read_settings(None, [word])
    assert instead in str(caught.value.hint)


def test_the_cells_alternate(tmp_path: Path) -> None:
    runs = [run.run_id for run in plan_of(parse_matrix({"cores": "1", "repeats": 2, "workers": []}), tmp_path).runs]
    assert runs == ["data-all-local-1-r1", "data-all-spark-1-r1", "data-all-local-1-r2", "data-all-spark-1-r2"]


def test_trainings_take_the_data_of_the_first_run_on_the_same_tickers(tmp_path: Path) -> None:
    plan = plan_of(parse_matrix({"tickers": "6,100", "train_tickers": 100, "repeats": 1}), tmp_path)
    runs = by_name(plan)
    data = runs["data-100-local-1-r1"].plan.run
    trainings = [run for name, run in runs.items() if name.startswith("train")]
    assert {config_of(run.plan).prepare.reuse for run in trainings} == {data}
    alone = plan_of(parse_matrix({"engines": [], "workers": "1,2", "train_cores": [], "repeats": 1}), tmp_path)
    first, second = alone.runs
    assert config_of(first.plan).prepare.reuse is None
    assert config_of(second.plan).prepare.reuse == first.plan.run


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="there is one core, or no limit"
)
def test_a_limited_worker_gets_one_device(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    runs = by_name(plan_of(parse_matrix({"engines": [], "workers": "1", "repeats": 1}), tmp_path))
    devices = {
        name: run.plan.requests[-1]["processes"][0]["env"][DEVICES] for name, run in runs.items()
    }  # fmt: skip
    assert devices["train-all-workers-1-cores-1-r1"] == "1"
    assert int(devices["train-all-workers-1-r1"]) > 1
    assert os.sched_getaffinity(0) == before


def test_a_universe_by_name_is_cut_to_its_first_tickers(tmp_path: Path) -> None:
    settings = parse({"market": {"source": "yahoo"}, "universe": {"tickers": ["MSFT", "AAPL", "TSLA"]}})
    matrix = Matrix(tickers=(2,), engines=("local",), cores=(1,), workers=(), repeats=1)
    (run,) = plan_of(matrix, tmp_path, settings).runs
    assert config_of(run.plan).universe.tickers == ("AAPL", "MSFT")
    with pytest.raises(ConfigError, match="tickers=4 is more than the source has: 3"):
        plan_of(matrix.model_copy(update={"tickers": (4,)}), tmp_path, settings)


def test_a_training_without_an_epoch_is_refused(tmp_path: Path) -> None:
    settings = parse({"market": {"source": "synthetic"}, "train": {"epochs": 0}})
    with pytest.raises(ConfigError, match=r"train\.epochs=0 trains nothing"):
        plan_of(parse_matrix({"workers": "1"}), tmp_path, settings)
    assert plan_of(parse_matrix({"workers": []}), tmp_path, settings).runs


def test_other_files_of_bars_are_another_benchmark(tmp_path: Path) -> None:
    bars = tmp_path / "bars.csv"
    bars.write_text("ticker,date,open,high,low,close,volume\nA,2024-01-02,1,1,1,1,10\n")
    settings = parse({"market": {"source": "files", "path": str(tmp_path)}})
    matrix = Matrix(engines=("local",), cores=(1,), workers=(), repeats=1)
    name = plan_of(matrix, tmp_path / "runs", settings).paths.name
    assert plan_of(matrix, tmp_path / "runs", settings).paths.name == name
    bars.write_text("ticker,date,open,high,low,close,volume\nA,2024-01-02,2,2,2,2,10\n")
    assert plan_of(matrix, tmp_path / "runs", settings).paths.name != name


def test_equal_words_give_the_same_benchmark_and_more_runs_continue_it(tmp_path: Path) -> None:
    matrix = Matrix(cores=(1,), workers=(), repeats=1)
    name = plan_of(matrix, tmp_path).paths.name
    assert plan_of(matrix, tmp_path).paths.name == name
    assert plan_of(matrix.model_copy(update={"repeats": 3, "projected_nodes": (9,)}), tmp_path).paths.name == name
    assert plan_of(matrix.model_copy(update={"tickers": (7,)}), tmp_path).paths.name != name
    other = SYNTHETIC.model_copy(update={"model": SYNTHETIC.model.model_copy(update={"units": 7})})
    assert plan_of(matrix, tmp_path, other).paths.name != name
