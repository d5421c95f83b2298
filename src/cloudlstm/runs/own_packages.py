"""The user's own packages: finds those that settings name, and says what exactly a run has used.

The launcher looks for a package in the folder where the command runs, then in the folder of `--config`, and then where
Python looks. A package in a
folder travels with the run, by content; a package that is installed (site-packages) stays where it is, and counts by
its version.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import site
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudlstm import __version__
from cloudlstm.errors import UserCodeError
from cloudlstm.runs.environment import OWN_CODE
from cloudlstm.storage.local import disk_errors

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

_OURS = "cloudlstm"
_config_folder: list[str] = []
"""See `look_beside`."""

_MOST_BYTES = 64 << 20
"""A package travels with every run, so it must not hold data."""


@dataclass(frozen=True, slots=True)
class Package:
    """A top-level package that a setting names.

    Attributes:
        name: Its name.
        path: Its folder, or the file of a module; below an archive if it lies in one.
        installed: The distribution and its version if the package is installed; empty for one that travels.
    """

    name: str
    path: Path
    installed: str = ""


def names_of(config: RunConfig) -> tuple[str, ...]:
    """All objects of the user's code that a configuration names, as `package.module:NAME`."""
    from cloudlstm.config.exogenous import BUILT_IN_SCORERS

    scorer, news = config.exogenous.news.scorer, config.exogenous.news.source != "off"
    scorers = [scorer] if news and scorer not in BUILT_IN_SCORERS else []
    return (*config.features.extra, *filter(None, [config.model.build]), *scorers)


def packages_of(config: RunConfig) -> list[Path]:
    """The folders or files of the packages that have to travel with a run, in the order of their names.

    Raises:
        UserCodeError: one of them is not there.
    """
    return sorted(package.path for package in _packages(names_of(config)) if not package.installed)


def identity(names: Iterable[str]) -> list[list[str]]:
    """What stands for the code behind names of objects in a fingerprint: [package, hash or version], by package.

    The hash is of the names and the content of all files of a package. So it is the same in a folder and in an archive.

    Args:
        names: Of objects, as `package.module:NAME`.

    Raises:
        UserCodeError: a package is not there.
    """
    return [[package.name, package.installed or digest(package)] for package in _packages(names)]


def files(path: Path) -> list[tuple[str, bytes]]:
    """The files of a package that travels: name relative to the folder above it, and content; sorted by name.

    Hidden files and compiled code are left out.

    Args:
        path: From `packages_of`.

    Raises:
        UserCodeError: it is larger than 64 MB.
    """
    with disk_errors(f"read {path}"):
        found, total = [], 0
        for name, size, read in _entries(path):
            total += size
            if total > _MOST_BYTES:
                raise UserCodeError(
                    f"the package {path.name} has more than {_MOST_BYTES >> 20} MB ({path})",
                    hint="keep data in a folder beside the package",
                )
            found.append((name, read()))
    return sorted(found)


def find(top: str) -> Package:
    """Finds a top-level package, without importing it.

    Raises:
        UserCodeError: it is not there, is there twice, is a part of Python, or is no package.
    """
    if top == _OURS:
        return Package(top, Path(__file__).resolve().parents[1], f"{_OURS} {__version__}")
    if top in sys.stdlib_module_names:
        raise UserCodeError(f"{top} is a part of Python, not a package of yours", hint="give your package another name")
    importlib.invalidate_caches()
    spec = _spec(top)
    if spec is None:
        raise UserCodeError(
            f"no package {top} in {', '.join(places())}, nor where Python looks for packages",
            hint=f"run the command in the folder that holds {top}/, put it beside the file of --config, or install it",
        )
    path = _path_of(spec)
    if path is None:
        raise UserCodeError(
            f"{top} is a folder without __init__.py, or no Python source", hint=f"an empty file {top}/__init__.py"
        )
    if _is_installed(path):
        return Package(top, path, _version(top))
    other = PathFinder.find_spec(top)
    there = _path_of(other) if other else None
    if there and _is_installed(there):
        raise UserCodeError(f"two packages are called {top}: {path} and {there}", hint="rename yours")
    return Package(top, path)


def look_beside(config: str | None) -> None:
    """Packages are also looked for in the folder of this file of settings; a URI or None ends that.

    Args:
        config: As typed.
    """
    local = config if config and "://" not in config else None
    _config_folder[:] = [str(Path(local).absolute().parent)] if local else []


def _packages(names: Iterable[str]) -> list[Package]:
    return [find(top) for top in sorted({parts(name)[0].partition(".")[0] for name in names})]


def parts(name: str) -> tuple[str, str]:
    """The module and the name in it, of `package.module:NAME`."""
    module, _, attribute = name.partition(":")
    return module, attribute


def places() -> list[str]:
    """Where the user's packages are looked for first: a job's archive, else the present folder and that of --config."""
    archive = os.environ.get(OWN_CODE)
    return [archive] if archive else [str(Path.cwd()), *_config_folder]


def _spec(top: str) -> ModuleSpec | None:
    known = sys.modules.get(top)
    found = PathFinder.find_spec(top, [*places(), *sys.path])
    if found is None and known is None:  # packages that follow their sources may have a finder of their own
        found = importlib.util.find_spec(top)
    return found or (known.__spec__ if known else None)


def _path_of(spec: ModuleSpec) -> Path | None:
    """The folder or the file of a package; None if it is a folder without __init__.py, or no source."""
    if not spec.origin or not spec.has_location:
        return None
    origin = Path(os.path.realpath(spec.origin))
    if spec.submodule_search_locations is not None:
        return origin.parent
    return origin if origin.suffix == ".py" or _is_installed(origin) else None


def _is_installed(path: Path) -> bool:
    paths = {*site.getsitepackages(), site.getusersitepackages()}
    paths |= {sysconfig.get_paths()[each] for each in ("purelib", "platlib")}
    return any(path.is_relative_to(os.path.realpath(each)) for each in paths)


def _version(top: str) -> str:
    """The distributions that a package belongs to, with their versions."""
    names = sorted(set(importlib.metadata.packages_distributions().get(top, ())))
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names) or f"{top} installed"


def digest(package: Package) -> str:
    """The hash of the names and the content of a package's files."""
    whole = hashlib.sha256()
    for name, data in files(package.path):
        whole.update(f"{len(name)} {name} {hashlib.sha256(data).hexdigest()}\n".encode())
    return whole.hexdigest()


def _entries(path: Path) -> Iterator[tuple[str, int, Any]]:
    """Name, size and a function that reads the content, for each file of a package."""
    archive = next((each for each in path.parents if each.is_file()), None)
    if archive:
        with zipfile.ZipFile(archive) as opened:
            inside = path.relative_to(archive).as_posix()
            for entry in opened.infolist():
                if entry.filename == inside or entry.filename.startswith(f"{inside}/"):
                    yield entry.filename, entry.file_size, lambda entry=entry: opened.read(entry)
    elif path.is_file():
        yield path.name, path.stat().st_size, path.read_bytes
    else:
        for each in path.rglob("*"):
            inner = each.relative_to(path).parts
            hidden = any(part.startswith(".") or part == "__pycache__" for part in inner)
            if not hidden and each.suffix != ".pyc" and each.is_file():
                yield each.relative_to(path.parent).as_posix(), each.stat().st_size, each.read_bytes
