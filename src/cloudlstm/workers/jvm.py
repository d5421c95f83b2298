"""The JVM of Spark on this machine: options for a fast start, an archive of its loaded classes, and its end.

Most of the start is loading some 9,000 classes from 280 jars. The JVM can save them in loaded form in an archive (class
data sharing) and map that archive into memory in the next start. `pipeline/class_archive.py` makes the archive.

The JVM itself refuses an archive that was made by another Java, from other jars, or that is damaged, and starts without
it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from cloudlstm.runs.environment import PARENT_PIPE
from cloudlstm.storage.local import user_cache

_SPARING = ("-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
"""The quick compiler only, as the work is done in Python and not in Java; no file with figures for other programs."""

_COLLECTOR = "-XX:+UseSerialGC"
_CHOSEN_COLLECTOR = re.compile(r"-XX:\+Use\w+GC\b")

_USERS_OPTIONS = ("SPARK_SUBMIT_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")

_READING = ("-XX:+IgnoreUnrecognizedVMOptions", "-XX:+VerifySharedSpaces", "-Xshare:auto", "-Xlog:cds*=off")
"""Checks the checksums of the archive, and is silent about one that is not used."""


def sparing_options() -> list[str]:
    """Options of a JVM that starts fast; the user's choice of a garbage collector stays, since a JVM takes only one."""
    chosen = " ".join(os.environ.get(name, "") for name in _USERS_OPTIONS)
    return [*_SPARING, *([] if _CHOSEN_COLLECTOR.search(chosen) else [_COLLECTOR])]


def start_options() -> list[str]:
    """Options of Spark's JVM on this machine: those for a fast start, and the archive of classes, or a note for one."""
    archive = archive_path()
    if is_missing(archive):
        ask_for_archive()
    parts = [each for each in (base_of(archive), archive) if each.exists()]
    if archive not in parts or not all(_is_trusted(each) for each in parts):
        return sparing_options()
    return [*sparing_options(), *_READING, f"-XX:SharedArchiveFile={os.pathsep.join(map(str, parts))}"]


def archive_path() -> Path:
    """The archive of classes for the Java and the Spark of this environment; it may not exist."""
    home = os.environ.get("JAVA_HOME")
    java = Path(home) / "bin" / "java" if home else Path(shutil.which("java") or "java")
    found = find_spec("pyspark")
    spark = Path(found.origin).resolve().parent if found and found.origin else Path()
    parts = [java, java.resolve(), spark / "jars"]
    made = [str(each.stat().st_mtime_ns) for each in parts if each.exists()]  # an update changes one of them
    name = hashlib.sha256("\n".join([*map(str, parts), *made]).encode()).hexdigest()[:16]
    return user_cache("java-classes", f"{name}.jsa")


def is_missing(archive: Path) -> bool:
    """True if the archive does not exist, and nobody has tried in vain to make or to use it."""
    return not (archive.exists() or _given_up(archive).exists())


def ask_for_archive() -> None:
    """Leaves a note for the launcher that a JVM had no archive."""
    with suppress(OSError):
        _note().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _note().touch()


def is_asked_for() -> bool:
    """True if a JVM had no archive, and none has been made since."""
    return _note().exists()


def answer() -> None:
    """Removes the note that asks for an archive."""
    _note().unlink(missing_ok=True)


def base_of(archive: Path) -> Path:
    """The archive of Java's own classes below `archive`, for a Java that comes without one."""
    return archive.with_suffix(".base.jsa")


def give_up(archive: Path) -> None:
    """Removes the archive, if it exists, and leaves a note that it cannot be made or used here."""
    with suppress(OSError):
        _given_up(archive).touch()
        archive.unlink(missing_ok=True)


def ends_with_launcher() -> bool:
    """True if the launcher of this job kills the JVM and removes all its files when the job ends.

    Then nothing has to wait for the second that SparkContext.stop() takes.
    """
    scratch = os.environ.get("TMPDIR")
    return bool(os.environ.get(PARENT_PIPE)) and bool(scratch) and os.environ.get("SPARK_LOCAL_DIRS") == scratch


def _note() -> Path:
    return user_cache("java-classes", "wanted")


def _given_up(archive: Path) -> Path:
    return archive.with_suffix(".failed")


def _is_trusted(path: Path) -> bool:
    """True if `path` is a file of this user, and nobody else can write it or replace it: the JVM runs its code."""
    try:
        found, folder = path.lstat(), path.parent.stat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and all(
        each.st_uid == os.geteuid() and not each.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for each in (found, folder)
    )
