"""Runs a launcher of a scripted target in a child process that is killed at a chosen operation."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path

from cloudlstm.cli.plans import submit_plan
from cloudlstm.errors import CloudLSTMError
from cloudlstm.runs import attempts
from cloudlstm.targets import cloud, launcher
from cloudlstm.targets.bundle.package import Bundle
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import Intervals
from cloudlstm.targets.services import Resource
from targets.kill_point import KillPoint
from targets.scripted_cloud import HOURS, MOST, Engine, ScriptedGroup, ScriptedSpark

_OPERATIONS = ("read", "write", "stat", "delete", "list_objects")
_SHORT_S = 0.002
_SHORT = Intervals(**dict.fromkeys(Intervals.__slots__, _SHORT_S))
"""Pauses of milliseconds, where a real cloud needs seconds."""
_PR_SET_PDEATHSIG = 1

DOCUMENT = TargetConfig(
    contract_version=2, cloud="aws", name="scripted", account="1", region="here", bucket_uri="file://bucket",
    spark_cluster="c", spark_release="r", spark_python="3.11", spark_python_path="/usr/bin/python3.11",
    spark_architecture="x86_64", log_uri="", trainer_group="group", trainer_zones=("zone",), trainer_machines=("kind",),
    spark_machine="kind", spark_min_nodes=2, spark_max_nodes=4, spark_spot=False, spark_idle_minutes=60,
    trainer_spot=False, trainer_disk_gib=100, trainer_python="/opt/trainer/bin/python",
    trainer_gpu="none", trainer_max=MOST, trainer_port=8470, max_hours=HOURS, egress="nat",
)  # fmt: skip


class UnlimitedAccount:
    """An account without limits and without resources."""

    def credentials(self) -> str:
        return "anybody's"

    def quota(self, *_: int) -> str:
        return "enough"

    def tagged(self) -> list[Resource]:
        return []


class FakeBundle(dict[str, object]):
    """A bundle whose parts exist already."""

    def __missing__(self, name: str) -> object:
        return type("Part", (), {"uri": f"code/{name}", "sha256": name})

    filled = Bundle.filled


class Launcher:
    """A submit in a forked process.

    Args:
        engine: The scripted cloud.
        kill_point: Where the process is killed.
        lost: The share of submissions whose answer is lost.
        seed: Seed of these losses.
    """

    def __init__(self, engine: Engine, kill_point: KillPoint, *, lost: float = 0.0, seed: int = 0) -> None:
        self._console = engine.folder / "console.txt"
        sys.stdout.flush()
        sys.stderr.flush()
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # ends with the test
            os._exit(_launch(engine, kill_point, self._console, lost, seed))

    @property
    def status(self) -> int | None:
        """Exit code as in subprocess; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    @property
    def output(self) -> str:
        """Its output."""
        return self._console.read_text()


def _launch(engine: Engine, kill_point: KillPoint, console: Path, lost: float, seed: int) -> int:
    folder = engine.folder
    with console.open("w") as output:
        try:
            attempts.HEARTBEAT_DEAD_AFTER_S = 2.0  # a stopped launcher on this machine counts as dead after this
            kill_point.over_storage(*_OPERATIONS)
            config = DOCUMENT.model_copy(update={"bucket_uri": f"file://{folder}/bucket"})
            spark = ScriptedSpark(folder, kill_point, engine.kind, lost, seed)
            group = ScriptedGroup(folder, kill_point, engine.kind)
            target = cloud.CloudTarget(config, spark, group, UnlimitedAccount(), intervals=_SHORT)
            target._bundle = FakeBundle()  # type: ignore[assignment]
            plan = submit_plan(target, config=None, overrides=["train.workers=2"], root=None, run="scripted")
            kill_point.count = 0
            launcher.carry_out(plan, target, lambda _: None, poll_s=_SHORT_S)
        except CloudLSTMError as error:
            output.write(f"{type(error).__name__}: {error}\n")
            return 1
        except BaseException:
            traceback.print_exc(file=output)
            return 3
        output.write(f"operations: {kill_point.count}\n")
    return 0
