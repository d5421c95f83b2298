"""Translates Spark failures to one-line errors, and carries our exceptions from executors to the driver."""

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
from cloudlstm.pipeline.engine import TASK_TRIES

NO_SPACE = "No space left on device"
_WORKER_DIED = "Python worker exited unexpectedly"
_NO_GATEWAY = "Java gateway process exited"

_START_BYTES = 1 << 18
JVM_EXIT_S = 1.0
"""A killed JVM closes its connections up to this long before its process ends."""


class errors_as_text:  # noqa: N801 - reads as a statement
    """Encodes our errors in the text of an exception, because the driver receives only the text of a Java exception."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, errors.CloudLSTMError):
            raise RuntimeError(errors.to_mark(error)) from error


def to_cloudlstm_error(error: Exception) -> Exception:
    """The CloudLSTMError that a task raised, or an error that describes Spark's own failure."""
    text = _text(error)
    if found := errors.from_mark(text):
        return found
    if NO_SPACE in text:
        return disk_full()
    if jvm_has_ended(JVM_EXIT_S):
        return jvm_killed_error()
    if _WORKER_DIED in text:
        return errors.JobError(
            f"a Spark worker was killed, {TASK_TRIES} times in one task",
            hint="a smaller market.tickers_per_shard if memory ran out; see `cloudlstm logs`",
        )
    lines = [line.strip() for line in text.splitlines() if re.match(r"^\s*\w*(Error|Exception)\b", line.strip())]
    reason = lines[-1] if lines else text.splitlines()[0]
    return errors.JobError(f"a Spark task failed: {reason}", hint="see `cloudlstm logs`")


def jvm_killed_error() -> errors.JobError:
    """The error for a JVM that was killed."""
    hint = "submit again; if memory ran out, free some or set spark.driver_memory_mib lower"
    return errors.JobError("Spark's Java process was killed", hint=hint)


def start_error(error: Exception) -> errors.CloudLSTMError:
    """The error for a Spark that did not start."""
    text = _text(error)
    if NO_SPACE in text:
        return disk_full()
    if _NO_GATEWAY in text or isinstance(error, ConnectionError) or jvm_has_ended(JVM_EXIT_S):
        return errors.MachineError(
            "Spark's Java process ended while it was starting",
            hint="often memory ran out: free some, raise the limit (ulimit -v, container), or set "
            "spark.driver_memory_mib lower; `cloudlstm logs` shows its output",
        )
    return errors.MachineError(f"Spark did not start: {text.splitlines()[0]}", hint="cloudlstm doctor")


def _text(error: Exception) -> str:
    """The text of an error; a Java exception asks the JVM for it, which may have ended."""
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def ensure_space() -> None:
    """Raises OSError if there is no space for the files of Spark's start.

    The JVM writes its port to a file. If it cannot, `launch_gateway` in pyspark waits for that file for ever.
    """
    local = os.environ.get("SPARK_LOCAL_DIRS")
    for folder in (tempfile.gettempdir(), *(local.split(",") if local else ())):
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_START_BYTES))


def disk_full() -> errors.StorageFullError:
    """The error for a full local disk."""
    folder = os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()
    return errors.StorageFullError(
        f"no space is left for Spark's files in {folder}",
        hint="free some, or set SPARK_LOCAL_DIRS to a folder on a larger disk",
    )


def jvm_has_ended(within_s: float = 0.0) -> bool:
    """True if the JVM of this process has ended, or ends within `within_s` seconds."""
    gateway = sys.modules["pyspark"].SparkContext._gateway if "pyspark" in sys.modules else None
    process = getattr(gateway, "proc", None)
    with suppress(subprocess.TimeoutExpired):
        return process is not None and process.wait(within_s) is not None
    return False
