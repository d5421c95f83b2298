"""The table of all contenders, by group."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import data_check
import loader_check
import training_check


@dataclass(frozen=True)
class Contender:
    """One program with its settings.

    Attributes:
        name: Its name in tables.
        program: The file of the program.
        settings: Its settings, name=value.
        environment: The file in requirements/peers/ that lists its packages; None: the project's own environment,
            for cloudlstm and for libraries that it brings (Spark, TensorFlow, Keras) in the same version.
        tolerance: Largest difference to cloudlstm's output; None: that of the group.
        compared: False if it cannot be compared, because it is another network; its program then checks itself.
        column: True if the tables have the times of all contenders in relation to this one.
    """

    name: str
    program: str
    settings: tuple[str, ...] = ()
    environment: str | None = None
    tolerance: float | None = None
    compared: bool = True
    column: bool = False


@dataclass(frozen=True)
class Group:
    """Contenders that do the same work.

    Attributes:
        unit: What is counted.
        work: What all of them do, for the page.
        input: The program that writes the input, and the name of its setting of size.
        size: The default size.
        warm_size: The size of the input with which each contender is warmed; None: the programs warm themselves.
        check: The module that reads and compares outputs.
        contenders: The first one is cloudlstm's; all others are compared with it.
    """

    unit: str
    work: str
    input: tuple[str, str]
    size: int
    warm_size: int | None
    check: ModuleType
    contenders: tuple[Contender, ...]


GROUPS = {
    "data": Group(
        "rows",
        "1,000 tickers x 15 years of daily bars in Parquet files to Parquet files of cleaned bars with their features",
        ("data_input.py", "tickers"),
        1000,
        160,
        data_check,
        (
            Contender("cloudlstm, from files", "data_cloudlstm.py", ("begin=files",), column=True),
            Contender("cloudlstm, from its shards", "data_cloudlstm.py", ("begin=shards",), column=True),
            Contender("cloudlstm on Spark, from files", "data_cloudlstm.py", ("begin=files", "engine=spark")),
            Contender("cloudlstm on Spark, from its shards", "data_cloudlstm.py", ("begin=shards", "engine=spark")),
            Contender("Polars: unique, sort", "data_polars.py", (), "polars"),
            Contender("Polars: sort, compare neighbours", "data_polars.py", ("repeated=neighbours",), "polars"),
            Contender("Polars: trust the files", "data_polars.py", ("repeated=trusted",), "polars"),
            Contender("DuckDB", "data_duckdb.py", (), "duckdb"),
            Contender("pandas", "data_pandas.py", (), "pandas"),
            Contender("Spark SQL windows", "data_spark.py"),
            Contender("qlib, from files", "data_qlib.py", ("begin=files",), "qlib", tolerance=1e-6),
            Contender("qlib, from its store", "data_qlib.py", ("begin=store",), "qlib", tolerance=1e-6),
        ),
    ),
    "loader": Group(
        "windows",
        "an epoch of shuffled windows of 50 bars, scaled for the network, in batches of 256 as tensors",
        ("loader_input.py", "tickers"),
        32,
        None,
        loader_check,
        (
            Contender("cloudlstm", "loader_cloudlstm.py", column=True),
            Contender("tf.data, an Example a window", "loader_tfdata.py"),
            Contender("PyTorch DataLoader, a window an item", "loader_torch.py", ("item=window",), "torch"),
            Contender("PyTorch DataLoader, a batch an item", "loader_torch.py", ("item=batch",), "torch"),
            Contender("Petastorm", "loader_petastorm.py", (), "petastorm"),
        ),
    ),
    "training": Group(
        "windows",
        "100 steps of 256 windows, LSTM(128) on 50 bars of 8 features, Adam",
        ("training_input.py", "steps"),
        100,
        None,
        training_check,
        (
            Contender("cloudlstm", "training_cloudlstm.py", column=True),
            Contender("cloudlstm, two workers", "training_cloudlstm.py", ("workers=2",)),
            Contender("PyTorch DDP, two processes", "training_torch.py", ("processes=2",), "torch"),
            Contender("PyTorch, one process", "training_torch.py", (), "torch"),
            Contender("PyTorch, one process, one thread", "training_torch.py", ("threads=1",), "torch"),
            Contender("Keras fit", "training_keras.py"),
            Contender("neuralforecast", "training_neuralforecast.py", (), "neuralforecast", compared=False),
        ),
    ),
}
