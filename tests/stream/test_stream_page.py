"""The page of a stream: its figures are those of the documents, and nothing overflows on a phone or a desk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.stream import serve
from cloudlstm.stream.documents import BatchDocument, Scores, StreamSettings
from cloudlstm.stream.page.charts import time_ticks
from cloudlstm.stream.page.live import Live
from cloudlstm.stream.page.render import to_html
from cloudlstm.stream.paths import StreamPaths
from report.test_browser import browser, measure, write_page  # noqa: F401  # browser is a fixture

KINDS = ("used", "filled", "doubled", "replaced", "corrections", "waiting", "refused", "forecasts")


def batch(number: int, synthetic: int = 0) -> BatchDocument:
    scores = Scores(100, 0.9, 1.0, 55, 100)
    total = Scores(*(value * number for value in (100, 0.81, 1.0, 55, 100)))  # type: ignore[arg-type]
    return BatchDocument(
        number=number, end={"0": number}, model="1", counts={**dict.fromkeys(KINDS, 0), "used": 500, "tickers": 5},
        outputs={}, scores=scores, totals={**dict.fromkeys(KINDS, 7), "used": 500 * number, "synthetic": synthetic},
        all_scores=total,
        last_minute=1_704_205_800 + 60 * number, latency_s={"p50": 0.2, "p95": 0.4, "max": 0.5}, lag=3, sinks={},
        took_s=0.1, finished=1_704_205_860.0 + 2.0 * number,
    )  # fmt: skip


def live(batches: int, name: str = "live", source: str = "kafka://127.0.0.1:9092/bars") -> Live:
    found = Live(name, StreamSettings(source, model="minutes"))
    found.add(batch(number) for number in range(1, batches + 1))
    return found


def test_the_figures_are_those_of_the_documents() -> None:
    found = live(40)
    assert found.rate == 250.0
    assert found.latency == (0.2, 0.4)
    assert found.skill == pytest.approx(1 - 0.9**2)
    assert found.right_direction == 0.55
    assert found.line() == (
        "live: batch 40; 20,000 bars; 250 bars/s; lag 3; latency p50 0.2 s, p95 0.4 s; "
        "skill +19.00% of 4,000 outcomes; 7 corrections; 7 refused"
    )


def test_a_page_that_runs_is_read_again_and_one_that_has_ended_is_not() -> None:
    assert 'http-equiv="refresh"' in to_html(live(3))
    assert 'http-equiv="refresh"' not in to_html(live(3), ended="The stream was stopped")
    assert "waits for its first bar" in to_html(live(0))


def test_a_page_without_a_new_batch_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(serve._PAGE_S, "file", 0.0)
    paths, found = StreamPaths.of(f"file://{tmp_path}", "live"), live(2)
    board = serve.Board(found, paths, print)

    def written(ended: str = "") -> bool:
        storage.delete(paths.page, within=paths.uri)
        board.update(ended)
        return storage.exists(paths.page)

    assert [written(), written(), written()] == [True, False, False]
    found.add([batch(3)])
    assert [written(), written()] == [True, False]
    assert written("The stream was stopped")


def test_the_lag_is_of_messages_or_files() -> None:
    topic, folder = to_html(live(3)), to_html(live(3, source="file:///landed"))
    assert ("messages that wait in the topic" in topic, "files that wait in the folder</small>" in topic) == (
        True,
        False,
    )
    assert ("<small>files that wait in the folder" in folder, "<small>messages that wait" in folder) == (True, False)


def test_the_age_of_a_page_that_runs_is_told() -> None:
    text = "the last batch was finished at 2024-01-02 14:31:06 UTC."
    assert f"{text} This page is written again after the next batch." in to_html(live(3))
    assert "written again" not in to_html(live(3), ended="The stream was stopped")


def test_synthetic_bars_are_told_on_the_page_and_on_the_terminal() -> None:
    real, both = live(3), live(3)
    both.add([batch(4, synthetic=1200)])
    assert "Synthetic data" not in to_html(real)
    assert "synthetic" not in real.line()
    assert re.search(r"<strong>Synthetic data</strong>\s*<span>1,200 bars so far were simulated", to_html(both))
    assert "synthetic data" in both.line()


def test_the_ticks_of_an_axis_are_round_times() -> None:
    begin = 1_704_205_800.0  # 14:30 UTC
    assert [tick.text for tick in time_ticks(begin, begin + 6 * 3600, 8)] == [
        "15:00", "16:00", "17:00", "18:00", "19:00", "20:00",
    ]  # fmt: skip
    assert [tick.text for tick in time_ticks(begin, begin + 20, 4)] == [
        "14:30:00", "14:30:05", "14:30:10", "14:30:15", "14:30:20",
    ]  # fmt: skip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_overflows(browser: str, tmp_path: Path, dark: bool) -> None:  # noqa: F811
    long = live(30, "a" * 60, "kafka://" + ",".join(f"broker-{n}.example.com:9092" for n in range(6)) + "/bars.1m")
    usual = live(300)
    usual.add([batch(301, synthetic=123_456)])
    for name, page in (("usual", to_html(usual)), ("long", to_html(long)), ("none", to_html(live(0)))):
        write_page(tmp_path, name, page.replace('http-equiv="refresh"', 'name="none"'))
    shown = [(tmp_path / f"{name}.html", width) for name in ("usual", "long", "none") for width in (390, 420, 1280)]
    found = measure(browser, tmp_path, shown, dark=dark)
    assert len(found) == 9
    for name, answer in found.items():
        assert answer["dark"] is dark, name
        assert answer["scroll"] <= answer["inner"], name
        assert not answer["out"], name
        assert not answer["wide"], name
        assert answer["shown"] == (0 if name.startswith("none") else 4), name
