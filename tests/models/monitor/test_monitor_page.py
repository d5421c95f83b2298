"""The page of a model: its facts, closed to the network, safe with any text, and made from few or many days."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cloudlstm.models.documents import Decided, Due, Move, OverBudget
from cloudlstm.models.monitor.charts import draw_all
from cloudlstm.models.monitor.corrections import counts
from cloudlstm.models.monitor.history import History
from cloudlstm.models.monitor.render import to_html
from models.monitor.model_days import CHECKS, Model, make_model
from report.pages import Page
from report.test_hostile_names import MARKUP, VERY_LONG

CHARTS = ("skill", "gates", "inside", "drift", "watches", "coverage")


def html_of(model: Model) -> str:
    return to_html(*model.page_arguments())


def text_of(page: str) -> str:
    """The text of a page, with single spaces."""
    return re.sub(r"\s+", " ", " ".join(Page(page).text)).replace("\u2212", "-")


def headline_of(page: str) -> str:
    found = re.search(r'<p class="verdict[^>]*>(.*?)</p>', page, flags=re.DOTALL)
    assert found
    return re.sub(r"<[^>]+>", "", found[1])


def rows_of(page: str, caption: str) -> list[list[str]]:
    """Cells of the body of the table whose caption begins so."""
    table = page.split(f"<caption>{caption}")[1].split("</table>")[0].split("<tbody>")[1]
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row, flags=re.DOTALL)]
        for row in re.findall(r"<tr.*?>(.*?)</tr>", table, flags=re.DOTALL)
    ]


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model(80)


@pytest.fixture(scope="module")
def page(model: Model) -> str:
    return html_of(model)


def test_the_page_is_whole_and_needs_no_network(page: str) -> None:
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert {name for name, _ in found.tags} & {"script", "iframe", "object", "img"} == set()
    assert all(each.startswith(("#", "data:,")) for each in found.references)
    assert {each[1:] for each in found.references if each.startswith("#")} <= set(found.ids)


def test_the_page_has_every_chart_at_both_widths(page: str) -> None:
    for name in CHARTS:
        assert f'id="{name}-w-t"' in page
        assert f'id="{name}-n-t"' in page
    assert page.count("<svg") == 2 * len(CHARTS)


def test_equal_documents_give_equal_bytes(model: Model, page: str) -> None:
    assert html_of(make_model(80)) == page
    shuffled = replace(model, days=model.days[::-1], moves=model.moves[::-1], versions=model.versions[::-1])
    assert html_of(shuffled) == page


def test_the_headline_names_champion_since_when_last_day_and_last_session(model: Model, page: str) -> None:
    last = model.days[-1]
    assert headline_of(page) == (
        f"Version 2 is champion since {model.moves[-1].date} (rollback); the last day, {last.date}, is done; the last "
        f"forecasts are for the session of {last.session}."
    )


def test_a_refused_day_is_explained_in_the_headline() -> None:
    model = make_model(21)  # the last day is the refused one
    found = headline_of(html_of(model))
    assert "was refused and made no forecasts: check refused: 3 of 6 new bars were refused" in found
    assert f"the last forecasts are for the session of {model.days[-2].session}" in found
    assert "(refresh, no evidence of skill)" in found


def test_a_late_day_and_a_retired_challenger_are_explained_in_the_headline() -> None:
    assert "was late and made no forecasts: the session of" in headline_of(html_of(make_model(34)))
    found = headline_of(html_of(make_model(61)))
    assert "version 4 was refused: it is worse: e-value 21.5 of 20" in found


def test_each_version_has_a_state_with_its_reason(model: Model, page: str) -> None:
    states = {row[0]: row[-1] for row in rows_of(page, "Versions")}
    refresh, skill, rollback = (model.moves[number].date for number in (1, 2, 3))
    retired = next(day.date for day in model.days for each in day.decisions if each.action == "retire")
    assert states["v1"] == f"retired {refresh}: replaced by v2 (refresh, no evidence of skill)"
    assert states["v2"] == "champion"
    assert states["v3"] == f"retired {rollback}: rollback to v2: v3 is worse than v2: e-value 81 of 80"
    assert states["v4"] == f"retired {retired}: shown to be worse: it is worse: e-value 21.5 of 20"
    assert states["v5"].endswith("judged on refresh")
    assert states["v6"].endswith("judged on skill")
    assert skill < rollback


def test_a_replaced_champion_that_is_watched_is_the_previous_champion() -> None:
    states = {row[0]: row[-1] for row in rows_of(html_of(make_model(40)), "Versions")}
    assert states["v3"] == "champion"
    assert states["v2"] == "previous champion, still watched"


def test_moves_say_that_a_refresh_is_no_evidence(page: str) -> None:
    moves = rows_of(page, "Moves of the champion")
    assert [row[4] for row in moves] == [
        "rollback", "shown to be better", "refresh, no evidence of skill", "first version",
    ]  # fmt: skip
    for text in ("v2 refresh", "v3 skill", "v2 rollback"):
        assert page.count(f">{text}</text>") == 2  # a label in each width of the chart


def test_open_gates_show_their_evidence_and_what_they_could_find(model: Model, page: str) -> None:
    rows = {row[0]: row for row in rows_of(page, "Open gates")}
    for challenger in model.days[-1].challengers:
        row = rows[f"v{challenger.version}"]
        assert row[3] == f"{challenger.gate.sessions} of 252"
        assert row[4] == f"{challenger.gate.better.e_value:.3g}"
        assert row[5] == f"{challenger.gate.better.highest:.3g} of 40"
        assert row[6] == f"{challenger.gate.worse.highest:.3g} of 20"
        assert row[7] == "0.19 sd"
    assert "with 65% probability" in text_of(page)
    assert ">needed 40</text>" in page


def test_drift_shows_limits_alarms_and_slow_features() -> None:
    page = html_of(make_model(54))  # within the alarm
    rows = {row[0]: row for row in rows_of(page, "Features on")}
    assert rows["gap"][6] == "ALARM"
    assert rows["gap"][1:5] == ["0.610", "0.400", "0.310", "0.200"]
    assert rows["gap"][7].startswith("4, last ")
    assert rows["month"][6] == "slow: no limit"
    assert rows["month"][2] == rows["month"][4] == "–"
    assert rows["range"][6] == "within limits"
    assert "drift alarm for gap" in headline_of(page)


def test_the_watches_show_their_highest_e_value_beside_the_alarm(model: Model, page: str) -> None:
    watch = model.days[-1].loss_watch
    assert watch is not None
    (row,) = rows_of(page, "Watches of the loss")
    assert row[0] == "than naive"
    assert row[1] == str(watch.sessions)
    assert row[3:] == [f"{watch.highest:.3g}", "80", "no alarm"]
    alarm = replace(model.days[-1], loss_watch=replace(watch, highest=93.0))
    found = html_of(replace(model, days=[*model.days[:-1], alarm]))
    assert rows_of(found, "Watches of the loss")[0][3:] == ["93", "80", "ALARM"]
    assert "the loss watch shows that the champion is worse than naive" in headline_of(found)


def test_missed_and_refused_days_are_in_the_table_of_days() -> None:
    model = make_model(36)
    rows = {row[0]: row for row in rows_of(html_of(model), "The last 30 days")}
    (missed,) = [date for day in model.days for date in day.missed]
    assert rows[missed][1] == "missed"
    assert missed not in {day.date for day in model.days}
    refused = next(day for day in model.days if day.status == "refused")
    assert rows[refused.date][1] == "refused"
    assert rows[refused.date][4].startswith("check refused: 3 of 6")
    assert len(rows) == 30
    dates = list(rows)
    assert dates == sorted(dates, reverse=True)


def test_a_training_that_was_refused_for_its_cost_is_in_the_table_of_days() -> None:
    model = make_model(21)
    refused = OverBudget(Due("cold", "", "core-c", None, "an alarm"), 1.5, 0.25, "core-c may cost 1.50 USD")
    day = replace(model.days[-1], due=(), over_budget=(refused,))
    found = html_of(replace(model, days=[*model.days[:-1], day]))
    rows = {row[0]: row for row in rows_of(found, "The last 30 days")}
    assert rows[day.date][5] == "cold refused: $1.50 of $0.25"


def test_time_and_cost_are_summed_and_a_missing_cost_is_a_dash(model: Model, page: str) -> None:
    usd = sum(each["usd"] or 0.0 for each in model.usage.values())
    known = sum(each["usd"] is not None for each in model.usage.values())
    assert f"the cost of {known} days is ${usd:.2f}" in text_of(page)
    costs = {row[0]: row[7] for row in rows_of(page, "The last 30 days")}
    for date, each in list(model.usage.items())[-20:]:
        assert costs[date] == ("–" if each["usd"] is None else "$0.004")
    assert "not known" in text_of(html_of(replace(model, usage={})))


def test_checks_of_the_last_day_are_shown_with_their_numbers() -> None:
    rows = rows_of(html_of(make_model(21)), "Hard checks")
    assert [row[:2] for row in rows] == [["coverage", "passed"], ["size", "FAILED"]]
    assert rows[1][2] == f"{CHECKS[1]['text'].replace(chr(39), '&#39;')}; such as NVDA"


def test_corrections_are_counted_and_listed(model: Model, page: str) -> None:
    rows = {row[0]: row[1:] for row in rows_of(page, "Number of each kind")}
    changed = [day for day in model.days if day.bars["corrections"]]
    late = rows["tickers with late corrections"]
    assert late[2] == str(len(changed))
    assert rows["corrected values"][2] == str(2 * len(changed))
    assert rows["rows read"] == ["600", "18,000", f"{600 * len(model.days):,}"]
    newest = [row for row in rows_of(page, "Single changes") if row[0] == changed[-1].date]
    ticker, date = changed[-1].bars["corrections"][0]["ticker"], changed[-1].bars["corrections"][0]["date"]
    texts = [row[2] for row in newest]
    assert f"{ticker} {date}, close: 101.5 to 99.1" in texts
    assert f"{ticker} {date}, volume: missing to 99.1" in texts
    assert "ticker: KO, price_factor: 0.5, adjusted_factor: 1, cause: a split of 2 for 1" in texts
    assert "ticker: XOM, reason: 12 of 20 bars contradict the stored ones" in texts
    assert rows_of(page, "Single changes")[-1][2] == "AAPL, KO, MSFT, NVDA, XOM, IBM"


def test_changes_of_bars_with_any_keys_are_shown() -> None:
    bars = {"a": True, "b": None, "c": "text", "d": [1, {"x": [2]}], "e": {"f": {"g": 2.5}}, "h": float("nan")}
    assert counts(bars) == {"d": 2.0, "e.f.g": 2.5}
    model = make_model(2)
    found = html_of(replace(model, days=[model.days[0], replace(model.days[1], bars=bars)]))
    assert "c: text" in text_of(found)
    assert ["e.f.g", "2.5", "2.5", "2.5"] in rows_of(found, "Number of each kind")
    assert html_of(replace(model, days=[replace(day, bars={}) for day in model.days]))


def test_the_mean_is_shown_with_its_interval_and_is_no_claim_of_skill(page: str) -> None:
    tile = page.split("Error saved against naive</dt>")[1].split("</dd>")[0]
    assert "95% interval" in tile
    few = html_of(make_model(12)).split("Error saved against naive</dt>")[1].split("</dd>")[0]
    assert "too few for an interval" in few


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_few_days_have_a_page(number: int) -> None:
    model = make_model(number)
    page = html_of(model)
    Page(page)
    assert "nan" not in text_of(page).lower().split()
    if number < 2:
        assert "There is no outcome yet" in text_of(page)
        assert "skill" not in draw_all(History(model.versions, model.moves, model.days))
    assert "no day has been run yet" in headline_of(html_of(make_model(0)))


def test_a_model_without_versions_moves_or_days_has_a_page() -> None:
    recipe = make_model(0).recipe
    assert "There is no champion" in headline_of(to_html(recipe, [], [], [], {}))


def test_a_thousand_days_stay_small() -> None:
    model = make_model(1_000, refreshes=40, first="2022-01-03")
    page = html_of(model)
    Page(page)
    assert len(page) < 500_000
    assert len(rows_of(page, "The last 30 days")) == 30
    assert len(rows_of(page, "Versions")) == len(model.versions) == 46


@pytest.mark.parametrize("name", [*MARKUP, *VERY_LONG, "\x1b[31m" + "L" * 40], ids=lambda name: ascii(name[:20]))
def test_hostile_text_is_only_text(name: str) -> None:
    model = make_model(40, name=name)
    last = model.days[-1]
    drift = tuple({**each, "name": name} for each in last.drift)
    checks = tuple({**check, "name": name, "text": name, "tickers": [name]} for check in CHECKS)
    day = replace(
        last, status="refused", reasons=(name, name), drift=drift, checks=checks, work={name: 1},
        bars={name: [{name: name}], "text": name}, decisions=(Decided(2, "retire", name, (name,)),),
    )  # fmt: skip
    versions = [replace(each, recipe=name, run=name, evidence={name: 1.0}) for each in model.versions]
    moves = [*model.moves, Move(99, 3, 2, last.date, name, (name,))]
    recipe = replace(model.recipe, run=name, bars=name)
    page = to_html(recipe, versions, moves, [*model.days[:-1], day], model.usage)
    found = Page(page)
    assert {tag for tag, _ in found.tags} & {"script", "img", "iframe"} == set()
    assert not any(key.startswith("on") for _, known in found.tags for key in known)
    assert not set(page) & {"\x1b", "\x00", "\x07", "\u202e"}
    assert "{{ 49 }}" not in page
