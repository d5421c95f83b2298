"""One trainer machine as a process: does what bootstrap/trainer.sh does on a machine with everything installed.

Usage: python -m localstack.machines.machine, with the variables of the machine's user data (CLOUDLSTM_*), its address
and its id in the environment. It waits for the assignment, downloads package and jobs, checks their sha256, and runs
jobs/agent.py as systemd does with Restart=on-failure. At its deadline, or if the set-up fails, it removes itself.
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
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CloudLSTMError, ObjectNotFoundError

PYTHON, ADDRESS = "EMULATOR_TRAINER_PYTHON", "CLOUDLSTM_ADDRESS"
"""Variables that say what interpreter a machine has, and at what address it is."""

ID = "EMULATOR_MACHINE"
"""The variable that says which machine this is: its id on AWS, its name on Google Cloud."""

GROUP_URL, INSTANCE_URL = "EMULATOR_GROUP_URL", "EMULATOR_INSTANCE_URL"
"""Variables that say the same on Google Cloud: where the group is asked, and what it calls the machine."""

_CHECK_S = 0.5
_RESTART_S = 1.0
_FINISHED_S = 600.0
_REPEAT_S = 5.0
_CLEAN_SIGNALS = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE}  # systemd counts these as success
_PACKAGE = "cloudlstm.zip"


class Machine:
    """One machine, from boot to deadline."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._id = environment[ID]
        self._base = f"{environment['CLOUDLSTM_BUCKET_URI']}/trainers/{environment['CLOUDLSTM_GROUP']}"
        self._deadline = time.time() + 3600 * float(environment["CLOUDLSTM_MAX_HOURS"])
        self._member: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGTERM, self._shut_down)

    def run(self) -> None:
        """Works until the deadline, then removes the machine."""
        assignment = self._wait_for_assignment()
        if assignment is not None:
            self._deadline = min(self._deadline, float(assignment["deadline"]))
            try:
                self._lay_out(assignment)
            except (CloudLSTMError, LookupError, TypeError, ValueError) as error:
                _say(f"set-up failed, asking for removal: {error}")
                storage.write(f"{self._base}/machines/{self._id}.log", f"set-up failed: {error}\n".encode())
            else:
                self._supervise()
                self._idle()
                _say("the deadline has passed: asking for removal")
        self._leave()

    def _leave(self) -> None:
        """Asks for its removal until the platform has heard it, as a timer does every minute."""
        while True:
            try:
                remove_self(self._environment)
            except Exception as error:
                _say(f"the platform did not take it: {error}")
            time.sleep(_REPEAT_S)

    @property
    def _left_s(self) -> float:
        return self._deadline - time.time()

    def _wait_for_assignment(self) -> dict[str, Any] | None:
        """The assignment; None when the deadline came first."""
        uri = f"{self._base}/assignment.json"
        _say(f"waiting for {uri}")
        while self._left_s > 0:
            try:
                assignment: dict[str, Any] = storage.read_json(uri)
                if time.time() < float(assignment["deadline"]):  # an older one is left over from an earlier run
                    return assignment
            except ObjectNotFoundError:
                pass
            except (CloudLSTMError, LookupError, ValueError) as error:
                _say(f"cannot read the assignment, trying again: {error}")
            time.sleep(_CHECK_S)
        return None

    def _lay_out(self, assignment: Mapping[str, Any]) -> None:
        """Fetches what the assignment names; ValueError for bytes other than those, or for work that needs a GPU."""
        if self._environment["CLOUDLSTM_GPU"] == "none" and assignment["accelerator"] != "cpu":
            raise ValueError(f"the run wants {assignment['accelerator']}, and this machine has no GPU")
        parts = {_PACKAGE: assignment["package"], "requirements.txt": assignment["requirements"]}
        parts |= {f"jobs/{name}.py": part for name, part in assignment["jobs"].items()}
        for name, part in parts.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            storage.download(part["uri"], path)
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != part["sha256"]:
                raise ValueError(f"{part['uri']} has sha256 {found}, the assignment says {part['sha256']}")
        _say(f"laid out {', '.join(parts)} for {assignment['run']}")

    def _supervise(self) -> None:
        """Runs the member again and again until it ends well or the deadline has come."""
        state = self._folder / "state"
        state.mkdir()
        environment = dict(self._environment) | {"PYTHONPATH": str(self._folder / _PACKAGE), "HOME": str(state)}
        command = [environment.pop(PYTHON), str(self._folder / "jobs" / "agent.py")]
        while self._left_s > 0:
            _say("starting the member")
            member = subprocess.Popen(command, cwd=state, env=environment, start_new_session=True)
            self._member = member
            try:
                status = member.wait(max(self._left_s, 0))
            except subprocess.TimeoutExpired:
                os.killpg(member.pid, signal.SIGKILL)
                member.wait()
                return
            finally:
                self._member = None
            _say(f"the member ended with {status}")
            if status == 0 or -status in _CLEAN_SIGNALS:
                self._deadline = min(self._deadline, time.time() + _FINISHED_S)
                return
            time.sleep(_RESTART_S)

    def _shut_down(self, *_: object) -> None:
        """The system shuts down: as systemd does, asks the member to end and waits for it."""
        if self._member:
            with suppress(ProcessLookupError):
                os.killpg(self._member.pid, signal.SIGTERM)
            self._member.wait()
        sys.exit(0)

    def _idle(self) -> None:
        """A machine whose work is done stays until it is taken away."""
        while self._left_s > 0:
            time.sleep(min(max(self._left_s, 0.01), 3600))


def exports_of(user_data: str) -> dict[str, str]:
    """The CLOUDLSTM_* variables that a machine's user data, a shell script, exports."""
    found = {}
    for line in user_data.splitlines():
        said = re.match(r"\s*export\s+(CLOUDLSTM_\w+)=(.*)", line)
        if said:
            words = shlex.split(said[2], comments=True)
            found[said[1]] = words[0] if words else ""
    return found


def remove_self(environment: Mapping[str, str]) -> None:
    """Removes this machine from its group by the platform's API, as its own timer does at its deadline.

    Args:
        environment: The machine's.

    Raises:
        ValueError: for a platform that the emulator does not have.
        Exception: whatever says that the platform refused, or did not answer.
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
        raise ValueError(f"machine {environment[ID]}: no platform {cloud!r} here")


def _say(line: str) -> None:
    sys.stderr.write(json.dumps({"time": round(time.time(), 3), "says": line}) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    Machine(os.environ, Path.cwd()).run()
