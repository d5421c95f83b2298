"""Makes the archive of classes for the JVM of Spark on this machine: python -m cloudlstm.pipeline.class_archive.

It starts a Spark with the options of a run, runs one job of each kind, and lets the JVM save the classes that it has
loaded. `make setup` does this in some seconds. In other installations the launcher does it once, in the background
while a run trains; the process ends with the launcher.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cloudlstm.config import SparkConfig
from cloudlstm.errors import CloudLSTMError
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs.environment import PARENT_PIPE
from cloudlstm.storage.locks import locked
from cloudlstm.workers import jvm
from cloudlstm.workers.job import end_with_parent

_LOG = logging.getLogger(__name__)

_LOWEST_PRIORITY = 19
_LONGEST_S = 600.0
"""For each of the JVMs; only a very busy machine takes minutes."""
_KEPT = 2
"""Archives that stay; each has about 90 MB."""


def main() -> int:
    """Makes the archive unless it exists, cannot be made here, or another process is making it."""
    if os.environ.get(PARENT_PIPE):
        end_with_parent()
        os.nice(_LOWEST_PRIORITY)
    archive = jvm.archive_path()
    archive.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(BlockingIOError), locked(archive.with_suffix(".lock"), wait=False):
        if jvm.is_missing(archive):
            make(archive)
        jvm.answer()
    return 0


def make(archive: Path) -> None:
    """Makes the archive; if that is not possible here, it leaves a note so that nobody tries again."""
    sparing, base, new = jvm.sparing_options(), jvm.base_of(archive), archive.with_suffix(".new")
    dump = [f"-XX:ArchiveClassesAtExit={new}", "-Xlog:cds*=off"]
    try:
        if not _has_base():
            _java("-Xshare:dump", f"-XX:SharedArchiveFile={new}", *sparing)
            new.replace(base)
            dump.append(f"-XX:SharedArchiveFile={base}")
        _run_spark([*sparing, *dump])
        new.replace(archive)
    except (OSError, subprocess.TimeoutExpired) as error:  # such as a full disk, which may pass
        _LOG.warning("the archive of Java classes is left to the next run: %s", error)
    except (CloudLSTMError, subprocess.SubprocessError) as error:
        _LOG.warning("Spark starts slower here, because its classes cannot be archived: %s", error)
        jvm.give_up(archive)
    new.unlink(missing_ok=True)
    _prune(archive)


def _has_base() -> bool:
    """True if this Java comes with an archive of its own classes."""
    with suppress(subprocess.CalledProcessError):
        _java("-Xshare:on", "-version")
        return True
    return False


def _java(*options: str) -> None:
    home = os.environ.get("JAVA_HOME")
    command = f"{home}/bin/java" if home else "java"
    subprocess.run([command, *options], capture_output=True, timeout=_LONGEST_S, check=True)


def _run_spark(options: list[str]) -> None:
    """Runs one job of each kind on a JVM with these options, and waits for the JVM's end."""
    with Spark(SparkConfig(master="local[2]"), app_name="classes", java=options) as spark:
        spark.map(_same, range(4))
        spark.shuffle(_piece, range(4), _joined, n_shards=2)
    process = sys.modules["pyspark"].SparkContext._gateway.proc
    process.stdin.close()  # the JVM ends, and writes the archive
    try:
        process.wait(_LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()  # it must not go on without the lock
        raise


def _same(item: int) -> int:
    return item


def _piece(item: int) -> Iterator[tuple[int, bytes]]:
    yield item % 2, bytes(item)


def _joined(shard: int, pieces: list[bytes]) -> int:
    return shard + len(pieces)


def _prune(made: Path) -> None:
    """Removes archives of other installations, except the newest, and what a killed process has left of them."""
    archives = [each for each in made.parent.glob("*.jsa") if not each.name.endswith(".base.jsa")]
    newest = sorted(archives, key=lambda each: each.stat().st_mtime)[-_KEPT:]
    found = {each.name.partition(".")[0] for each in made.parent.glob("?" * len(made.stem) + ".*")}
    for installation in found - {made.stem, *(each.stem for each in newest)}:
        lock = made.with_name(f"{installation}.lock")
        with suppress(OSError), locked(lock, wait=False):  # its process may be at work
            for each in made.parent.glob(f"{installation}.*"):
                each.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
