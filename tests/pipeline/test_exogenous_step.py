"""The step exogenous: what makes it run again, and what then follows."""

from __future__ import annotations

from pathlib import Path

import pytest
from localstack.alfred import Alfred

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.pipeline import prepare
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.environment import ALFRED_URL, FRED_API_KEY
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from exogenous.sources.test_alfred import KEY, cpi

MARKET = {
    "market": {"source": "synthetic", "start": "2020-01-02", "end": "2023-12-29", "synthetic": {"tickers": 2}},
    "dataset": {"train_end": "2021-12-31", "validation_end": "2022-12-30", "window_bars": 10},
    "prepare": {"engine": "local", "processes": 1},
}
SERIES = ("exogenous.macro.source=files", "exogenous.macro.series=S", "exogenous.macro.kinds.S=rate")
STEPS = ("exogenous", "ingest", "clean", "features", "sequences")


def prepared(folder: Path, *words: str) -> dict[str, Manifest]:
    """The manifests after one more preparation of the run."""
    paths, config = RunPaths(f"file://{folder}/runs/run"), config_of(*words)
    storage.write_json(paths.config, config.model_dump(mode="json"))
    with Journal(paths, "prepare", "driver") as journal:
        prepare.run(RunContext(paths, config, 0, journal))
    return {step: found for step in STEPS if (found := Manifest.load(paths, step))}


def config_of(*words: str) -> RunConfig:
    return parse(MARKET, words)


def write_series(path: Path, value: float) -> str:
    path.write_text(f"series,period,available_at,value\nS,2020-03-02,2020-03-03T14:00:00Z,{value}\n")
    return f"exogenous.macro.path={path}"


def ran(before: dict[str, Manifest], after: dict[str, Manifest]) -> set[str]:
    return {step for step in after if after[step].began != before[step].began}


def test_a_changed_file_makes_the_features_again_and_an_equal_one_nothing(tmp_path: Path) -> None:
    word = write_series(tmp_path / "s.csv", 1.5)
    first = prepared(tmp_path, *SERIES, word)
    assert first["exogenous"].facts["missing"] == []
    assert ran(first, prepared(tmp_path, *SERIES, word)) == set()
    write_series(tmp_path / "s.csv", 2.25)
    assert ran(first, prepared(tmp_path, *SERIES, word)) == {"exogenous", "features", "sequences"}


def test_another_kind_reaches_the_readers_of_sequences(tmp_path: Path) -> None:
    """The values are the same, and the network's inputs are not."""
    word = write_series(tmp_path / "s.csv", 1.5)
    prepared(tmp_path, *SERIES, word)
    after = prepared(tmp_path, *SERIES[:2], word, "exogenous.macro.kinds.S=count")
    kinds = {row["name"]: row["kind"] for row in after["sequences"].facts["features"]}
    assert kinds["macro_s"] == "count"


def test_what_a_service_did_not_deliver_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("exogenous.macro.source=alfred", "exogenous.macro.series=CPIAUCSL")
    monkeypatch.delenv(FRED_API_KEY, raising=False)
    first = prepared(tmp_path, *words)
    assert first["exogenous"].facts["incomplete"]
    assert first["exogenous"].facts["missing"] == ["CPIAUCSL"]
    with Alfred({"CPIAUCSL": cpi()}, [KEY], today="2025-06-02") as server:
        monkeypatch.setenv(ALFRED_URL, server.url)
        monkeypatch.setenv(FRED_API_KEY, KEY)
        second = prepared(tmp_path, *words)
        assert "exogenous" in ran(first, second)
        assert not second["exogenous"].facts["incomplete"]
        assert ran(second, prepared(tmp_path, *words)) == set()
