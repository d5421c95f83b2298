"""Which objects of a model are written more than once: the guide names them, since any other change is somebody's."""

from __future__ import annotations

import re
from pathlib import Path

from cloudlstm.cli import main
from models.daily.recorded import FIRST_DAY, evenings, write_market
from models.daily.untrained import add_version, make_model

GUIDE = Path(__file__).parents[3] / "docs" / "operations.md"


def found(models: Path) -> dict[str, tuple[int, bytes]]:
    """Each object by its name: when it was written, and its bytes."""
    files = (path for path in models.rglob("*") if path.is_file())
    return {path.relative_to(models).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def form(name: str) -> str:
    """The name with a placeholder for the model and the date, such as <name>/usage/<date>.json."""
    return re.sub(r"\d{4}-\d{2}-\d{2}", "<date>", re.sub(r"^(index/)?m\b", r"\1<name>", name))


def test_the_guide_names_every_object_that_is_rewritten(tmp_path: Path) -> None:
    model = make_model(f"file://{tmp_path}/runs", "m", write_market(tmp_path / "bars", tickers=2))
    add_version(model, 2)
    days = list(evenings(FIRST_DAY, 3))
    rewritten: set[str] = set()
    before = found(tmp_path / "runs" / "models")
    for number in (0, 1, 1, 2):  # one day is asked for twice
        words = ["daily", "m", f"--root={model.root}", f"--now={days[number][1].isoformat()}"]
        assert main([*words, "--launcher-usd-per-hour=0.1"]) == 0
        after = found(tmp_path / "runs" / "models")
        rewritten |= {form(name) for name in before if after[name] != before[name]}
        before = after
    sentence = re.search(
        r"these are rewritten,\s+and so have versions: ([^.]+(?:\.\w[^.]*)*)\.", GUIDE.read_text("utf-8")
    )
    assert sentence
    assert rewritten == set(re.findall(r"`([^`]+)`", sentence[1]))
