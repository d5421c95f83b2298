"""One trainer machine as a process: does what bootstrap/trainer.sh does on a machine with everything installed.

Usage: python -m localstack.machines.machine, with the variables of the machine's user data (CLOUDLSTM_*), its address
and its id in the environment. It waits for the assignment, downloads package and jobs, checks their sha256, and runs
jobs/agent.py as systemd does with Restart=on-failure. At its deadline, or if its set-up or its agent fails, it removes
itself.

If the assignment names a wheelhouse, nothing is installed on the machine: it runs its start script, as a real machine
does, with stand-ins for the programs that a real machine has (commands.py, units.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from cloudlstm import storage
from cloudlstm.errors import CloudLSTMError, ObjectNotFoundError, StorageError
from cloudlstm.targets.machine_logs import GIVES_UP
from localstack.machines import commands
from localstack.machines.commands import ID, INSTANCE_URL
from localstack.machines.units import Units

PYTHON = "EMULATOR_TRAINER_PYTHON"
"""The variable with the interpreter of a machine's image."""

GROUP_URL = "EMULATOR_GROUP_URL"
"""The variable with the URL of the group on Google Cloud."""

START_SCRIPT = "start.sh"
"""The file with the machine's user data, in its folder."""

_CHECK_S = 0.5
_TURN_S = 0.1
_RESTART_S = 1.0
_FINISHED_S = 600.0
_REMOVE_S = 5.0
_TRIES, _WITHIN_S = 4, 240.0  # an agent that fails so often in this time is not started again
_LINES = 40
_CLEAN_SIGNALS = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE}  # systemd counts these as success
_PACKAGE, _OWN = "cloudlstm.zip", "own.zip"


class Machine:
    """A trainer machine, from boot to deadline."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._id = environment[ID]
        self._base = f"{environment['CLOUDLSTM_BUCKET_URI']}/trainers/{environment['CLOUDLSTM_GROUP']}"
        self._deadline = time.time() + 3600 * float(environment["CLOUDLSTM_MAX_HOURS"])
        self._agent: subprocess.Popen[bytes] | None = None
        self._units: Units | None = None
        self._linger_s, self._within_s = _FINISHED_S, _WITHIN_S
        signal.signal(signal.SIGTERM, self._shut_down)

    def run(self) -> None:
        """Works until the deadline, then removes the machine."""
        assignment = self._wait_for_assignment()
        if assignment is not None:
            self._deadline = min(self._deadline, float(assignment["deadline"]))
            self._linger_s = float(assignment.get("linger", _FINISHED_S))
            self._within_s = float(assignment.get("within", _WITHIN_S))
            if "wheelhouse" in assignment:
                self._run_script()
            try:
                self._download(assignment)
            except (CloudLSTMError, LookupError, TypeError, ValueError) as error:
                self._give_up([str(error)], "the set-up failed")
            else:
                self._supervise()
                self._idle()
            _log("asking for removal")
        self._remove()

    def _give_up(self, lines: list[str], reason: str) -> None:
        _log(f"giving up, as {reason}: {' '.join(lines[-1:])}")
        self._store([*lines, GIVES_UP + reason])
        self._deadline = time.time()

    def _store(self, lines: list[str]) -> None:
        """Stores a log as the real script does."""
        with suppress(StorageError):
            storage.write(f"{self._base}/machines/{self._id}.log", "\n".join([*lines, ""]).encode())

    def _run_script(self) -> NoReturn:
        """Runs the start script and then its units, until the machine is removed or shuts down."""
        _log("running the start script")
        root, programs, folder = (self._folder / name for name in ("root", "programs", "units"))
        commands.write(programs)
        inherited = {name: value for name, value in self._environment.items() if name not in (PYTHON, "PYTHONPATH")}
        environment = inherited | {
            "CLOUDLSTM_PREFIX": str(root),
            "PATH": f"{programs}:{self._environment['PATH']}",
            commands.FOLDER: str(folder),
        }
        self._units = Units(folder, root, environment)
        script = subprocess.Popen(["bash", self._folder / START_SCRIPT], cwd=self._folder, env=environment)
        while True:
            self._units.turn()
            script.poll()
            time.sleep(_TURN_S)

    def _remove(self) -> None:
        """Asks for its removal again and again; a real machine has a timer that does so every minute."""
        while True:
            try:
                remove_self(self._environment)
            except Exception as error:
                _log(f"the removal failed: {error}")
            time.sleep(_REMOVE_S)

    @property
    def _left_s(self) -> float:
        return self._deadline - time.time()

    def _wait_for_assignment(self) -> dict[str, Any] | None:
        """Waits for the assignment; returns None if the deadline passes first."""
        uri = f"{self._base}/assignment.json"
        _log(f"waiting for {uri}")
        while self._left_s > 0:
            try:
                assignment: dict[str, Any] = storage.read_json(uri)
                if time.time() < float(assignment["deadline"]):  # an older one is left over from an earlier run
                    return assignment
            except ObjectNotFoundError:
                pass
            except (CloudLSTMError, LookupError, ValueError) as error:
                _log(f"cannot read the assignment, trying again: {error}")
            time.sleep(_CHECK_S)
        return None

    def _download(self, assignment: Mapping[str, Any]) -> None:
        """Downloads the files of the assignment.

        Raises:
            ValueError: if a file has another sha256, or if the run needs a GPU.
        """
        if self._environment["CLOUDLSTM_GPU"] == "none" and assignment["accelerator"] != "cpu":
            raise ValueError(f"the run wants {assignment['accelerator']}, and this machine has no GPU")
        parts = {_PACKAGE: assignment["package"]}
        parts |= {_OWN: assignment["own"]} if "own" in assignment else {}
        parts |= {f"jobs/{name}.py": part for name, part in assignment["jobs"].items()}
        for name, part in parts.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            storage.download(part["uri"], path)
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != part["sha256"]:
                raise ValueError(f"{part['uri']} has sha256 {found}, the assignment says {part['sha256']}")
        _log(f"downloaded {', '.join(parts)} for {assignment['run']}")

    @property
    def _code(self) -> str:
        """What Python imports from: the package, and the user's own packages if the run has any."""
        archives = [self._folder / name for name in (_PACKAGE, _OWN)]
        return os.pathsep.join(str(path) for path in archives if path.exists())

    def _supervise(self) -> None:
        """Runs the agent, and restarts it until it succeeds, fails again and again, or the deadline has passed."""
        failures: deque[float] = deque(maxlen=_TRIES)
        state = self._folder / "state"
        state.mkdir()
        environment = dict(self._environment) | {"PYTHONPATH": self._code, "HOME": str(state)}
        command = [environment.pop(PYTHON), str(self._folder / "jobs" / "agent.py")]
        while self._left_s > 0:
            _log("starting the agent")
            agent = subprocess.Popen(command, cwd=state, env=environment, start_new_session=True)
            self._agent = agent
            try:
                status = agent.wait(max(self._left_s, 0))
            except subprocess.TimeoutExpired:
                os.killpg(agent.pid, signal.SIGKILL)
                agent.wait()
                return
            finally:
                self._agent = None
            _log(f"the agent ended with {status}")
            if status == 0 or -status in _CLEAN_SIGNALS:
                self._deadline = min(self._deadline, time.time() + self._linger_s)
                return
            failures.append(time.time())
            # What the agent wrote is in the log of this process, as on a real machine in the journal.
            written = (self._folder / "log.txt").read_text(errors="replace").splitlines()[-_LINES:]
            if len(failures) == _TRIES and failures[-1] - failures[0] < self._within_s:
                self._give_up(written, f"the agent failed {_TRIES} times")
                return
            self._store(written)
            time.sleep(_RESTART_S)

    def _shut_down(self, *_: object) -> None:
        """Handles SIGTERM as systemd does: asks the agent to end and waits for it."""
        if self._units:
            self._units.shut_down()
        if self._agent:
            with suppress(ProcessLookupError):
                os.killpg(self._agent.pid, signal.SIGTERM)
            self._agent.wait()
        sys.exit(0)

    def _idle(self) -> None:
        """Waits for its removal, or for the deadline."""
        while self._left_s > 0:
            time.sleep(min(max(self._left_s, 0.01), 3600))


def exports_of(user_data: str) -> dict[str, str]:
    """Returns the CLOUDLSTM_* variables that a machine's user data, a shell script, exports."""
    found = {}
    for line in user_data.splitlines():
        match = re.match(r"\s*export\s+(CLOUDLSTM_\w+)=(.*)", line)
        if match:
            words = shlex.split(match[2], comments=True)
            found[match[1]] = words[0] if words else ""
    return found


def remove_self(environment: Mapping[str, str]) -> None:
    """Removes this machine from its group and makes the group smaller by one, through the platform's API.

    Args:
        environment: The machine's environment variables.

    Raises:
        ValueError: if the emulator does not have this platform.
        Exception: if the platform rejects the request or does not answer.
    """
    cloud = environment["CLOUDLSTM_CLOUD"]
    if cloud == "aws":
        import boto3

        boto3.session.Session().client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=environment[ID], ShouldDecrementDesiredCapacity=True
        )
    elif cloud == "gcp":
        body = json.dumps({"instances": [environment[INSTANCE_URL]]}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{environment[GROUP_URL]}/deleteInstances", body, headers)
        urllib.request.urlopen(request, timeout=20).close()
    else:
        raise ValueError(f"machine {environment[ID]}: unknown platform {cloud!r}")


def _log(line: str) -> None:
    sys.stderr.write(json.dumps({"time": round(time.time(), 3), "message": line}) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    Machine(os.environ, Path.cwd()).run()
