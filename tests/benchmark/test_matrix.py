"""The matrix of a benchmark from words and TOML, its cells and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudlstm.benchmark.matrix import Cell, Matrix, cells, parse_matrix, resolved
from cloudlstm.cli.benchmark_plan import read_settings
from cloudlstm.errors import ConfigError


def names(matrix: Matrix, *, on_target: bool = False) -> list[str]:
    return [cell.name for cell in cells(resolved(matrix, here=4, on_target=on_target), on_target=on_target)]


def test_words_and_a_table_say_the_same(tmp_path: Path) -> None:
    words = ["tickers=6,100", "engines=local,spark", "workers=1,2", "repeats=5", "train.epochs=1", "name=mine"]
    settings, matrix = read_settings(None, words)
    file = tmp_path / "b.toml"
    file.write_text(
        'name = "mine"\n[benchmark]\ntickers = [6, 100]\nengines = ["local", "spark"]\nworkers = [1, 2]\nrepeats = 5\n'
        "[train]\nepochs = 1\n"
    )
    assert read_settings(str(file), []) == (settings, matrix)
    assert (settings.name, settings.train.epochs, matrix.tickers, matrix.repeats) == ("mine", 1, (6, 100), 5)
    assert read_settings(str(file), ["repeats=1"])[1].repeats == 1  # a word is stronger than the file


def test_the_baselines_are_always_measured_and_no_cell_twice() -> None:
    assert names(Matrix(tickers=(6,), engines=("spark",), cores=(4, 4), workers=(4,))) == [
        "data-6-local-1", "data-6-spark-4", "train-6-workers-1-cores-1", "train-6-workers-1", "train-6-workers-4",
    ]  # fmt: skip


def test_axes_that_are_not_set_take_what_the_place_has() -> None:
    assert names(Matrix()) == [
        "data-all-local-1", "data-all-local-4", "data-all-spark-1", "data-all-spark-4",
        "train-all-workers-1-cores-1", "train-all-workers-1", "train-all-workers-2",
    ]  # fmt: skip
    assert names(Matrix(tickers=(100, 6)), on_target=True) == [
        "data-100-local-1", "data-100-local-4", "data-100-cluster", "data-6-local-1", "data-6-local-4",
        "data-6-cluster", "train-6-workers-1", "train-6-workers-2",
    ]  # fmt: skip


def test_an_empty_axis_measures_nothing_of_it() -> None:
    assert names(parse_matrix({"workers": "[]", "cores": "1", "engines": "local"})) == ["data-all-local-1"]
    assert names(parse_matrix({"engines": [], "workers": 2, "train_cores": []})) == [
        "train-all-workers-1",
        "train-all-workers-2",
    ]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"engine": "spark"}, "did you mean 'engines'"),
        ({"colour": 1}, "known: tickers, engines"),
        ({"engines": "dask"}, "engines[1] must be 'local', 'spark' or 'cluster'"),
        ({"tickers": "six"}, "tickers[1] must be a whole number"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"cores": [0]}, "cores[1] must be at least 1"),
        ({"tickers": "", "cores": []}, "tickers is empty"),
    ],
)
def test_a_problem_names_the_key_and_what_it_accepts(values: dict[str, object], found: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_matrix(values)
    assert found in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_matrix({"repeats": 0, "engine": "spark"})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("matrix", "found"),
    [
        (Matrix(engines=("cluster",)), "no cluster"),
        (Matrix(engines=(), workers=()), "measures nothing"),
        (Matrix(train_cores=(1, 9)), "train_cores=9: this machine has 2 cores"),
    ],
)
def test_a_matrix_that_cannot_be_measured_is_refused(matrix: Matrix, found: str) -> None:
    with pytest.raises(ConfigError, match=found):
        resolved(matrix, here=2, on_target=False)


def test_the_least_limit_of_a_worker_is_measured_first() -> None:
    """It is the baseline of training."""
    assert resolved(Matrix(train_cores=(2, 1)), here=4, on_target=False).train_cores == (1, 2)


def test_a_run_has_an_id_that_a_run_may_have() -> None:
    assert Cell("train", 10_000, "cluster", None, 256).run_id(100) == "train-10000-workers-256-r100"
