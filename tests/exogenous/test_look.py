"""What is told of macro series and news before a run starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudlstm.config import parse
from cloudlstm.errors import UsageError
from cloudlstm.exogenous.look import look_at_exogenous
from cloudlstm.runs.environment import FRED_API_KEY


def look(elsewhere: str | None = None, **exogenous: Any) -> list[str]:
    return look_at_exogenous(parse({"market": {"source": "synthetic"}, "exogenous": exogenous}), elsewhere)


def fred(path: object) -> dict[str, str]:
    return {"source": "fred", "path": str(path), "series": "DFF"}


def test_a_source_that_is_there_needs_no_word(tmp_path: Path) -> None:
    (tmp_path / "dff.csv").write_text("DATE,DFF\n2024-01-02,5.33\n")
    assert look(macro=fred(tmp_path / "dff.csv")) == []


def test_a_source_that_is_not_there_is_told_and_stops_nothing(tmp_path: Path) -> None:
    (note,) = look(macro=fred(tmp_path / "none.csv"))
    assert "exogenous.macro.path" in note
    assert "none.csv" in note


@pytest.mark.parametrize("name", ["macro", "news"])
def test_machines_of_a_cloud_cannot_read_a_file_of_this_machine(tmp_path: Path, name: str) -> None:
    section = fred(tmp_path) if name == "macro" else {"source": "files", "path": str(tmp_path)}
    with pytest.raises(UsageError, match=rf"exogenous\.{name}\.path: the machines of aws cannot reach"):
        look("aws", **{name: section})
    assert look("aws", **{name: {**section, "path": "memory://bucket/none.csv"}})


def test_the_key_of_alfred_is_missed_here_and_not_sent_to_a_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FRED_API_KEY, raising=False)
    settings = {"source": "alfred", "series": "CPIAUCSL"}
    (note,) = look(macro=settings)
    assert FRED_API_KEY in note
    with pytest.raises(UsageError, match="needs your key, which aws does not get"):
        look("aws", macro=settings)


def test_generated_news_need_the_generated_market() -> None:
    with pytest.raises(UsageError, match="is for the synthetic market"):
        look_at_exogenous(parse({"exogenous": {"news": {"source": "synthetic"}}}))


def test_a_dictionary_that_is_not_there_stops_the_submit(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        look(news={"source": "files", "path": str(tmp_path), "scorer": "lexicon", "lexicon": f"{tmp_path}/none.csv"})
