"""`cloudlstm doctor`: checks this machine or a cloud target, and names the fix of each fault."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.json_output import Check, Checks, print_document
from cloudlstm.errors import CloudLSTMError, FetchError, MachineError, MissingExtraError, TargetError
from cloudlstm.runs.environment import YAHOO_URL
from cloudlstm.targets.bundle.archive import asset
from cloudlstm.targets.local.java import find_java
from cloudlstm.targets.preflight import storage_rights
from cloudlstm.text.numbers import counted
from cloudlstm.workers.child_environment import ignored, proxies
from cloudlstm.workers.loopback import Loopback

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig
    from cloudlstm.targets.document import TargetConfig
    from cloudlstm.targets.planned import PlannedRoot
    from cloudlstm.targets.quotas import Quota

_EXTRAS = {"spark": ("pyspark", "pandas"), "train": ("tensorflow", "keras", "jinja2", "scipy"),
           "market": ("exchange-calendars", "yfinance")}  # fmt: skip
_SDKS = {"s3": ("aws", "boto3"), "gs": ("gcp", "google-cloud-storage")}
_DISK_GIB = 5


class _Warning(Exception):  # noqa: N818 - worth a line, and no failure
    def __init__(self, text: str, fix: str | None = None) -> None:
        super().__init__(text)
        self.fix = fix


def examine(root: str, *, yahoo: bool = True, as_json: bool = False) -> int:
    """Prints one line a check. Returns exit status 1 if a check fails.

    Args:
        root: The folder of all runs.
        yahoo: Whether to check Yahoo Finance.
        as_json: Whether to print a JSON document.
    """
    extras = dict(_EXTRAS)
    scheme = storage.scheme_of(root)
    if scheme in _SDKS:
        extra, package = _SDKS[scheme]
        extras[extra] = (package,)
    checks: dict[str, Callable[[], str]] = {
        "python": _python,
        "java": _java,
        "environment": _environment,
        "workers": _workers,
        **{f"extra {name}": _extra(name, packages) for name, packages in extras.items()},
        "disk": _disk,
        "storage": lambda: storage_rights(root),
        "examples": lambda: str(asset("examples")),
        **({"yahoo": _yahoo} if yahoo else {}),
    }
    return _run_checks(checks, as_json=as_json)


def examine_target(
    where: str, config: RunConfig | None, *, trust_endpoints: bool = False, as_json: bool = False
) -> int:
    """The same for a cloud target: the checks of a submit, whether its bundle can be built here, and what it has.

    The check "resources" counts what costs money now; the resources themselves follow the checks.
    """
    from cloudlstm.cli.resources import Resources, existing, show
    from cloudlstm.targets.cloud import open_cloud

    target = open_cloud(where, trust_endpoints=trust_endpoints)
    found: list[Resources] = []

    def resources() -> str:
        found.append(existing(target))
        return f"costs money while it exists: {counted(len(found[0].costs), 'resource')}"

    checks = {"python": _python, **target.checks(config, str(target.root)), "bundle": lambda: _bundle(target.config)}
    done = _done(checks | {"resources": resources}, as_json=as_json)
    if as_json:
        lists = {"remaining": found[0].costs, "free": found[0].free, "bucket": found[0].kept} if found else {}
        print_document(Checks.model_validate({"ok": _is_good(done), "checks": done} | lists))
    elif found:
        show(found[0])
    return 0 if _is_good(done) else 1


def examine_before_apply(
    where: str, words: Sequence[str], workers: int | None, *, trust_endpoints: bool = False, as_json: bool = False
) -> int:
    """The same for a Terraform root that is not applied yet: what its machines need of the account's quotas.

    Args:
        where: The root's folder.
        words: Values of Terraform variables, as NAME=VALUE.
        workers: Number of trainers of the planned run; None for the usual number.
        trust_endpoints: Whether an endpoint in the environment may be on another machine.
        as_json: Whether to print a JSON document.
    """
    from cloudlstm.targets import first_apply
    from cloudlstm.targets.cloud import WORKERS
    from cloudlstm.targets.planned import read_root

    root = read_root(where, words, trust_endpoints=trust_endpoints)
    count = workers or WORKERS
    checks: dict[str, Callable[[], str]] = {
        "python": _python,
        "settings": lambda: _settings(root),
        "trainers": lambda: first_apply.trainers(root, count),
    }
    failed = ""
    for name, ask in {"region": first_apply.region, "credentials": first_apply.credentials}.items():
        try:
            checks[name] = _saying(ask(root))
        except CloudLSTMError as error:
            checks[name], failed = _failing(error), name
            break
    if failed:
        checks["quotas"] = _not_asked(failed)
        return _run_checks(checks, as_json=as_json)
    try:
        quotas = first_apply.quotas(root, count)
    except TargetError as error:
        checks["quotas"] = _failing(error)
    else:
        checks |= {quota.code: _allowed(quota) for quota in quotas}
    return _run_checks(checks, as_json=as_json)


def _settings(root: PlannedRoot) -> str:
    said = f"{root}; terraform plan checks the rest"
    if root.foreign:
        raise _Warning(f"{said}; no variable of this root: {', '.join(root.foreign)}", "correct or remove the name")
    return said


def _saying(text: str) -> Callable[[], str]:
    return lambda: text


def _not_asked(without: str) -> Callable[[], str]:
    def check() -> str:
        raise _Warning(f"not asked for: the check of {without} failed")

    return check


def _failing(error: CloudLSTMError) -> Callable[[], str]:
    def check() -> str:
        raise error

    return check


def _allowed(quota: Quota) -> Callable[[], str]:
    """Returns the check of a quota: it fails if too little is free, and warns if the cluster cannot grow."""
    from cloudlstm.targets.first_apply import verdict

    def check() -> str:
        said = verdict(quota)
        if quota.most > quota.free:
            raise _Warning(f"{said}; the cluster cannot grow to its largest", quota.remedy())
        return said

    return check


def _bundle(config: TargetConfig) -> str:
    from cloudlstm.targets.bundle.dependencies import dependencies

    path = dependencies(config.spark_python, config.spark_architecture)
    return f"{path.stat().st_size / 2**20:.0f} MiB for Python {config.spark_python} on {config.spark_architecture}"


def _run_checks(checks: Mapping[str, Callable[[], str]], *, as_json: bool) -> int:
    done = _done(checks, as_json=as_json)
    if as_json:
        print_document(Checks(ok=_is_good(done), checks=done))
    return 0 if _is_good(done) else 1


def _is_good(done: Sequence[Check]) -> bool:
    return all(each.state != "fail" for each in done)


def _done(checks: Mapping[str, Callable[[], str]], *, as_json: bool) -> tuple[Check, ...]:
    """Carries out the checks and prints a line for each, unless a JSON document will follow."""
    done = []
    for name, check in checks.items():
        found = _result(name, check)
        done.append(found)
        if not as_json:
            mark = "FAIL" if found.state == "fail" else found.state
            fix = f"\n{'':23}fix: {found.fix}" if found.fix else ""
            terminal.write(f"{mark:<4}  {name:<15}  {found.text}{fix}\n")
    return tuple(done)


def _result(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name=name, state="ok", text=check(), fix=None)
    except CloudLSTMError as error:
        return Check(name=name, state="fail", text=error.message, fix=error.hint or None)
    except _Warning as warning:
        return Check(name=name, state="warn", text=str(warning), fix=warning.fix)


def _python() -> str:
    return f"{sys.version.split()[0]} at {sys.executable}, {os.cpu_count()} cores"


def _java() -> str:
    java = find_java()
    return f"{java.version} at {java.home} (from {java.origin})"


def _environment() -> str:
    """Checks for variables that jobs do not get, and for proxies, which are used for storage and Yahoo only."""
    notes = []
    if left := ignored(os.environ):
        notes.append(f"jobs do not get {', '.join(left)}: they belong to another installation")
    if found := proxies(os.environ):
        notes.append(f"{', '.join(found)}: used for storage and Yahoo, not between workers")
    if notes:
        raise _Warning("; ".join(notes))
    return "no variable that affects jobs"


def _workers() -> str:
    """Checks whether several training processes can run in a network of their own on this machine."""
    try:
        Loopback().close()
    except MachineError as error:
        raise _Warning(f"train.workers must stay at 1 here ({error.message}); one worker uses up to 4 cores") from None
    return "several workers can train in a private network"


def _extra(name: str, packages: tuple[str, ...]) -> Callable[[], str]:
    def check() -> str:
        found = []
        for package in packages:
            try:
                found.append(f"{package} {importlib.metadata.version(package)}")
            except importlib.metadata.PackageNotFoundError:
                raise MissingExtraError(
                    f"{package} is not installed", hint=f"pip install 'cloudlstm[{name}]'"
                ) from None
        return ", ".join(found)

    return check


def _disk() -> str:
    from pathlib import Path

    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home())
    try:
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        raise MachineError(
            f"the folder for the cache, {folder}, cannot be used: {error.strerror}", hint="set HOME or XDG_CACHE_HOME"
        ) from None
    if free < _DISK_GIB:
        raise MachineError(
            f"{free:.1f} GiB free at {folder}", hint=f"free {_DISK_GIB} GiB, or set XDG_CACHE_HOME elsewhere"
        )
    return f"{free:.0f} GiB free for the cache at {folder}"


def _yahoo() -> str:
    """Checks whether Yahoo answers; 429 is only a warning, because it may pass within an hour."""
    try:
        from cloudlstm.market.sources.yahoo.session import YAHOO, probe
    except ImportError:
        raise _Warning("not checked, yfinance is not installed: pip install 'cloudlstm[market]'") from None

    base = os.environ.get(YAHOO_URL) or YAHOO
    try:
        status = probe(base)
    except FetchError as error:
        raise _Warning(f"{error.message}; {error.hint}") from None
    if status == 429:
        raise _Warning(f"{base} refuses this address for now (429): try again later, or market.source=files")
    return f"{base} answers"
