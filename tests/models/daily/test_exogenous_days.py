"""Days of a model with macro series and news: what they use, what they store, and sources that are missing."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm import storage
from cloudlstm.cli.models_view import day_text
from cloudlstm.config import RunConfig, parse
from cloudlstm.dataset.inputs import Relative
from cloudlstm.errors import ConfigError, DataError, MissingExtraError, StorageError, UsageError
from cloudlstm.exogenous.collect import collect
from cloudlstm.exogenous.columns import NEWS, NOVELTY
from cloudlstm.exogenous.table import EXOGENOUS
from cloudlstm.features import EIGHT, Feature, FeatureSet, features_of_run
from cloudlstm.market import calendar
from cloudlstm.market.store.version import Store
from cloudlstm.models import exogenous_rows, ledger, registry
from cloudlstm.models.creating import checked, create
from cloudlstm.models.day import run_day
from cloudlstm.models.documents import Day
from cloudlstm.models.drift import DriftReference, make_reference
from cloudlstm.models.forecasts import Forecaster
from cloudlstm.models.making import watched
from cloudlstm.models.networks import Networks
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.policy import OtherRecipe, Policy
from cloudlstm.models.tail import Tail
from cloudlstm.runs.paths import RunPaths
from models.daily.recorded import CALENDAR, END, FIRST_DAY, START, WINDOW, evenings, objects, write_market
from models.daily.untrained import add_version, make_model

DAYS = calendar.sessions(CALENDAR, START, END)
MORNING_US = 13 * 3_600_000_000
"""A time of day before every opening of the exchange."""


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    return write_market(tmp_path / "own/bars", tickers=2)


def write_macro(bars: Path, scale: float = 1.0) -> Path:
    """A file of one series, published on the morning after each session; its values are those of `scale`."""
    file = bars.parent / "macro.csv"
    values = 2.0 + scale * np.cumsum(np.random.default_rng(4).normal(0, 0.05, len(DAYS)))
    rows = [
        f"DGS10,{calendar.to_date(int(day))},{calendar.to_date(int(day) + 1)}T13:00:00Z,{value:.4f}"
        for day, value in zip(DAYS, values, strict=True)
    ]
    file.write_text("\n".join(["series,period,available_at,value", *rows]) + "\n")
    return file


def write_news(bars: Path) -> Path:
    """A headline for each ticker and session, published in the morning; its number says how good it is."""
    file = bars.parent / "news.csv"
    tickers = sorted(each.stem for each in bars.glob("*.csv"))
    rows = [
        f"{ticker},{calendar.to_date(int(day))}T13:00:00Z,news {number % 21}"
        for ticker in tickers
        for number, day in enumerate(DAYS)
    ]
    file.write_text("\n".join(["ticker,published_at,headline", *rows]) + "\n")
    return file


def macro(file: Path) -> list[str]:
    return ["exogenous.macro.source=files", f"exogenous.macro.path={file}", "exogenous.macro.series=DGS10"]


def news(file: Path) -> list[str]:
    return ["exogenous.news.source=files", f"exogenous.news.path={file}", "exogenous.news.novelty_days=3"]


def model(bars: Path, settings: Sequence[str]) -> ModelPaths:
    return make_model(f"file://{bars.parent}/runs", "m", bars, settings=settings)


def score(config: RunConfig, headlines: pa.Table) -> tuple[pa.Table, list[str]]:
    """A scorer that reads the number of a headline; every headline is new."""
    del config
    number = np.array([int(text.split()[1]) for text in headlines["headline"].to_pylist()], np.float64)
    keys = headlines.select(["entity", "period", "available_at", "source"]).to_pydict()
    tables = [
        pa.table(keys | {"series": [series] * len(number), "value": value, "vintage": [0] * len(number)})
        for series, value in ((NEWS, number / 10.0 - 1.0), (NOVELTY, np.ones(len(number))))
    ]
    return pa.concat_tables(tables).select(EXOGENOUS.names).cast(EXOGENOUS), ["scored for a test"]


def made(paths: ModelPaths, day: Day) -> dict[str, float]:
    """The forecasts of a day by ticker."""
    table = ledger.forecasts_of(paths, ledger.record_of(paths, day.session))
    return dict(zip(table["ticker"].to_pylist(), table["forecast_return"].to_pylist(), strict=True))


def whole(paths: ModelPaths, day: Day, rows: pa.Table) -> Tail:
    """The whole history of a model up to a day, with all exogenous rows."""
    recipe = registry.recipe_of(paths)
    config, as_of = parse(dict(recipe.config)), dt.date.fromisoformat(day.date)
    version = Store(recipe.bars).newest(as_of)
    assert version is not None
    first, last = calendar.to_days(config.market.start), calendar.to_days(as_of)
    return Tail(version.bars(), config, first, last, None, features_of_run(config), rows)


def forecasts(paths: ModelPaths, tail: Tail) -> dict[str, float]:
    """The forecasts of version 1 from the newest windows."""
    windows = tail.newest(WINDOW)
    forecaster = Forecaster.of(paths, registry.version_of(paths, 1), tail.feature_set)
    return dict(zip(windows.tickers.tolist(), forecaster.returns(windows).tolist(), strict=True))


def test_a_day_forecasts_from_what_was_known_at_its_close(bars: Path) -> None:
    """As the whole history with all rows does; the value that comes in the next morning changes nothing."""
    file = write_macro(bars)
    paths = model(bars, macro(file))
    _, now = next(evenings(FIRST_DAY, 1))
    day = run_day(paths, now)
    rows = collect(parse(dict(registry.recipe_of(paths).config)), None, dt.datetime(2021, 12, 31, tzinfo=dt.UTC)).rows
    assert rows["available_at"].to_pylist()[-1] > now
    assert (day.status, len(made(paths, day))) == ("done", 2)
    assert made(paths, day) == forecasts(paths, whole(paths, day, rows))
    without = forecasts(paths, whole(paths, day, EXOGENOUS.empty_table()))
    assert all(without[ticker] != forecast for ticker, forecast in made(paths, day).items())
    stored, notes = exogenous_rows.read(paths.exogenous(day.date))
    assert 0 < stored.num_rows < rows.num_rows / 2
    assert max(stored["available_at"].to_pylist()) < now
    assert notes == day.notes


def test_a_day_that_begins_again_reads_what_it_has_stored(bars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed at each of its writes, and its source has other values when it begins again."""
    file = write_macro(bars)
    paths = model(bars, macro(file))
    (_, first), (date, second) = evenings(FIRST_DAY, 2)
    run_day(paths, first)
    folder, kept = bars.parent, bars.parent.with_name("kept")
    shutil.copytree(folder, kept)
    left = -1
    write, write_json = storage.write, storage.write_json

    def counting(original: Any) -> Any:
        def call(*words: Any, **flags: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise StorageError("the process was killed")
            return original(*words, **flags)

        return call

    monkeypatch.setattr(storage, "write", counting(write))
    monkeypatch.setattr(storage, "write_json", counting(write_json))
    run_day(paths, second)
    undisturbed, number, later = objects(paths), -1 - left, 0
    assert f"/models/m/daily/{date}/exogenous.parquet" in undisturbed
    for killed_at in range(1, number + 1):
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        left = killed_at
        with pytest.raises(StorageError, match="killed"):
            run_day(paths, second)
        if storage.exists(paths.exogenous(date.isoformat())):
            write_macro(bars, scale=9.0)
            later += 1
        run_day(paths, second)
        assert objects(paths) == undisturbed
    assert 0 < later < number


def test_a_missing_source_stops_no_day_and_is_told(bars: Path) -> None:
    file = write_macro(bars)
    paths = model(bars, macro(file))
    (_, first), (_, second) = evenings(FIRST_DAY, 2)
    assert not any("without any row" in note for note in run_day(paths, first).notes)
    file.unlink()
    day = run_day(paths, second)
    assert day.status == "done"
    assert any("macro.csv" in note for note in day.notes)
    assert any("without any row: DGS10" in note for note in day.notes)
    assert "without any row: DGS10" in day_text("m", day, as_json=False)
    assert made(paths, day) == forecasts(paths, whole(paths, day, EXOGENOUS.empty_table()))


def test_headlines_are_scored_by_the_given_scorer(bars: Path) -> None:
    """It gets those of the tail and of the days of novelty before it, and none that came after the close."""
    file = write_news(bars)
    paths = model(bars, [*macro(write_macro(bars)), *news(file)])
    date, now = next(evenings(FIRST_DAY, 1))
    given: list[pa.Table] = []

    def noting(config: RunConfig, headlines: pa.Table) -> tuple[pa.Table, list[str]]:
        given.append(headlines)
        return score(config, headlines)

    day = run_day(paths, now, None, noting)
    (headlines,) = given
    recipe = parse(dict(registry.recipe_of(paths).config))
    collected = collect(recipe, None, dt.datetime(2021, 12, 31, tzinfo=dt.UTC))
    assert headlines.num_rows < collected.headlines.num_rows / 2
    assert max(headlines["available_at"].to_pylist()).date() == date
    rows = pa.concat_tables([collected.rows, score(recipe, collected.headlines)[0]])
    assert made(paths, day) == forecasts(paths, whole(paths, day, rows))
    assert made(paths, day) != forecasts(paths, whole(paths, day, collected.rows))
    assert day.notes[-1] == "scored for a test"


def test_without_scores_the_columns_of_news_are_missing(bars: Path) -> None:
    paths = model(bars, news(write_news(bars)))
    moments = [now for _, now in evenings(FIRST_DAY, 3)]

    def failing(config: RunConfig, headlines: pa.Table) -> tuple[pa.Table, list[str]]:
        raise DataError("the scorer has no answer")

    for now, scorer, told in ((moments[0], None, "not scored here"), (moments[1], failing, "has no answer")):
        day = run_day(paths, now, None, scorer)
        assert day.status == "done"
        assert any(told in note for note in day.notes)
        assert made(paths, day) == forecasts(paths, whole(paths, day, EXOGENOUS.empty_table()))

    def lacking(config: RunConfig, headlines: pa.Table) -> tuple[pa.Table, list[str]]:
        raise MissingExtraError("a package is not installed")

    with pytest.raises(MissingExtraError):  # the user can help that before the session opens
        run_day(paths, moments[2], None, lacking)


def test_a_version_with_other_features_than_the_recipe_is_refused(bars: Path) -> None:
    paths = model(bars, macro(write_macro(bars)))
    features = features_of_run(parse(dict(registry.recipe_of(paths).config)))
    add_version(paths, 2, "cold", features.of_groups(()))  # fewer features than the recipe has
    other = Feature("macro_gdp", "index", "index points", group="macro")
    add_version(paths, 3, "cold", FeatureSet((*EIGHT.features, other)))
    moments = [now for _, now in evenings(FIRST_DAY, 2)]
    registry.move(paths, 2, FIRST_DAY.isoformat(), "manual", ())
    assert run_day(paths, moments[0]).champion == 2
    registry.move(paths, 3, FIRST_DAY.isoformat(), "manual", ())
    with pytest.raises(DataError, match="version 3 of m was trained with macro_gdp, which the recipe"):
        run_day(paths, moments[1])


def reference(names: Sequence[str]) -> DriftReference:
    """A reference that is the same for each of the names."""
    dates = np.repeat(np.arange(300), 2)
    values = np.random.default_rng(1).normal(size=len(dates))
    return make_reference(names, np.repeat(values[:, None], len(names), axis=1), dates, draws=20)


def test_drift_is_measured_on_the_inputs_of_the_version(bars: Path) -> None:
    """A reference of an older release names seven inputs; they are found among those of a wider version."""
    paths = model(bars, macro(write_macro(bars)))
    features = features_of_run(parse(dict(registry.recipe_of(paths).config)))
    inputs = Relative(1, features)
    names, values = watched(np.arange(2.0 * features.width).reshape(2, -1), inputs.chosen)
    assert set(features.names) - set(names) == {"close"}
    np.testing.assert_array_equal(values[0], np.delete(np.arange(features.width), features.names.index("close")))
    older = [name for name in EIGHT.names if name != "close"]
    for number, wanted in enumerate((names, older, names[::-1], ["macro_gdp"]), 2):
        add_version(paths, number, "cold", features, json.dumps(asdict(reference(wanted))).encode())
    registry.move(paths, 2, FIRST_DAY.isoformat(), "manual", ())
    _, now = next(evenings(FIRST_DAY, 1))
    day = run_day(paths, now)
    assert [each["name"] for each in day.drift] == names
    rows, _ = exogenous_rows.read(paths.exogenous(day.date))
    versions = {each.number: each for each in registry.versions_of(paths)}
    networks = Networks(paths, versions, whole(paths, day, rows), 1)
    psi = {each["name"]: each["psi"] for each in day.drift}
    assert len(set(psi.values())) == len(psi)
    assert {each.name: each.psi for each in networks.drift(4)} == psi
    assert {each.name: each.psi for each in networks.drift(3)} == {name: psi[name] for name in older}
    assert networks.drift(5) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (["model.build=mypkg.model:build"], "NumPy, which does not know the network of model.build=mypkg.model:build"),
        (["exogenous.macro.source=synthetic", "exogenous.macro.series=SYNTHETIC"], "exogenous.macro.source=synthetic"),
        (["exogenous.news.source=synthetic"], "exogenous.news.source=synthetic"),
    ],
)
def test_no_model_is_made_of_a_run_that_a_day_cannot_go_on_with(
    tmp_path: Path, setting: list[str], message: str
) -> None:
    run = RunPaths.of(f"file://{tmp_path}/runs", "own-1")
    config = parse({"market": {"source": "files", "path": "/b.csv"}}, setting)
    storage.write_json(run.config, config.model_dump(mode="json"))
    paths = ModelPaths.of(f"file://{tmp_path}/runs", "m")
    with pytest.raises(UsageError, match=message):
        create(paths, run, Policy())
    assert not storage.exists(paths.recipe)


def test_other_recipes_have_no_more_features_than_the_model() -> None:
    config = parse({"market": {"source": "files", "path": "/b.csv"}}, macro(Path("/macro.csv")))
    assert checked(config, OtherRecipe("plain", ("exogenous.inputs=none",))).exogenous.inputs == "none"
    for words in (
        ("exogenous.macro.series=DGS10,CPIAUCSL",),
        ("exogenous.macro.max_age_days=10",),
        ("exogenous.embargo_minutes=60",),
        news(Path("/news.csv")),
    ):
        with pytest.raises(ConfigError, match="recipe more has features that the model does not have"):
            checked(config, OtherRecipe("more", tuple(words)))
    with pytest.raises(UsageError, match="NumPy"):
        checked(config, OtherRecipe("gru", ("model.build=mypkg.model:build",)))
