"""The commands on models: what they print, their exit status, and their errors."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.errors import MissingExtraError
from cloudlstm.models import registry
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs import index
from cloudlstm.runs.paths import RunPaths
from models.daily.recorded import FIRST_DAY, change_rows, evenings, stamp, write_market
from models.daily.untrained import add_version, make_model

DAYS, NOWS = zip(*evenings(FIRST_DAY, 3), strict=True)


@dataclass(frozen=True)
class Said:
    """What a command has printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """The output without line breaks."""
        return " ".join(self.out.split())


class Shell:
    """Runs commands on one root in this process, and checks what holds for each of them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    @property
    def root(self) -> str:
        return f"file://{self.folder}/runs"

    def make(self, name: str = "m", **policy: int) -> ModelPaths:
        return make_model(self.root, name, self.folder / "bars", **policy)

    def __call__(self, *words: str) -> Said:
        """Runs a command; an error is one line, and no line is wider than 80 unless a word in it is."""
        status = main([*words, f"--root={self.root}"])
        found = self._capsys.readouterr()
        assert "Traceback" not in found.out + found.err
        told = status == 1 and found.out  # `models verify` with problems is no error
        assert found.err.count("cloudlstm: ") == (status in (1, 2) and not told)
        if "--json" not in words:
            for line in found.out.splitlines():
                assert len(line) <= 80 or len(line.split()) == 1, line
        return Said(status, found.out, found.err)

    def daily(self, number: int, *words: str, name: str = "m") -> Said:
        return self("daily", name, f"--now={NOWS[number]:%Y-%m-%dT%H:%M}", *words)

    def change_bars(self, number: int, factor: float) -> None:
        """Multiplies all prices of a day in the recorded files."""
        for file in (self.folder / "bars").glob("*.csv"):
            change_rows(file, {DAYS[number].isoformat()}, factor)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("recorded") / "bars")


@pytest.fixture
def shell(market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    shutil.copytree(market, tmp_path / "bars")
    return Shell(tmp_path, capsys)


def test_all_models_are_listed(shell: Shell) -> None:
    none = shell("models")
    assert none.status == 0
    assert none.text.startswith(f"no models in {shell.root}; cloudlstm models create NAME --run=RUN")
    assert json.loads(shell("models", "--json").out) == {"schema": 1, "models": []}
    shell.make("second")
    shell.make("first")
    shell.daily(0, name="first")
    one = shell("models")
    assert one.text == (
        f"first: version 1 of 1 is the champion since {FIRST_DAY}; last day {DAYS[0]}, done "
        f"second: version 1 of 1 is the champion since {FIRST_DAY}; no day yet"
    )
    first, second = json.loads(shell("models", "--json").out)["models"]
    assert (first["name"], first["champion"], first["versions"], first["day"], first["status"]) == (
        "first", 1, 1, DAYS[0].isoformat(), "done")  # fmt: skip
    assert (second["name"], second["day"], second["status"]) == ("second", None, None)


def test_a_model_is_shown_with_its_versions_and_moves(shell: Shell) -> None:
    paths = shell.make()
    add_version(paths, 2)
    shown = shell("models", "show", "m")
    assert shown.status == 0
    assert f"model m: {paths.uri}" in shown.text
    assert "version 2: cold, made" in shown.text
    assert f"{FIRST_DAY} champion is version 1 (created): the model was created from run" in shown.text
    assert f"no day yet: cloudlstm daily m --root={paths.root}" in shown.text
    assert "(try: did you mean m?)" in shell("models", "show", "mm").err
    document = json.loads(shell("models", "show", "m", "--json").out)
    assert [each["number"] for each in document["versions"]] == [1, 2]
    assert (document["name"], document["day"], document["moves"][0]["version"]) == ("m", None, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["create", "m"], "no trained run in"),
        (["create", "m", "--run=x"], "no run x in"),
        (["create"], "models create is not complete"),
        (["create", "M_1", "--run=x"], "'M_1' is no name of a model"),
        (["create", "m", "often=1"], "'often=1' is no part of a policy"),
        (["create", "m", "warm_every"], "'warm_every' is no part of a policy"),
        (["create", "m", "warm_every=0"], "warm_every needs a whole number from 1, not '0'"),
        (["create", "m", "warm_epochs=none"], "warm_epochs needs a whole number from 1, not 'none'"),
        (["create", "m", "recipe.=model.units=8"], "'' is no name of a recipe"),
        (["create", "m", "recipe.warm=model.units=8"], "'warm' is no name of a recipe"),
        (["create", "m", "recipe.A_1=model.units=8"], "'A_1' is no name of a recipe"),
        (["create", "m", "recipe.a=model.units=8", "recipe.a=model.units=9"], "'a' is no name of a recipe"),
        (["create", "m", "--run"], "--run needs a value"),
        (["add", "other"], "no model other in"),
        (["verify", "m", "--noted=abc"], "noted is a digest of 64 hexadecimal digits, not 'abc'"),
        (["add", "m", "warm_every=5"], "models takes no further word such as 'warm_every=5'"),
        (["show", "other"], "no model other in"),
        (["show"], "models show is not complete"),
        (["verify", "other"], "no model other in"),
        (["verify", "m", "m"], "models takes no further word such as 'm'"),
        (["destroy", "m"], "models has no action 'destroy'"),
        (["show", "../m"], "'../m' is no name of a model"),
        (["--roots=x"], "models has no flag --roots"),
    ],
)
def test_wrong_words_are_told_in_one_line(shell: Shell, words: Sequence[str], message: str) -> None:
    found = shell("models", *words)
    assert (found.status, found.out) == (2, "")
    assert message in found.err
    assert found.err.count("\n") == 1
    assert not (shell.folder / "runs").exists(), "something was made"


def test_an_unfinished_run_makes_no_model(shell: Shell) -> None:
    """Otherwise the name would be taken by a model without a champion."""
    run = RunPaths.of(shell.root, "begun-1")
    storage.write_json(run.config, registry.recipe_of(shell.make("other")).config)
    index.mark(shell.root, "begun-1")
    found = shell("models", "create", "m", "--run=begun-1")
    assert found.status == 2
    assert "run begun-1 is not finished" in found.err
    assert "no model m in" in shell("models", "show", "m").err
    assert registry.model_names(shell.root) == ["other"]


def test_the_ledger_is_verified(shell: Shell) -> None:
    paths = shell.make()
    assert shell("models", "verify", "m").text == "m: 0 records, 0 problems"
    shell.daily(0)
    first = json.loads(shell("models", "verify", "m", "--json").out)["newest"]
    shell.daily(1)
    stamp(shell.folder / "runs/models/m/ledger")
    whole = shell("models", "verify", "m", f"--noted={first}")
    assert (whole.status, whole.text.startswith("m: 2 records, 0 problems")) == (0, True)
    assert re.search(r"newest digest: [0-9a-f]{64}$", whole.text)
    unknown = shell("models", "verify", "m", f"--noted={first}, {'5' * 64}")
    assert unknown.status == 1
    assert "no record has the noted digest 555555555555…" in unknown.text
    record = storage.read_json(paths.record(DAYS[1].isoformat()))
    storage.write_json(paths.record(DAYS[1].isoformat()), record | {"made_at": record["made_at"] - 1.0})
    stamp(shell.folder / "runs/models/m/ledger")
    changed = shell("models", "verify", "m", "--json")
    assert changed.status == 1
    assert [(each["kind"], each["number"]) for each in json.loads(changed.out)["problems"]] == [("changed", 0)]


def test_the_champion_is_promoted_and_rolled_back_by_hand(shell: Shell) -> None:
    paths = shell.make()
    add_version(paths, 2)
    nothing = shell("rollback", "m")
    assert (nothing.status, nothing.out) == (2, "")
    assert "model m has no earlier champion" in nothing.err
    assert "version 1 is the champion of m already" in shell("promote", "m", "1").err
    assert "model m has no version 7" in shell("promote", "m", "7").err
    assert "promote needs the number of a version, not 'two'" in shell("promote", "m", "two").err
    assert "promote needs the number of a version, not '0'" in shell("promote", "m", "0").err
    assert "promote needs the word VERSION" in shell("promote", "m").err
    assert "no model n in" in shell("promote", "n", "2").err
    assert [move.basis for move in registry.moves_of(paths)] == ["created"]
    moved = shell("promote", "m", "2")
    assert (moved.status, moved.text) == (0, "version 2 is the champion of m, after version 1")
    assert shell("rollback", "m").text == "version 1 is the champion of m, after version 2"
    moves = registry.moves_of(paths)
    assert [(move.version, move.basis) for move in moves] == [(1, "created"), (2, "manual"), (1, "rollback")]


def test_a_day_serves_the_version_that_was_promoted_by_hand(shell: Shell) -> None:
    paths = shell.make()
    shell.daily(0)
    add_version(paths, 2)
    shell("promote", "m", "2")
    found = json.loads(shell.daily(1, "--json").out)
    assert (found["champion"], found["previous"]) == (2, 1)
    assert set(found["forecasts"]) == {"1", "2"}


def test_a_day_is_told_and_the_same_day_again_is_the_same(shell: Shell) -> None:
    shell.make()
    first = shell.daily(0)
    assert first.status == 0
    assert f"model m day {DAYS[0]}: done" in first.text
    assert f"champion is version 1; 4 forecasts made before {DAYS[1]}" in first.text
    later = f"--now={NOWS[0] + dt.timedelta(hours=2):%Y-%m-%dT%H:%M}"
    again = shell("daily", "m", later)
    assert (again.status, again.out) == (first.status, first.out)
    assert "this day was done before" in again.err
    document = json.loads(shell("daily", "m", later, "--json").out)
    assert (document["model"], document["date"], document["status"]) == ("m", DAYS[0].isoformat(), "done")
    assert shell.daily(1).status == 0
    assert shell.daily(0).out == first.out
    before = shell("daily", "m", f"--now={FIRST_DAY}T12:00")
    assert before.status == 2
    assert f"model m has a day {DAYS[1]}, and the last session is {FIRST_DAY - dt.timedelta(days=1)}" in before.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["daily"], "daily needs the word NAME"),
        (["daily", "m", "--now=soon"], "--now is no time: 'soon'"),
        (["daily", "m", "--now=2021-06-30"], "--now is no time: '2021-06-30'"),
        (["daily", "m", "--now"], "--now needs a value"),
        (["daily", "m", "--now=2099-01-04T23:30"], "--now is not between 1900 and the present time"),
        (["daily", "m", "--now=9999-12-31T23:59-14:00"], "--now is not between 1900 and the present time"),
        (["daily", "m", "--now=0001-01-01T00:00+14:00"], "--now is not between 1900 and the present time"),
        (["daily", "other"], "no model other in"),
        (["daily", "m", "--now=2010-01-04T23:30"], "is before market.start"),
        (["daily", "m", "--json=yes"], "--json is true or false, not 'yes'"),
        (["daily", "m", "extra"], "daily has no further word such as extra"),
        (["monitor"], "monitor needs the word NAME"),
        (["monitor", "other"], "no model other in"),
    ],
)
def test_wrong_words_of_other_commands(shell: Shell, words: Sequence[str], message: str) -> None:
    shell.make()
    found = shell(*words)
    assert (found.status, found.out) == (2, "")
    assert message in found.err


def test_a_refused_day_has_exit_status_3(shell: Shell) -> None:
    shell.make()
    shell.daily(0)
    shell.change_bars(1, -1.0)
    refused = shell.daily(1)
    assert refused.status == 3
    assert f"day {DAYS[1]}: REFUSED" in refused.text
    assert "check coverage" in refused.text
    assert "champion is version" not in refused.text, "no forecasts were made"
    assert shell.daily(1).status == 3
    shell.change_bars(1, -1.0)
    assert shell.daily(2).status == 0


def test_a_day_is_told_and_its_page_written_although_its_training_fails(shell: Shell) -> None:
    paths = shell.make(warm_every=1)
    shell.daily(0)
    page = storage.read(paths.monitor)
    run = f"m-warm-{DAYS[1]:%Y%m%d}"
    storage.write_json(f"{paths.root}/{run}/config.json", {"name": "of somebody else"})
    for _ in range(2):  # the same command tries the training again
        failed = shell.daily(1)
        assert failed.status in (1, 2)
        assert run in failed.err
        assert f"day {DAYS[1]}: done" in failed.text
        assert "training is due: m-warm-" in failed.text
        assert storage.read(paths.monitor) != page
    assert registry.day_dates(paths) == [day.isoformat() for day in DAYS[:2]]


def test_a_training_whose_parent_was_deleted_starts_from_new_weights(shell: Shell) -> None:
    """The run of version 1 is not there."""
    paths = shell.make(warm_every=1)
    shell.daily(0)
    done = shell.daily(1)
    assert done.status == 0
    assert f"was deleted, so m-warm-{DAYS[1]:%Y%m%d} starts from new weights" in " ".join(done.err.split())
    assert [version.kind for version in registry.versions_of(paths)] == ["created", "warm"]


def test_control_characters_in_reasons_are_printed_as_text(shell: Shell) -> None:
    """Reasons hold names of tickers, and others may write into a bucket."""
    hostile = "\x1b[2J\u202etxt\r\nday 2030-01-01: done"
    paths = shell.make()
    add_version(paths, 2)
    registry.move(paths, 2, FIRST_DAY.isoformat(), "manual", (hostile,))
    shell.daily(0)
    day = storage.read_json(paths.day(DAYS[0].isoformat()))
    storage.write_json(paths.day(DAYS[0].isoformat()), day | {"status": "refused", "reasons": [hostile]})
    for found in (shell("models", "show", "m"), shell.daily(0)):
        assert "\\x1b[2J\\u202etxt\\r\\nday" in found.out
        assert not any(line.startswith("day 2030") for line in found.out.splitlines())
        assert not {"\x1b", "\u202e", "\r"} & set(found.out + found.err)


def test_the_page_is_written_and_its_place_printed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = shell.make()
    shell.daily(0)
    storage.delete(paths.monitor, within=paths.uri)
    found = shell("monitor", "m")
    assert (found.status, found.out) == (0, f"{paths.monitor}\n")
    assert storage.read(paths.monitor).startswith(b"<!")

    def missing(*_: Any) -> str:
        raise MissingExtraError("the page of a model needs jinja2")

    monkeypatch.setattr("cloudlstm.models.monitor.render.to_html", missing)
    noted = shell.daily(1)
    assert noted.status == 0
    assert "note: no page was made: the page of a model needs jinja2" in noted.err
    storage.delete(paths.monitor, within=paths.uri)
    without = shell("monitor", "m")
    assert (without.status, without.out) == (2, "")
    assert "model m has no page" in without.err
