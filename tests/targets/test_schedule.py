"""The launcher that comes by a schedule: its assignment, its work, its record, and the command that shows them."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import cloudlstm
from cloudlstm import __version__, storage
from cloudlstm.cli import schedule as command
from cloudlstm.cli import schedule_work
from cloudlstm.errors import RunBusyError, TargetError
from cloudlstm.targets import launcher_code, launchers, polling, schedule, spark_job
from cloudlstm.targets.bundle import package
from cloudlstm.targets.cloud import FIGURES_LIMIT_S
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.lease import Lease
from cloudlstm.targets.schedule import Launch, ModelDay, Timetable
from infra.test_document import DOCUMENT
from targets.fake_clouds import Target
from targets.scheduled_days import ScheduledDays

DAY = dt.date(2021, 6, 30)
CHOSEN: dict[str, Any] = {
    "time": "30 18 * * 1-5", "time_zone": "America/New_York", "models": ["a", "b"], "max_usd": None,
    "group": "mine-launcher", "job": "mine-launcher", "machine": "m7i.large", "max_hours": 8,
    "python": "/opt/python", "target": "memory://mine/target.json",
}  # fmt: skip
PARTS = {name: {"uri": f"memory://mine/code/{name}", "sha256": name[0] * 64} for name in ("launcher", "launch")}
LONG = lambda: 3600.0  # noqa: E731
LAUNCH = Launch("2024-06-28T22:30:00Z", "2024-06-28T22:31:00Z", "2024-06-28T22:30:00Z", __version__, "", ())


@pytest.fixture
def config() -> TargetConfig:
    name = f"mine-{time.monotonic_ns()}"
    return TargetConfig.model_validate(
        DOCUMENT | {"bucket_uri": f"memory://{name}", "trainer_python": "/opt/python", "schedule": CHOSEN}
    )


def found(config: TargetConfig) -> list[str]:
    return [name for name, _ in schedule.launches(f"{config.bucket_uri}/runs", 9)]


def test_a_target_without_a_schedule_says_what_makes_one() -> None:
    with pytest.raises(TargetError, match="has no schedule") as caught:
        schedule.schedule_of(TargetConfig.model_validate(DOCUMENT))
    assert "variable `schedule`" in caught.value.hint


@pytest.mark.parametrize("wrong", [{"time": "daily"}, {"time": "0 18 ? * 1-5"}, {"models": []}, {"max_usd": 0}])
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TargetConfig.model_validate(DOCUMENT | {"schedule": CHOSEN | wrong})


def test_the_assignment_has_what_a_machine_looks_for_and_no_end(config: TargetConfig) -> None:
    made = schedule.assignment(config, PARTS)
    assert made == schedule.assignment(config, PARTS)
    assert made["deadline"] > time.time() + 100 * 365 * 86400
    assert len(str(made["deadline"])) == 11  # bootstrap/trainer.sh takes no more digits
    assert made["within"] == schedule.schedule_of(config).max_hours * 3600  # four failures in its life end a launcher
    assert made["trainer_python"] == "/opt/python"
    assert "wheelhouse" not in made
    without = replace_python(config)
    house = {"uri": "memory://mine/code/house", "sha256": "h" * 64}
    assert schedule.assignment(without, PARTS | {"wheelhouse": house})["wheelhouse"] == house


def replace_python(config: TargetConfig) -> TargetConfig:
    return config.model_copy(update={"schedule": schedule.schedule_of(config).model_copy(update={"python": ""})})


def test_records_are_numbered_by_day_and_the_newest_comes_first(config: TargetConfig) -> None:
    root = f"{config.bucket_uri}/runs"
    for date in ("2024-06-27", "2024-06-28", "2024-06-28"):
        schedule.record(root, date, LAUNCH)
    storage.write(f"{root}/schedule/2024-06-28/.DS_Store", b"")
    storage.write(f"{root}/schedule/2024-06-29/0001.json", b"{")
    assert found(config) == ["2024-06-28/0002", "2024-06-28/0001", "2024-06-27/0001"]
    assert schedule.launches(root, 1)[0][1] == LAUNCH


def test_a_model_that_fails_does_not_stop_the_others(config: TargetConfig) -> None:
    called = []

    def day(name: str, flags: list[str], _: float) -> ModelDay:
        called.append((name, flags))
        return ModelDay(name, {"a": 1, "b": 3}[name], 1.0, "log")

    uri = schedule_work.do_days(config, day, LONG, {})
    assert [name for name, _ in called] == ["a", "b"]
    target, wait, *costs, skip = called[0][1]
    assert (target, wait, skip) == ("--target=memory://mine/target.json", "--wait", "--skip-trainings")
    assert all(each.startswith(("--max-usd-month=", "--launcher-usd-per-hour=")) for each in costs)
    ((name, launch),) = schedule.launches(f"{config.bucket_uri}/runs", 9)
    assert uri.endswith(f"/schedule/{name}.json")
    assert [each.word for each in launch.models] == ["failed", "refused"]


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [(0, 1, "failed"), (3, None, "cut off"), (0, -9, "cut off"), (1, 0, "failed"), (None, 0, "cut off")],
)
def test_trainings_begin_when_the_days_of_all_models_are_done(
    config: TargetConfig, monkeypatch: pytest.MonkeyPatch, first: int | None, second: int | None, word: str
) -> None:
    """A long training of one model takes no day from another."""
    called = []

    def day(name: str, flags: list[str], _: float) -> ModelDay:
        is_day = "--skip-trainings" in flags
        given_up = "--give-up-trainings" in flags
        called.append((name, "day" if is_day else "given up" if given_up else "trainings"))
        return ModelDay(name, first if is_day else second, 1.0, "the day" if is_day else "the trainings")

    monkeypatch.setattr(schedule_work, "has_trainings", lambda paths: paths.name == "a")
    schedule_work.do_days(config, day, LONG, {})
    again = [("a", "trainings")] if first in (0, 3) else []  # a day that failed would only fail again
    told = [("a", "given up")] if again and second in (None, -9) else []  # a process that was killed could not
    assert called == [("a", "day"), ("b", "day"), *again, *told]
    ((_, launch),) = schedule.launches(f"{config.bucket_uri}/runs", 9)
    assert launch.models[0].word == word
    if again:
        assert launch.models[0] == ModelDay("a", second, 2.0, "the day\nthe trainings")


def test_the_price_of_the_machine_is_passed_on_and_the_limit_of_a_month_if_there_is_one(config: TargetConfig) -> None:
    flags: list[str] = []

    def day(name: str, given: list[str], _: float) -> ModelDay:
        flags.extend(given)
        return ModelDay(name, 0, 1.0, "")

    limited = schedule.schedule_of(config).model_copy(update={"max_usd": 40.0})
    schedule_work.do_days(config.model_copy(update={"schedule": limited}), day, LONG, {})
    assert "--max-usd-month=40" in flags
    flags.clear()
    schedule_work.do_days(config, day, LONG, {})  # the policy of a model may have a limit, and the page shows the cost
    assert not [each for each in flags if each.startswith("--max-usd-month")]
    (price,) = {each for each in flags if each.startswith("--launcher-usd-per-hour=")}
    assert 0.1008 < float(price.partition("=")[2]) < 0.11  # m7i.large and its disk


def test_the_time_of_an_emulated_clock_is_passed_on_and_gives_the_local_date(config: TargetConfig) -> None:
    flags: list[str] = []

    def day(name: str, given: list[str], _: float) -> ModelDay:
        flags.extend(given)
        return ModelDay(name, 0, 1.0, "")

    schedule_work.do_days(config, day, LONG, {schedule.NOW: "2024-06-29T01:30:00+00:00"})
    assert "--now=2024-06-29T01:30:00" in flags
    assert found(config) == ["2024-06-28/0001"]  # half past nine in the evening in New York


def test_a_day_is_the_command_and_its_last_lines_are_kept() -> None:
    done = schedule_work.run_day("nobody", [f"--root=memory://none-{time.monotonic_ns()}"], 120)
    assert (done.status, done.word) == (2, "usage error")
    assert "no model nobody" in done.log


def test_a_day_is_cut_off_before_the_deadline_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert schedule_work.run_day("m", [], 0).word == "cut off"
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\necho begun\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    done = schedule_work.run_day("m", [], 1)
    assert (done.status, done.log) == (None, "begun")


def test_days_end_before_the_deadline_of_the_machine(
    config: TargetConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is kept beside the folder of the job, and is nearer than the hours of the schedule after a slow set-up."""
    place = f"{config.bucket_uri}/target.json"
    chosen = schedule.schedule_of(config).model_copy(update={"target": place})
    storage.write_json(place, config.model_copy(update={"schedule": chosen}).model_dump(mode="json"))
    storage.write_json(schedule.assignment_uri(config), {"target": place})
    monkeypatch.setenv("CLOUDLSTM_BUCKET_URI", config.bucket_uri)
    monkeypatch.setenv("CLOUDLSTM_GROUP", chosen.group)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "jobs" / "agent.py")])
    left: list[float] = []

    def day(name: str, _: list[str], seconds: float) -> ModelDay:
        left.append(seconds)
        return ModelDay(name, 0, 1.0, "")

    monkeypatch.setattr(schedule_work, "run_day", day)
    margin = schedule_work._MARGIN_S
    for text, most in (
        ("", 8 * 3600),
        (f"{int(time.time()) + 7200}\n", 7200),
        (str(int(time.time()) + 10**6), 8 * 3600),
    ):
        (tmp_path / "deadline").write_text(text)
        left.clear()
        assert schedule_work.main() == 0
        assert most - margin - 600 < left[-1] <= most - margin
        assert left[0] == pytest.approx(left[-1] / 2, rel=0.01)  # a model that hangs leaves the other one its day
    (tmp_path / "deadline").write_text(str(int(time.time()) + 60))
    assert schedule_work.main() == 0
    assert left[-1] < 0  # so it is cut off at once


@settings(deadline=None)
@given(left=st.floats(-1000.0, 30_000.0), models=st.integers(1, 30))
def test_days_that_hang_leave_the_others_their_share(left: float, models: int) -> None:
    shares, rest = [], left
    for place in range(models):
        shares.append(schedule_work._share(rest, models - place))
        rest -= shares[-1]
    assert rest == pytest.approx(0.0, abs=1e-6)
    assert all(each <= max(left / models, 600.0) + 1e-6 for each in shares)
    assert shares[0] >= min(left, 600.0) - 1e-6


def test_no_time_for_a_training_is_told_before_the_deadline_of_the_machine(
    config: TargetConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that is ended, and those that never begin: each is given up, in the margin before the deadline."""
    margin, stop, stop_day = schedule_work._MARGIN_S, schedule_work._STOP_S, schedule_work._STOP_DAY_S
    now, end = 0.0, 1000.0
    given_up = []

    def day(name: str, flags: list[str], seconds: float) -> ModelDay:
        """Each command hangs, and does not follow SIGTERM."""
        nonlocal now
        if "--skip-trainings" in flags:
            now += 10.0
            return ModelDay(name, 0, 10.0, "")
        if seconds > 0:
            ends = "--give-up-trainings" in flags
            given_up.extend([name] * ends)
            now += seconds + (stop_day if ends else stop)
        return ModelDay(name, None, 0.0, "")

    monkeypatch.setattr(schedule_work, "has_trainings", lambda _: True)
    more = schedule.schedule_of(config).model_copy(update={"models": [*"abcdefgh"]})
    uri = schedule_work.do_days(config.model_copy(update={"schedule": more}), day, lambda: end - now, {})
    assert given_up[:3] == ["a", "b", "c"]
    assert end < now <= end + margin - schedule_work._RECORD_S
    assert {each["status"] for each in storage.read_json(uri)["models"]} == {None}


def test_a_training_that_is_ended_has_the_time_to_cancel_its_job() -> None:
    assert schedule_work._STOP_S >= spark_job._ENDING_S + polling.RETRY_LIMIT_S + FIGURES_LIMIT_S
    assert schedule_work._STOP_DAY_S > FIGURES_LIMIT_S


def test_one_launcher_at_a_time(config: TargetConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    base = schedule.coordinates(config)
    first = Lease(base, "memory://runs/one", lambda _: False)
    schedule_work._take(first)
    monkeypatch.setattr(schedule_work, "_WAIT_S", 0.0)
    with pytest.raises(RunBusyError, match="another launcher is at work"):
        schedule_work._take(Lease(base, "memory://runs/two", lambda _: False))
    first.release()
    second = Lease(base, "memory://runs/two", lambda _: False)
    schedule_work._take(second)
    second.release()


def test_a_launcher_that_finds_another_one_at_work_leaves(
    config: TargetConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{config.bucket_uri}/target.json"
    chosen = schedule.schedule_of(config).model_copy(update={"target": place})
    storage.write_json(place, config.model_copy(update={"schedule": chosen}).model_dump(mode="json"))
    storage.write_json(schedule.assignment_uri(config), {"target": place})
    monkeypatch.setenv("CLOUDLSTM_BUCKET_URI", config.bucket_uri)
    monkeypatch.setenv("CLOUDLSTM_GROUP", chosen.group)
    monkeypatch.setattr(schedule_work, "_WAIT_S", 0.0)
    monkeypatch.setattr(schedule_work, "run_day", lambda name, *_: ModelDay(name, 0, 1.0, ""))
    other = Lease(schedule.coordinates(config), "memory://runs/one", lambda _: False)
    schedule_work._take(other)
    assert schedule_work.main() == 0
    assert "another launcher is at work" in capsys.readouterr().err
    assert found(config) == []
    other.release()
    assert schedule_work.main() == 0
    assert len(found(config)) == 1
    monkeypatch.setenv("CLOUDLSTM_GROUP", "other-launcher")
    storage.write_json(f"{config.bucket_uri}/trainers/other-launcher/assignment.json", {"target": place})
    with pytest.raises(TargetError, match="names a target whose launchers are assigned at"):
        schedule_work.main()


def test_an_unpacked_launcher_packs_the_same_code_again(tmp_path: Path) -> None:
    """Or a launcher would have to send it, which it may not."""
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(package.pack_launcher(tmp_path)) as archive:
        archive.extractall(folder)
    code = (
        "import sys; from pathlib import Path; from cloudlstm.targets.bundle import package, dependencies, wheelhouse;"
        "package.pack(Path(sys.argv[1])); print(dependencies.key_of('3.11', 'x86_64'));"
        "print(wheelhouse.Wheelhouse('3.11', 'cpu').key); print(wheelhouse.asset('jobs', 'prepare.py').read_text())"
    )
    known = []
    for place, home in ((folder, tmp_path / "there"), (Path(cloudlstm.__file__).parents[1], tmp_path / "here")):
        home.mkdir()
        environment = os.environ | {"PYTHONPATH": str(place)}
        done = subprocess.run(
            [sys.executable, "-c", code, str(home)], env=environment, capture_output=True, text=True, check=True
        )
        known.append((done.stdout, (home / package.PACKAGE).read_bytes()))
    assert known[0] == known[1]


class Cloud:
    """A cloud with a schedule."""

    def __init__(self, table: Timetable) -> None:
        self.table, self.launchers = table, 0

    def look(self) -> Timetable:
        return self.table


NEXT = dt.datetime(2024, 7, 1, 22, 30, tzinfo=dt.UTC)
TABLE = Timetable("30 18 * * 1-5", "America/New_York", NEXT, "")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud(TABLE)
    monkeypatch.setattr(schedule, "open_schedule", lambda _: cloud)
    monkeypatch.setattr(launcher_code, "send_code", lambda *_: PARTS)
    monkeypatch.setattr(launcher_code, "code_here", lambda: PARTS["launcher"]["sha256"])
    monkeypatch.setattr(launchers, "working", lambda _: cloud.launchers)
    return cloud


def test_the_command_sends_once_and_shows_the_schedule(cloud: Cloud, config: TargetConfig) -> None:
    before = command.describe(config, send=False)
    assert before["code"] == {"version": "", "sha256": "", "sent": False}
    assert [each for each in before["warnings"] if "launchers find no code" in each]
    assert schedule.assigned(config) is None
    first = command.describe(config, send=True)
    assert first["code"] == {"version": __version__, "sha256": "l" * 64, "sent": True}
    written = storage.stat(schedule.assignment_uri(config)).etag
    again = command.describe(config, send=True)
    assert again == first | {"code": first["code"] | {"sent": False}}
    assert storage.stat(schedule.assignment_uri(config)).etag == written
    assert again["next"] == "2024-07-01T22:30:00Z"
    assert again["working"] == 0
    cloud.launchers = 1
    assert command.describe(config, send=True) == again | {"working": 1}
    assert [each.partition(" in ")[0] for each in again["warnings"]] == ["no model a", "no model b"]


def test_what_is_wrong_is_warned_of(cloud: Cloud, config: TargetConfig) -> None:
    old = schedule.assignment(config, PARTS) | {"code": "0.1.0"}
    storage.write_json(schedule.assignment_uri(config), old)
    cloud.table = replace(TABLE, time="0 9 * * *", paused="the job mine-launcher is PAUSED", next=None)
    shown = command.describe(config, send=False)
    text = " ".join(shown["warnings"])
    assert "no launcher comes: the job mine-launcher is PAUSED" in text
    assert "the cloud has the schedule 0 9 * * *" in text
    assert "launchers run cloudlstm 0.1.0" in text
    assert shown["next"] is None
    changed = PARTS | {"launcher": PARTS["launcher"] | {"sha256": "0" * 64}}
    storage.write_json(schedule.assignment_uri(config), schedule.assignment(config, changed))
    assert "launchers run another cloudlstm" in " ".join(command.describe(config, send=False)["warnings"])


def test_the_text_has_the_last_results(cloud: Cloud, config: TargetConfig) -> None:
    log = "\n".join(f"line {number}" for number in range(9))
    days = (ModelDay("a", 0, 12.0, log), ModelDay("b", None, 3.0, log))
    schedule.record(f"{config.bucket_uri}/runs", "2024-06-28", replace(LAUNCH, models=days))
    text = command._text(json.loads(json.dumps(command.describe(config, send=True))))
    assert "2024-06-28/0001  2024-06-28T22:30:00Z  a done, b cut off\n    b: line 4\n    b: line 5\n" in text
    assert "    b: line 8\n" in text
    assert "    a: " not in text
    assert "next      2024-07-01T22:30:00Z" in text


def test_the_schedule_that_terraform_made_starts_a_launcher(target: Target) -> None:
    days = ScheduledDays(target.cloud, target.document)
    days.wait_for(DAY)
    try:
        assert days.run("schedule").returncode == 0
        (nobody,) = days.evening(DAY).models
    finally:
        days.cloud.control.reset_clock()
    assert (nobody.model, nobody.word) == ("nobody", "usage error")
    assert "no model nobody" in nobody.log
