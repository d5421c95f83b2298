"""The units of an emulated machine: does what systemd does with the services and timers of bootstrap/trainer.sh.

The stand-in of systemctl (commands.py) writes one line for each order; `Units.turn` carries them out.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

STATE = "/var/lib/cloudlstm"
"""The state folder of services; on an emulated machine it lies below the machine's own root."""

_CLEAN_SIGNALS = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE}
_STOP_S = 30.0


def orders(folder: Path) -> Path:
    """Returns the file of the orders to a machine's units."""
    return folder / "orders"


def active(folder: Path, unit: str) -> Path:
    """Returns the file that is there while a unit is active."""
    return folder / f"{unit}.active"


def stopping(folder: Path) -> Path:
    """Returns the file that is there while the machine shuts down."""
    return folder / "stopping"


def journal(folder: Path, invocation: str) -> Path:
    """Returns the file with what a service wrote between one start and its end, and what systemd says about it."""
    return folder / f"{invocation}.txt"


class Units:
    """The services and timers of one machine.

    Args:
        folder: Where orders and journals are.
        root: The machine's root: units are in etc/systemd/system below it.
        environment: The environment that every service gets.
    """

    def __init__(self, folder: Path, root: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._root, self._environment = folder, root, dict(environment)
        self._read = 0
        self._services: dict[str, Service] = {}
        self._due: dict[str, float] = {}
        self._booted = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        orders(folder).touch()

    def turn(self) -> None:
        """Carries out new orders, starts what is due, and restarts services that failed."""
        lines = orders(self._folder).read_text().splitlines()
        for line in lines[self._read :]:
            verb, unit = line.split()
            if verb == "shutdown":
                self.shut_down()
                sys.exit(0)
            elif verb == "stop":
                self._stop(unit)
            elif unit.endswith(".timer"):
                self._due[unit] = self._booted + _seconds(self._settings(unit)["OnBootSec"][0])
            elif unit not in self._services:
                self._start(unit)
        self._read = len(lines)
        for timer, when in self._due.items():
            unit = timer.replace(".timer", ".service")
            running = self._services.get(unit)
            if running is None or running.ended:
                if running:
                    del self._services[unit]
                    self._due[timer] = time.monotonic() + _seconds(self._settings(timer)["OnUnitInactiveSec"][0])
                elif time.monotonic() >= when:
                    self._start(unit)
        for service in list(self._services.values()):
            service.turn()

    def shut_down(self) -> None:
        """Stops all services as at the shutdown of a machine."""
        stopping(self._folder).touch()
        for unit in list(self._services):
            self._stop(unit)

    def _start(self, unit: str) -> None:
        self._services[unit] = Service(unit, self._settings(unit), self._folder, self._root, self._environment)

    def _stop(self, unit: str) -> None:
        active(self._folder, unit).unlink(missing_ok=True)
        if service := self._services.get(unit):
            service.stop()

    def _settings(self, unit: str) -> dict[str, list[str]]:
        """Returns the settings of a unit's file; some stand there more than once."""
        found = defaultdict(list)
        for line in (self._root / "etc/systemd/system" / unit).read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals:
                found[name].append(value)
        return found


class Service:
    """A service: its process, which is restarted after a failure unless it has been stopped."""

    def __init__(
        self, unit: str, settings: Mapping[str, list[str]], folder: Path, root: Path, environment: Mapping[str, str]
    ) -> None:
        self._unit, self._settings, self._folder, self._root = unit, settings, folder, root
        self._invocations = 0
        self._environment = dict(environment)
        for path in settings.get("EnvironmentFile", []):
            lines = [line.partition("=") for line in Path(path).read_text().splitlines()]
            self._environment |= {name: self._here(value) for name, _, value in lines}
        self._place = Path(self._here(settings["WorkingDirectory"][0])) if "WorkingDirectory" in settings else root
        self._place.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at = 0.0
        self._wanted = True
        self.turn()

    @property
    def ended(self) -> bool:
        """True if it neither runs nor will be started again."""
        return self._process is None and not self._wanted

    def turn(self) -> None:
        """Starts the process if that is due, and deals with its end."""
        if self._process is None and self._wanted and time.monotonic() >= self._start_at:
            self._invocations += 1
            self._process = self._run(self._settings["ExecStart"][0])
        elif self._process and (status := self._process.poll()) is not None:
            self._process = None
            self._wanted = self._end(status) and self._wanted

    def stop(self) -> None:
        """Ends the process as systemd does, and starts it no more."""
        self._wanted = False
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            try:
                status = self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                status = self._process.wait()
            self._process = None
            self._end(status)

    def _end(self, status: int) -> bool:
        """Runs the commands for the end of the process; returns whether it is to be started again."""
        failed = status != 0 and -status not in _CLEAN_SIGNALS
        result = "success" if not failed else "exit-code" if status > 0 else "signal"
        code, value = ("exited", str(status)) if status >= 0 else ("killed", signal.Signals(-status).name[3:])
        with self._journal.open("a") as words:
            words.write(f"{self._unit}: Main process exited, code={code}, status={value}\n")
        for command in self._settings.get("ExecStopPost", []):
            self._run(command, SERVICE_RESULT=result, EXIT_CODE=code, EXIT_STATUS=value).wait()
        again = self._settings.get("Restart", ["no"])[0]
        self._start_at = time.monotonic() + float(self._settings.get("RestartSec", ["0"])[0])
        return again == "always" or (again == "on-failure" and failed)

    def _run(self, command: str, **more: str) -> subprocess.Popen[bytes]:
        with self._journal.open("ab") as output:
            return subprocess.Popen(
                shlex.split(command.lstrip("+-!@:")),
                cwd=self._place,
                env=self._environment | {"INVOCATION_ID": self._invocation} | more,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def _invocation(self) -> str:
        return f"{self._unit.removesuffix('.service')}-{self._invocations}"

    @property
    def _journal(self) -> Path:
        return journal(self._folder, self._invocation)

    def _here(self, value: str) -> str:
        return f"{self._root}{value}" if value == STATE or value.startswith(f"{STATE}/") else value


def _seconds(text: str) -> float:
    """Returns the seconds of a time span such as "1min"."""
    units = {"min": 60.0, "s": 1.0}
    for name, length in units.items():
        if text.endswith(name):
            return float(text.removesuffix(name)) * length
    return float(text)
