"""Starts and kills runs, and checks their objects."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from cloudlstm import storage
from cloudlstm.config import RunConfig, load
from cloudlstm.pipeline.prepare import run_on
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from pipeline.cli_runner import data_objects
from reliability.switchable_faults import TIMEOUT_S

STEPS = ("ingest", "clean", "features", "sequences")
PREPARE_ONLY = Path(__file__).with_name("prepare_only.py")
ONE_CORE = "spark.master=local[1]"
"""One core, for submits that need no second Python worker; each worker costs as much time as a step."""
_started: list[subprocess.Popen[str]] = []


def start(*words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Starts a process in its own session, with its output captured; `end_started` ends what a failed test leaves."""
    process = subprocess.Popen(
        [sys.executable, *words], env=os.environ | (env or {}), text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    _started.append(process)
    return process


def end_started() -> None:
    """Kills the sessions of started processes that still run, and closes their pipes."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        with process:
            pass


def wait_for_exit(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Waits for a process to end; returns its exit status and its standard error."""
    _, errors = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, errors


def prepared(config: Path, run: str, *settings: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    return wait_for_exit(start(str(PREPARE_ONLY), str(config), run, *settings, env=env))


def prepare_here(spark: Spark, config: Path, run: str) -> dict[str, str]:
    """Runs the prepare job in this process on `spark`; returns name and checksum of every data object."""
    paths, parsed = RunPaths(run), parsed_config(config)
    storage.write_json(paths.config, parsed.model_dump(mode="json"))
    with Journal(paths, "prepare", "driver") as journal:
        run_on(spark, RunContext(paths, parsed, 0, journal))
    return data_objects(run)


def parsed_config(config: Path) -> RunConfig:
    return load(str(config), [])


def verify_manifest_objects(run: str) -> int:
    """Checks size and checksum of every object in the manifests; returns the number of manifests."""
    paths, found = RunPaths(run), 0
    for step in STEPS:
        manifest = Manifest.load(paths, step)
        for row in manifest.objects if manifest else ():
            data = storage.read(row.uri)
            assert (len(data), hashlib.sha256(data).hexdigest()) == (row.size_bytes, row.sha256), row.uri
        found += manifest is not None
    return found


def command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def environment(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    return ""


def processes_end(run: str, temporary: Path | None = None) -> bool:
    """True if the processes of a run end within a minute.

    Args:
        run: A part of the command lines of its launcher, its driver and its JVM.
        temporary: The temporary folder of its processes. Python workers of Spark are known by nothing else.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
        if not any(run in command(pid) or (temporary and f"TMPDIR={temporary}" in environment(pid)) for pid in pids):
            return True
        time.sleep(0.1)
    return False
