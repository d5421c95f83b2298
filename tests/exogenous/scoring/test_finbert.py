"""examples/scorers/finbert.py: its real code, in its own environment, on a tiny BERT with random weights."""

from __future__ import annotations

import importlib.util
import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm.exogenous.scoring.headlines import score_headlines
from cloudlstm.exogenous.scoring.scorer import Scorer, checked_scores
from exogenous.scoring.finbert_environment import FINBERT, finbert_python
from exogenous.scoring.made_headlines import Row, at, headlines

TEXTS = [
    "Apple beats estimates and raises its outlook", "Tesla falls", "Tesla recalls cars", "", "Bank fined for fraud",
    "One headline with many more words than the network can read at once so that the end of it is not seen at all",
]  # fmt: skip
TINY = Path(__file__).with_name("tiny_bert.py")


@pytest.fixture(scope="module")
def module() -> Any:
    spec = importlib.util.spec_from_file_location("finbert", FINBERT)
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def python() -> str:
    return finbert_python()


@pytest.fixture(scope="module")
def tiny(python: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """The folder of a tiny BERT, and its scores of TEXTS, computed without the example's code."""
    folder = tmp_path_factory.mktemp("bert") / "tiny"
    command = [python, str(TINY), str(folder)]
    done = subprocess.run(command, input=json.dumps(TEXTS), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, [float(each) for each in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def scorer(module: Any, python: str, tiny: tuple[Path, list[float]]) -> Iterator[Any]:
    found = module.Finbert(model=str(tiny[0]), revision="tiny-1", batch_size=4, python=python)
    yield found
    found.close()


def test_it_scores_as_its_network_does_one_by_one(scorer: Any, tiny: tuple[Path, list[float]]) -> None:
    scores = checked_scores(scorer, pa.array(TEXTS, pa.string()))
    np.testing.assert_allclose(scores, tiny[1], atol=1e-4)
    assert np.ptp(scores) > 0.05
    assert (scorer.name, scorer.version) == ("finbert", f"{tiny[0]}@tiny-1")
    assert scorer.score(pa.array([], pa.string())).shape == (0,)
    again = scorer.score(pa.array(TEXTS[::-1], pa.string()))[::-1]  # the same program, other batches
    np.testing.assert_allclose(scores, again, atol=1e-4)


def test_a_second_run_does_not_start_its_program(scorer: Any) -> None:
    protocol: Scorer = scorer
    rows: list[Row] = [("AAPL", at(place), text) for place, text in enumerate(TEXTS)]
    root = f"memory://{secrets.token_hex(6)}/runs"
    first = score_headlines(headlines(rows), protocol, root=root, novelty_days=7)
    scorer.close()
    second = score_headlines(headlines(rows), protocol, root=root, novelty_days=7)
    assert scorer._program is None
    assert second.rows.equals(first.rows)


def test_a_model_with_other_labels_is_refused(
    module: Any, python: str, tiny: tuple[Path, list[float]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny[0], tmp_path / "other")
    config = folder / "config.json"
    config.write_text(config.read_text().replace("positive", "good").replace("negative", "bad"))
    other = module.Finbert(model=str(folder), python=python)
    with pytest.raises(RuntimeError, match="ended with status 1"):
        other.score(pa.array(TEXTS, pa.string()))
    assert "has the labels bad, good, neutral, and positive and negative are needed" in capfd.readouterr().err


def test_it_says_which_python_it_needs(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINBERT_PYTHON", raising=False)
    with pytest.raises(RuntimeError, match="FINBERT_PYTHON is not set"):
        module.scorer.score(pa.array(TEXTS, pa.string()))


def test_the_model_is_pinned(module: Any) -> None:
    assert module.scorer.version == f"ProsusAI/finbert@{module.REVISION}"
    assert len(module.REVISION) == 40
