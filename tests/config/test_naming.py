"""The name of a run that has none in its configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudlstm.config import RunConfig, parse
from cloudlstm.config.models import NAME_PATTERN
from cloudlstm.runs.manifest import fingerprint


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "core6"),
        (["universe.tickers=META,AAPL,MSFT,GOOGL,AMZN,TSLA"], "core6"),
        (["universe.tickers=NVDA,BRK.B"], "nvda-brk-b"),
        (["universe.tickers=NVDA,AMD,INTC,IBM"], "nvda-and-3-more"),
        (["universe.tickers=2330.TW"], "run-2330-tw"),
        (["universe.path=lists/sp500.txt"], "sp500"),
        (["market.source=files", "market.path=/data/US Broad 2014_2017.parquet"], "us-broad-2014-2017"),
        (["market.source=files", "market.path=s3://bucket/bars/*.csv.gz"], "bars"),
        (["market.source=files", "market.path=/data/股價.csv"], "files"),
        (["market.source=files", "market.path=/data/all.csv", "universe.tickers=AAPL"], "aapl"),
        (["market.source=synthetic"], "synthetic"),
        (["name=mine", "universe.tickers=NVDA"], "mine"),
        (["market.source=files", f"market.path=/data/{'long-' * 20}.csv"], "long-long-long-long-long-long-lo"),
    ],
)
def test_a_run_is_named_after_its_tickers_or_its_file(words: list[str], name: str) -> None:
    config = parse({}, words)
    assert config.name == name
    assert re.fullmatch(NAME_PATTERN, config.name)


def test_the_name_is_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [parse({}, ["market.source=files", f"market.path={path}"]).name for path in ("*.csv", f"{tmp_path}/*.csv")]
    assert names[0] == names[1] != "files"


def test_a_stored_configuration_keeps_its_name_and_identity() -> None:
    config = parse({}, ["universe.tickers=NVDA"])
    again = parse(config.model_dump(mode="json"))
    assert again.name == "nvda"
    assert fingerprint(again.identity()) == fingerprint(config.identity())
    other = parse(config.model_dump(mode="json"), ["universe.tickers=AMD"])  # as for predict
    assert other.name == "nvda"
    assert isinstance(again, RunConfig)
