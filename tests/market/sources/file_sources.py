"""Small files of bars, and the source "files" that reads them."""

from __future__ import annotations

import datetime as dt
import pickle
from pathlib import Path

import pyarrow as pa

from cloudlstm.config import MarketConfig, parse
from cloudlstm.market import bars
from cloudlstm.market.sources.base import Source, open_source
from cloudlstm.market.sources.files import tabular
from cloudlstm.market.sources.files.tabular import Content, Read

HEADER = "date,ticker,open,high,low,close,adj_close,volume\n"
LINES = "2020-01-02,AAA,1.0,2.0,0.5,1.5,1.4,100\n2020-01-03,AAA,1.5,2.5,1.0,2.0,1.9,200\n2020-01-02,BBB,9,9,9,9,9,0\n"


def source_of(path: object, universe: tuple[str, ...] | None = None, **market: object) -> Source:
    config = parse(
        {
            "market": {"source": "files", "path": str(path), "start": "2020-01-01", "end": "2024-12-31"} | market,
            "dataset": {"train_end": "2021-12-31", "validation_end": "2022-12-31"},
        }
    )
    return pickle.loads(pickle.dumps(open_source(config, universe)))


def read(path: object, universe: tuple[str, ...] | None = None, **market: object) -> pa.Table:
    source = source_of(path, universe, **market)
    assert not source.whole_tickers
    table = pa.concat_tables([source.read(partition) for partition in source.partitions()])
    assert table.cast(bars.BARS).schema == bars.BARS
    return table


def files_config(path: object = "x", **settings: object) -> MarketConfig:
    """The settings of the source "files" for all dates."""
    return MarketConfig.model_validate({"source": "files", "path": str(path), "start": "1970-01-02"} | settings)


def parsed(data: bytes | str, uri: str = "file:///x.csv", **settings: object) -> Read:
    """What is read of the content of one file."""
    content = Content(data if isinstance(data, bytes) else data.encode(), uri)
    return tabular.parse(content, files_config(**settings))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def expected(name: str) -> list[dict[str, object]]:
    day = dt.date
    names = bars.VALUES.names
    rows = [
        ("AAA", day(2020, 1, 2), 1.0, 2.0, 0.5, 1.5, 1.4, 100, name),
        ("AAA", day(2020, 1, 3), 1.5, 2.5, 1.0, 2.0, 1.9, 200, name),
        ("BBB", day(2020, 1, 2), 9.0, 9.0, 9.0, 9.0, 9.0, 0, name),
    ]
    return [dict(zip(names, row, strict=True)) | {bars.UNREADABLE: None} for row in rows]
