"""How what goes wrong in Spark is told: our own errors across its borders, its own in one line each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from cloudlstm import errors

NO_SPACE = "No space left on device"
_WORKER_DIED = "Python worker exited unexpectedly"
_NO_GATEWAY = "Java gateway process exited"

_START_BYTES = 1 << 18
DYING_S = 1.0
"""A process that is killed closes its connections a little before it can be seen to have ended."""

TASK_TRIES = 3
"""How often a task is tried before the job fails: a worker that dies takes its task with it, and no more."""


class errors_as_text:  # noqa: N801 - reads as a statement
    """Lets our errors cross from an executor to the driver, which sees only the text of a Java exception."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, errors.CloudLSTMError):
            raise RuntimeError(errors.to_mark(error)) from error


def as_ours(error: Exception) -> Exception:
    """The error that a task raised, found in the text of Spark's; Spark's own where there is none."""
    text = _text(error)
    if found := errors.from_mark(text):
        return found
    if NO_SPACE in text:
        return disk_full()
    if java_ended(DYING_S):
        return java_killed()
    if _WORKER_DIED in text:
        return errors.JobError(
            f"a Spark worker was killed, {TASK_TRIES} times in one task",
            hint="a smaller market.tickers_per_shard if it was for want of memory; `cloudlstm logs`",
        )
    lines = [line.strip() for line in text.splitlines() if re.match(r"^\s*\w*(Error|Exception)\b", line.strip())]
    reason = lines[-1] if lines else text.splitlines()[0]
    return errors.JobError(f"a Spark task failed: {reason}", hint="see `cloudlstm logs`")


def java_killed() -> errors.JobError:
    hint = "submit again; if it was for want of memory, set spark.driver_memory_mib lower or free some"
    return errors.JobError("Spark's Java process was killed", hint=hint)


def not_started(error: Exception) -> errors.CloudLSTMError:
    """Why Spark did not start."""
    text = _text(error)
    if NO_SPACE in text:
        return disk_full()
    if _NO_GATEWAY in text or isinstance(error, ConnectionError) or java_ended(DYING_S):
        return errors.MachineError(
            "Spark's Java process ended while it was starting",
            hint="mostly for want of memory: free some, raise the limit that is set (ulimit -v, a container's), or set "
            "spark.driver_memory_mib lower; `cloudlstm logs` has what it said",
        )
    return errors.MachineError(f"Spark did not start: {text.splitlines()[0]}", hint="cloudlstm doctor")


def _text(error: Exception) -> str:
    """What an error says. A Java exception is asked for its text in the JVM, which may be gone by then."""
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def require_space() -> None:
    """Raises OSError unless there is room for the little that Spark's start writes; without it, pyspark waits for ever.

    The JVM tells its port by a file. When it cannot write that and ends, `launch_gateway` goes on looking for it.
    """
    local = os.environ.get("SPARK_LOCAL_DIRS")
    for folder in (tempfile.gettempdir(), *(local.split(",") if local else ())):
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_START_BYTES))


def disk_full() -> errors.StorageFullError:
    folder = os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()
    return errors.StorageFullError(
        f"no space is left for what Spark keeps in {folder}",
        hint="free some, or set SPARK_LOCAL_DIRS to a folder on a larger disk",
    )


def java_ended(within_s: float = 0.0) -> bool:
    """Whether the JVM that this process has started is gone, or is so soon."""
    gateway = sys.modules["pyspark"].SparkContext._gateway if "pyspark" in sys.modules else None
    process = getattr(gateway, "proc", None)
    with suppress(subprocess.TimeoutExpired):
        return process is not None and process.wait(within_s) is not None
    return False
