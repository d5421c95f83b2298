"""The example that turns Yahoo's live ticks into bars: every way in which a connection ends is got over."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from localstack.yahoo_ticks import Connection, serving_ticks, tick

from cloudlstm.stream.publish import FolderPublisher
from cloudlstm.stream.sources.files import read_files

MINUTE = 1_704_205_800
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "yahoo_ticks.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("yahoo_ticks", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["yahoo_ticks"] = module
    spec.loader.exec_module(module)
    return module


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for table in read_files(f"file://{folder}", print) for row in table.to_pylist()]


def test_bars_of_four_connections_of_which_three_fail(example: Any, tmp_path: Path) -> None:
    connections = [
        Connection([tick("AAPL", MINUTE + 1, 100.0, 1000), tick("MSFT", MINUTE + 2, 50.0, 500)], "close"),
        Connection([tick("AAPL", MINUTE + 20, 99.5, 1100), "no JSON", tick("AAPL", MINUTE + 21, 1.0, 1, 2)], "abort"),
        Connection([tick("AAPL", MINUTE + 30, 100.25, 1150)], "silent"),
        Connection([tick("AAPL", MINUTE + 59, 100.1, 1400), tick("MSFT", MINUTE + 61, 50.5, 900)], "silent"),
    ]
    told: list[str] = []
    landed, give_up = tmp_path / "landed", time.monotonic() + 20.0
    with serving_ticks(connections) as server:
        options = example.Options(stale_s=0.3, subscribe_s=0.1, pause_s=0.01, grace_s=0.0)

        def clock() -> float:  # both minutes are over once the fourth connection has sent all
            return MINUTE + (120.0 if len(server.subscribed) > 4 else 0.0)

        asyncio.run(
            example.run(
                server.url, ["AAPL", "MSFT"], FolderPublisher(f"file://{landed}"), options, told.append, clock,
                lambda: landed.exists() or time.monotonic() > give_up, 0.05,
            )
        )  # fmt: skip
    found = {(row["ticker"], row["minute"]): row for row in rows(landed)}
    assert found.keys() == {("AAPL", MINUTE), ("MSFT", MINUTE), ("MSFT", MINUTE + 60)}
    first = found["AAPL", MINUTE]
    assert [first[name] for name in ("open", "high", "low", "close", "volume")] == [100.0, 100.25, 99.5, 100.1, 400.0]
    assert found["MSFT", MINUTE + 60]["volume"] == 400.0, "day volume 900 after 500"
    assert not any(row["final"] for row in found.values())
    assert all(asked[0] == ["AAPL", "MSFT"] for asked in server.subscribed[:4]), "each connection is subscribed"
    assert len(server.subscribed[2]) > 1, "a silent one again and again"
    assert [text for text in told if "no tick for 0.3 s" in text]
    assert len([text for text in told if "connects again in" in text]) >= 4


def test_the_pause_grows_while_nothing_answers_and_begins_anew_after_a_tick(example: Any) -> None:
    told: list[str] = []

    async def first_tick(url: str) -> None:
        options = example.Options(stale_s=0.05, pause_s=0.01, most_pause_s=0.04)
        async with aclosing(example.receive(url, ["A"], options, told.append)) as ticks:
            async for _ in ticks:
                return

    silent = Connection(())
    with serving_ticks([silent, silent, silent, silent, Connection([tick("A", MINUTE, 1.0, 1)], "silent")]) as server:
        asyncio.run(asyncio.wait_for(first_tick(server.url), 20.0))
    assert [text.partition("again in ")[2] for text in told] == ["0.01 s", "0.02 s", "0.04 s", "0.04 s"]


def test_a_tick_of_a_minute_that_was_sent_changes_nothing(example: Any) -> None:
    minutes = example.Minutes()
    minutes.add(example.Tick("A", MINUTE + 5.0, 10.0, 100))
    minutes.add(example.Tick("A", MINUTE + 50.0, 11.0, 160))
    assert list(minutes.finished(MINUTE + 59.9)) == []
    (sent,) = minutes.finished(MINUTE + 60.0)
    assert sent.to_pylist()[0]["volume"] == 60.0
    minutes.add(example.Tick("A", MINUTE + 55.0, 12.0, 165))
    minutes.add(example.Tick("A", MINUTE + 65.0, 10.5, 170))
    minutes.add(example.Tick("A", MINUTE + 86_400.0, 10.0, 30))
    bars = [row for table in minutes.finished(MINUTE + 2 * 86_400.0) for row in table.to_pylist()]
    assert [(bar["minute"], bar["open"], bar["volume"]) for bar in bars] == [
        (MINUTE + 60, 10.5, 10.0), (MINUTE + 86_400, 10.0, 30.0),
    ]  # fmt: skip


@pytest.mark.parametrize("to", ["kafka://h", "kafka://127.0.0.1:1/a/b"])
def test_a_wrong_place_is_told(example: Any, to: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["yahoo_ticks.py", "--tickers=A", f"--to={to}"])
    assert example.main() == 2
    assert "is no topic" in capsys.readouterr().err
