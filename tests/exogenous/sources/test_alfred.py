"""ALFRED's vintages from a server that stands in for it; its answers are written from the API reference."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator

import pytest
from localstack.alfred import MOST_DATES, Alfred, Series

from cloudlstm.errors import FetchError, UsageError
from cloudlstm.exogenous.collect import Collected, collect, identity
from cloudlstm.exogenous.sources.alfred_client import Client, Revision
from cloudlstm.runs.environment import ALFRED_URL, FRED_API_KEY
from exogenous.sources.news_inputs import NOW, config, utc

KEY = "abcdefghijklmnopqrstuvwxyz012345"
SINCE, UNTIL = dt.date(2023, 1, 1), dt.date(2024, 12, 31)


def cpi() -> Series:
    series = Series()
    series.publish("2024-02-13", {"2023-12-01": "308.7", "2024-01-01": "309.7"})
    series.publish("2024-03-12", {"2024-02-01": "311.1"})
    series.publish("2024-04-10", {"2024-01-01": "309.8", "2024-03-01": "312.2"})
    series.publish("2024-05-15", {"2024-03-01": ".", "2024-04-01": "."})
    return series


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Alfred]:
    with Alfred({"CPIAUCSL": cpi()}, [KEY], today="2025-06-02") as alfred:
        monkeypatch.setenv(ALFRED_URL, alfred.url)
        monkeypatch.setenv(FRED_API_KEY, KEY)
        yield alfred


def client(server: Alfred, key: str = KEY) -> Client:
    return Client(key, server.url, first_pause_s=0.001)


def found(series: str = "CPIAUCSL") -> Collected:
    return collect(config(macro={"source": "alfred", "series": series, "max_age_days": 60}), None, NOW)


def test_each_vintage_is_known_at_the_end_of_its_day_in_new_york(server: Alfred) -> None:
    rows = found().rows.to_pylist()
    assert [(row["period"], row["available_at"], row["value"], row["vintage"]) for row in rows[:-1]] == [
        (dt.date(2023, 12, 1), utc("2024-02-14 04:59:59"), 308.7, 0),
        (dt.date(2024, 1, 1), utc("2024-02-14 04:59:59"), 309.7, 0),
        (dt.date(2024, 1, 1), utc("2024-04-11 03:59:59"), 309.8, 1),
        (dt.date(2024, 2, 1), utc("2024-03-13 03:59:59"), 311.1, 0),
        (dt.date(2024, 3, 1), utc("2024-04-11 03:59:59"), 312.2, 0),
    ]
    last = rows[-1]  # a withdrawn value is missing; a period without any value has no row
    assert (last["period"], last["vintage"], last["value"] != last["value"]) == (dt.date(2024, 3, 1), 1, True)


def test_what_was_known_on_an_old_day_can_be_told(server: Alfred) -> None:
    rows = found().rows.to_pylist()
    day = utc("2024-03-31 00:00")
    known = {row["period"]: row["value"] for row in rows if row["available_at"] <= day}
    assert known[dt.date(2024, 1, 1)] == 309.7
    assert max(known) == dt.date(2024, 2, 1)


@pytest.mark.parametrize("most", [None, 1, 2])
def test_pages_are_joined(server: Alfred, most: int | None) -> None:
    server.most = most
    revisions = client(server).revisions("CPIAUCSL", SINCE, UNTIL)
    assert Revision(dt.date(2024, 1, 1), dt.date(2024, 4, 10), "309.8") in revisions
    assert len(revisions) == 7


def test_a_daily_series_is_asked_in_spans_without_repeated_values(server: Alfred) -> None:
    days = [dt.date(2018, 1, 1) + dt.timedelta(days=n) for n in range(MOST_DATES + 500)]
    daily, expected = Series(), []
    for number, day in enumerate(days):
        text = f"{1 + number / 1000:.3f}"
        daily.publish(day.isoformat(), {day.isoformat(): text})
        expected.append(Revision(day, day, text))
    daily.publish(days[-1].isoformat(), {days[0].isoformat(): "9"})  # a late correction
    server.series["DAILY"] = daily
    revisions = client(server).revisions("DAILY", days[0], UNTIL)
    assert [each for each in revisions if each.value != "9"] == expected
    assert Revision(days[0], days[-1], "9") in revisions


def test_refusals_are_repeated_but_not_for_ever(server: Alfred) -> None:
    server.failures = [429, 503, 0]
    assert client(server).revisions("CPIAUCSL", SINCE, UNTIL)
    server.failures = [429] * 50
    with pytest.raises(FetchError, match="429: Too Many Requests"):
        client(server).revisions("CPIAUCSL", SINCE, UNTIL)


def test_an_unknown_series_does_not_stop_the_others(server: Alfred) -> None:
    collected = found("CPIAUCSL,UNRATE")
    assert collected.missing == ["UNRATE"]
    assert any("UNRATE" in note and "does not exist" in note for note in collected.notes)
    assert collected.rows.num_rows == 6


@pytest.mark.parametrize("key", ["", "short", "z" * 32])
def test_a_wrong_key_is_told_and_never_shown(
    server: Alfred, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    monkeypatch.setenv(FRED_API_KEY, key)
    with caplog.at_level(logging.DEBUG):
        collected = found()
    assert collected.missing == ["CPIAUCSL"]
    assert any("FRED_API_KEY" in note for note in collected.notes)
    if key:
        assert key not in repr(collected.notes) + caplog.text + repr(client(server, key))


def test_the_key_is_cut_out_of_answers(server: Alfred, monkeypatch: pytest.MonkeyPatch) -> None:
    server.keys.clear()

    def refuse(path: str, query: dict[str, str]) -> dict[str, object]:
        from localstack.alfred import RefusedError

        raise RefusedError(400, f"Bad Request.  {path}?api_key={query['api_key']} is wrong.")

    monkeypatch.setattr(server, "answer", refuse)
    with pytest.raises(FetchError) as caught:
        client(server).revisions("CPIAUCSL", SINCE, UNTIL)
    assert "is wrong" in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_key_goes_over_https_only() -> None:
    with pytest.raises(UsageError, match="HTTPS"):
        Client(KEY, "http://example.com")


def test_the_request_stays_within_the_dates_of_the_run(server: Alfred) -> None:
    found()
    (first, dates), (second, rows) = server.requests
    assert (first, dates["realtime_end"]) == ("/fred/series/vintagedates", "2025-01-01")  # a day after market.end
    assert (second, rows["output_type"]) == ("/fred/series/observations", "1")
    known = identity(config(macro={"source": "alfred", "series": "CPIAUCSL"}), None, NOW)
    assert known == identity(config(macro={"source": "alfred", "series": "CPIAUCSL"}), None, NOW + dt.timedelta(30))
