"""Imports objects of the user's own code by name, and explains what went wrong there.

Settings name an object as `package.module:NAME`; runs/own_packages.py finds the package. Of a folder only the named
packages can be imported, so code that works on this machine works on a machine that gets nothing else.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any, ClassVar

from cloudlstm.errors import UserCodeError
from cloudlstm.runs.own_packages import Package, digest, files, find, identity, names_of, packages_of, parts, places

__all__ = ["failure", "identity", "load_object", "names_of", "packages_of", "require_there"]


def load_object(name: str) -> Any:
    """Imports an object of the user's code.

    Args:
        name: `package.module:NAME`.

    Raises:
        UserCodeError: there is no such package, module or name, or its import failed; then the message has the last
            line of the traceback, and the place in the user's code.
    """
    module, attribute = parts(name)
    package = find(module.partition(".")[0])
    loaded = _import(package, module)
    try:
        return getattr(loaded, attribute)
    except AttributeError:
        raise _no_name(module, attribute, [each for each in vars(loaded) if not each.startswith("_")]) from None


def require_there(name: str) -> None:
    """Checks that a name leads to something, without running any of the user's code.

    The module's source is parsed: an object counts as there if the module defines, assigns or imports its name.

    Raises:
        UserCodeError: there is no such package, module or name, or the module has a syntax error.
    """
    module, attribute = parts(name)
    package = find(module.partition(".")[0])
    if package.installed:
        return
    places = [f"{'/'.join(module.split('.'))}{ending}" for ending in (".py", "/__init__.py")]
    source = next((data for each, data in files(package.path) if each in places), None)
    if source is None:
        raise _no_module(module, package)
    try:
        defined = _defined(ast.parse(source))
    except (SyntaxError, ValueError) as error:
        raise _failed(f"{module} cannot be imported", error, package) from None
    if attribute not in defined and "*" not in defined:
        raise _no_name(module, attribute, sorted(defined))


def failure(what: str, error: BaseException, name: str) -> UserCodeError:
    """The error for an exception that the user's code raised.

    Args:
        what: What failed, such as "the kernel of the feature momentum failed".
        error: The exception.
        name: The object, as `package.module:NAME`; of its package's files the message names the last in the traceback.
    """
    return _failed(what, error, find(parts(name)[0].partition(".")[0]))


class _Finder:
    """Finds the packages that settings name, and no other module, in the user's folder or archive."""

    names: ClassVar[set[str]] = set()

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:  # noqa: ARG003
        return PathFinder.find_spec(name, [*places(), *sys.path]) if path is None and name in cls.names else None


_loaded: dict[str, str] = {}
"""Package -> the content that was imported. In a notebook, a package may change between two submits."""


def _import(package: Package, module: str) -> ModuleType:
    if not package.installed:
        _forget_other(package)
        _Finder.names.add(package.name)
        if _Finder not in sys.meta_path:
            sys.meta_path.insert(0, _Finder)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise _no_module(error.name, package) from None
        raise _failed(f"{module} cannot be imported", error, package) from error
    except (Exception, SystemExit) as error:
        raise _failed(f"{module} cannot be imported", error, package) from error


def _forget_other(package: Package) -> None:
    """Forgets the imported modules of a package if their content has changed, or if they come from another folder."""
    content = f"{package.path} {digest(package)}"
    known = sys.modules.get(package.name)
    origin = os.path.realpath(getattr(known, "__file__", None) or "")
    if _loaded.get(package.name, content) != content or not origin.startswith(str(package.path)):
        for each in [name for name in sys.modules if name.partition(".")[0] == package.name]:
            del sys.modules[each]
    _loaded[package.name] = content


def _no_module(module: str, package: Package) -> UserCodeError:
    return UserCodeError(f"no module {module} in {package.path}", hint="the name of a file below it, without .py")


def _no_name(module: str, attribute: str, known: Sequence[str]) -> UserCodeError:
    near = get_close_matches(attribute, known, n=1) or list(known[:5])
    return UserCodeError(f"the module {module} has no {attribute}", hint=", ".join(near))


def _failed(what: str, error: BaseException, package: Package) -> UserCodeError:
    """The error that shows the last line of the user's traceback, and the last place of it in the user's package."""
    last = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    root = str(package.path.parent)
    own = [(name, line) for name, line in places if os.path.realpath(name).startswith(str(package.path))]
    where = f" ({os.path.relpath(os.path.realpath(own[-1][0]), root)}, line {own[-1][1]})" if own else ""
    hint = "a package needs its helpers inside its own folder, and only packages that every machine of the run has"
    return UserCodeError(f"{what}: {last}{where}", hint=hint if isinstance(error, ModuleNotFoundError) else "")


def _defined(tree: ast.Module) -> set[str]:
    """The names that a module defines; with "*" if it imports all names of another one."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found
