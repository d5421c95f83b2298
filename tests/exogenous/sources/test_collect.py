"""What sources have together: the order of rows, what is missing, and an identity that follows the content."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from cloudlstm import storage
from cloudlstm.exogenous.collect import collect, identity
from cloudlstm.exogenous.table import EXOGENOUS, HEADLINES, REFUSED
from exogenous.sources.news_inputs import NOW, config, macro, news, write

NEWS = "ticker,headline,date\n"


def test_off_has_nothing() -> None:
    found = collect(config(), None, NOW)
    assert (found.rows, found.headlines, found.refused) == (
        EXOGENOUS.empty_table(), HEADLINES.empty_table(), REFUSED.empty_table(),
    )  # fmt: skip
    assert (found.notes, found.missing) == ([], [])


def test_synthetic_sources_together_and_again() -> None:
    settings = config(macro={"source": "synthetic", "series": "SYNTHETIC,OTHER", "kinds": {"OTHER": "rate"}},
                      news={"source": "synthetic"})  # fmt: skip
    found = collect(settings, None, NOW)
    assert found.rows.schema.equals(EXOGENOUS)
    assert found.headlines.schema.equals(HEADLINES)
    assert found.missing == ["OTHER"]
    again = collect(settings, None, NOW + dt.timedelta(days=100))
    assert (again.rows, again.headlines) == (found.rows, found.headlines)


def test_rows_are_sorted_whatever_the_order_of_files_and_rows(tmp_path: Path) -> None:
    lines = ["B,one,2024-03-01 10:00Z", "A,two,2024-03-02 10:00Z", "A,one,2024-03-01 10:00Z", "A,x,2 DAYS AGO"]
    write(tmp_path / "n.csv", NEWS + "\n".join(lines) + "\n")
    first = news(tmp_path / "n.csv")
    write(tmp_path / "n.csv", NEWS + "\n".join(reversed(lines)) + "\n")
    second = news(tmp_path / "n.csv")
    assert (first.headlines, first.refused, first.notes) == (second.headlines, second.refused, second.notes)
    assert first.headlines.column("entity").to_pylist() == ["A", "A", "B"]


def test_a_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = macro(tmp_path / "none", "VIXCLS,DGS10", "fred")
    assert found.missing == ["VIXCLS", "DGS10"]
    assert any("there is no file" in note for note in found.notes)
    assert any("without any row: VIXCLS, DGS10" in note for note in found.notes)


def test_any_storage() -> None:
    storage.write("memory://exogenous/news/a.csv", (NEWS + "A,one,2024-03-01 10:00Z\n").encode())
    settings = config(news={"source": "files", "path": "memory://exogenous/news/*.csv"})
    assert collect(settings, ["A"], NOW).headlines.num_rows == 1


def test_the_identity_follows_content_and_settings(tmp_path: Path) -> None:
    path = write(tmp_path / "n.csv", NEWS + "A,one,2024-03-01 10:00Z\n")
    settings = config(news={"source": "files", "path": str(path)})
    before = identity(settings, ["A"], NOW)
    assert json.loads(json.dumps(before)) == before
    assert identity(settings, ["A"], NOW + dt.timedelta(days=9)) == before
    assert identity(settings, ["B"], NOW) != before
    zone = config(news={"source": "files", "path": str(path), "time_zone": "UTC"})
    assert identity(zone, ["A"], NOW) != before
    write(path, NEWS + "A,two!,2024-03-01 10:00Z\n")
    changed = identity(settings, ["A"], NOW)
    assert changed != before
    path.unlink()
    assert identity(settings, ["A"], NOW) not in (before, changed)


def test_the_identity_of_generated_news_has_their_strength() -> None:
    weak, strong = (config(news={"source": "synthetic", "synthetic_r2": r2}) for r2 in (0.01, 0.02))
    assert identity(weak, None, NOW) != identity(strong, None, NOW)
    assert identity(weak, None, NOW) == identity(weak, None, NOW + dt.timedelta(days=400))
