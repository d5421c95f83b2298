"""What a launcher does that has come by a target's schedule: the days of all models, then their trainings.

jobs/launch.py calls `main` on the machine. A model that fails does not stop the others, and a long training of one
takes no time from the day of another, because trainings begin when all days are done. Each day is `cloudlstm daily`
in a process of its own, as a user would call it, so it does nothing if it was done before. In the end one object tells
exit status and last lines of each model (`targets.schedule.Launch`).
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo

from cloudlstm import __version__, storage
from cloudlstm.cli import terminal
from cloudlstm.costs.prices import prices
from cloudlstm.errors import CloudLSTMError, RunBusyError, TargetError
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.registry import has_trainings
from cloudlstm.runs.paths import join
from cloudlstm.targets.cloud import root_of
from cloudlstm.targets.document import TargetConfig, load
from cloudlstm.targets.lease import Lease
from cloudlstm.targets.schedule import NOW, Launch, ModelDay, assignment_uri, coordinates, record, schedule_of
from cloudlstm.workers.child_environment import child_environment

_MARGIN_S = 900.0
"""Time before the machine's deadline in which the days are ended and the record is written."""
_WAIT_S = 600.0
"""How long another launcher is waited for. One that was killed is known to be dead after two minutes."""
_LOOK_S = 2.0
_STOP_S = 300.0
"""How long a training that is ended may cancel its job: the end of the Spark application is waited for up to 120 s, the
request that empties the trainer group is repeated up to 120 s, and its figures are sent up to 30 s."""
_STOP_DAY_S = 60.0
"""How long a day without trainings may take to end: it has no job, and sends its figures."""
_LEAST_S = 600.0
"""Time that each day gets, if there is so much, before the time is divided among the models."""
_GIVE_UP_S = 120.0
"""Time of the command that tells that trainings were given up."""
_RECORD_S = 60.0
"""Time to write the record."""
_LOG_BYTES = 16_384
_SKIP, _GIVE_UP = "--skip-trainings", "--give-up-trainings"
_DAY_STANDS = (0, 3)
"""Exit statuses after which the trainings of a model are tried: done and refused."""
_DISK_GIB = 30
"""The disk of a launcher in infra/terraform."""


def main() -> int:
    """Does the work of the machine that the environment describes; returns the exit status of the job.

    0: the record is written, whatever became of the models, or another launcher does the work. An error that a second
    try may mend is raised.
    """
    environment = os.environ
    place = join(environment["CLOUDLSTM_BUCKET_URI"], "trainers", environment["CLOUDLSTM_GROUP"], "assignment.json")
    config = load(str(storage.read_json(place)["target"]))
    if place != assignment_uri(config):
        raise TargetError(f"{place} names a target whose launchers are assigned at {assignment_uri(config)}")
    limit = time.monotonic() + _seconds_left(config, Path(sys.argv[0]).resolve().parent.parent / "deadline")
    lease = Lease(coordinates(config), join(root_of(config), "schedule", secrets.token_hex(8)), lambda _: False)
    try:
        _take(lease)
    except RunBusyError as error:
        terminal.write_error(f"{error}\n")
        return 0
    try:
        uri = do_days(config, run_day, lambda: limit - time.monotonic(), environment)
    finally:
        lease.release()
    terminal.write_error(f"wrote {uri}\n")
    return 0


def _seconds_left(config: TargetConfig, deadline: Path) -> float:
    """Seconds in which the days have to be done.

    Args:
        config: The target.
        deadline: The file beside the folder of this job in which bootstrap/trainer.sh keeps when the machine ends, in
            seconds since the epoch. Its time began with the machine, before this process, which may also be a second
            one after a failure.
    """
    whole = schedule_of(config).max_hours * 3600.0
    with suppress(OSError, ValueError):  # without such a file that script has not set up this machine
        whole = min(whole, int(deadline.read_text()) - time.time())
    return whole - _MARGIN_S


DoDay = Callable[[str, list[str], float], ModelDay]
"""Model, flags of `cloudlstm daily`, seconds that it may take -> what it did."""


def do_days(
    config: TargetConfig, day: DoDay, left: Callable[[], float], environment: Mapping[str, str] = os.environ
) -> str:
    """Does the day of each model of the schedule, then the trainings that are due, and writes the record.

    No day takes more than its share of the time, so one that hangs does not stop the others. If trainings did not end,
    or never began, one more command sends that they have failed: a process that was killed could not.

    Args:
        config: The target.
        day: Does the day of a model.
        left: Returns the seconds that are left for the days; below 0 after that.
        environment: The environment of this machine.

    Returns:
        The URI of the record.
    """
    schedule = schedule_of(config)
    began = dt.datetime.now(dt.UTC)
    emulated = environment.get(NOW)
    acted = dt.datetime.fromisoformat(emulated).astimezone(dt.UTC) if emulated else began

    def act(name: str, seconds: float, *more: str) -> ModelDay:
        flags = [f"--target={schedule.target}", "--wait", *_limits(config)]
        if emulated:  # it goes on for a second command, since services for metrics take no two values of one moment
            now = acted if _SKIP in more else acted + (dt.datetime.now(dt.UTC) - began)
            flags.append(f"--now={now:%Y-%m-%dT%H:%M:%S}")
        return _told(day(name, [*flags, *more], seconds))

    done: dict[str, ModelDay] = {}
    for place, name in enumerate(schedule.models):
        done[name] = act(name, _share(left(), len(schedule.models) - place), _SKIP)
    for name, first in list(done.items()):
        if first.status in _DAY_STANDS and _has_trainings(ModelPaths.of(root_of(config), name)):
            trainings = act(name, left())
            if trainings.cut_off:
                act(name, min(_GIVE_UP_S, left() + _MARGIN_S - _RECORD_S - _STOP_DAY_S), _GIVE_UP)
            done[name] = _together(first, trainings)
    launch = Launch(
        began=_iso(began),
        ended=_iso(dt.datetime.now(dt.UTC)),
        acted=_iso(acted),
        version=__version__,
        address=environment.get("CLOUDLSTM_ADDRESS", ""),
        models=tuple(done.values()),
    )
    return record(root_of(config), acted.astimezone(ZoneInfo(schedule.time_zone)).date().isoformat(), launch)


def _share(left: float, models: int) -> float:
    """The seconds of the next day, if so many models are left."""
    return max(left / models, min(left, _LEAST_S))


def _told(day: ModelDay) -> ModelDay:
    """Writes what was done for a model to the log of the machine."""
    terminal.write_error(f"{day.model}: {day.word} after {day.seconds:.0f} s\n{day.log}\n")
    return day


def _has_trainings(paths: ModelPaths) -> bool:
    """Whether trainings are left after the day; also if that is not known, for then the command will tell."""
    try:
        return has_trainings(paths)
    except CloudLSTMError:
        return True


def _together(day: ModelDay, trainings: ModelDay) -> ModelDay:
    """What was done for a model, from its day and its trainings; the second command also tells a refusal of the day."""
    log = f"{day.log}\n{trainings.log}"[-_LOG_BYTES:]
    return ModelDay(day.model, trainings.status, round(day.seconds + trainings.seconds, 1), log)


def run_day(name: str, flags: list[str], seconds: float) -> ModelDay:
    """Runs `cloudlstm daily` for a model in a process of its own.

    Args:
        name: The model.
        flags: The flags of the command.
        seconds: After this time it is ended: first as by Ctrl-C, so that it cancels its jobs, then killed.
    """
    began = time.monotonic()
    if seconds <= 0:
        return ModelDay(name, None, 0.0, "there was no time left before the deadline of the machine")
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cloudlstm", "daily", name, *flags],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        status: int | None
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            process.terminate()
            try:
                process.wait(_STOP_DAY_S if {_SKIP, _GIVE_UP} & set(flags) else _STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        finally:
            if process.poll() is None:  # this process is being ended
                process.terminate()
        size = output.seek(0, os.SEEK_END)
        output.seek(max(size - _LOG_BYTES, 0))
        log = output.read().decode(errors="replace").strip()
    return ModelDay(name, status, round(time.monotonic() - began, 1), log)


def _limits(config: TargetConfig) -> list[str]:
    """The price of this machine, and the schedule's limit of a month, towards which the price counts."""
    schedule = schedule_of(config)
    price = prices(config.cloud).trainer(schedule.machine, "none", _DISK_GIB, spot=False)
    own = [] if price is None else [f"--launcher-usd-per-hour={price:.4f}"]
    return own if schedule.max_usd is None else [f"--max-usd-month={schedule.max_usd:g}", *own]


def _take(lease: Lease) -> None:
    """Takes the lease of the launchers; waits while another one has it.

    Raises:
        RunBusyError: another one still works.
    """
    give_up = time.monotonic() + _WAIT_S
    while holder := lease.take():
        if time.monotonic() > give_up:
            raise RunBusyError(f"another launcher is at work: {holder}", hint="it does the days of all models")
        time.sleep(_LOOK_S)


def _iso(when: dt.datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
