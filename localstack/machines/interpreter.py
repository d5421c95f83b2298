"""The Python of the cluster's nodes: it has only pyspark, so that missing dependencies are noticed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

from cloudlstm.storage.local import user_cache

_LINKED = ("pyspark", "py4j")


def node_python(pyspark: str | None = None) -> Path:
    """Returns an interpreter that has only this pyspark; made once and kept in the user's cache.

    Args:
        pyspark: A version from PyPI; None for a link to the pyspark of this environment.

    Raises:
        RuntimeError: if there is no pyspark, or it cannot be installed.
    """
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    own = None if pyspark else _own_packages()
    label = f"pyspark-{pyspark}" if pyspark else hashlib.sha256(f"{own} {sys.base_prefix}".encode()).hexdigest()[:12]
    cache = user_cache("nodes")
    home = cache / f"python-{minor}-{label}"
    packages = home / "lib" / f"python{minor}" / "site-packages"
    if not (packages / "pyspark" / "version.py").exists() or not (home / "bin" / "python").exists():
        shutil.rmtree(home, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        fresh = cache / f".{home.name}-{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        venv.create(fresh, symlinks=True)
        _fill(fresh / packages.relative_to(home), own, pyspark)
        try:
            fresh.rename(home)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
    return home / "bin" / "python"


def spark_home(python: Path) -> Path:
    """Returns the folder of the Spark in the interpreter's pyspark."""
    (found,) = python.parents[1].glob("lib/python*/site-packages/pyspark")
    return found


def minor_version(python: Path) -> str:
    """Returns the interpreter's version, such as "3.11"."""
    return spark_home(python).parents[1].name.removeprefix("python")


def _own_packages() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise RuntimeError("the nodes need pyspark: pip install 'cloudlstm[spark]'")
    return Path(spec.origin).parents[1]


def _fill(packages: Path, own: Path | None, pyspark: str | None) -> None:
    if own:
        for name in _LINKED:
            (packages / name).symlink_to(own / name)
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--target", packages, f"pyspark=={pyspark}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"pip could not install pyspark {pyspark}: {done.stderr.strip()[-500:]}")
