"""Finds runs: the root that holds them, and the run that a user names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from cloudlstm import storage
from cloudlstm.benchmark.paths import BenchmarkPaths, benchmark_ids
from cloudlstm.config import RunConfig
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, UsageError
from cloudlstm.runs.attempts import latest_attempt
from cloudlstm.runs.folder import has_attempt
from cloudlstm.runs.index import newest_first, run_ids
from cloudlstm.runs.paths import RunPaths, is_run_id
from cloudlstm.runs.settings import read
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.targets import TARGETS

_STREAMS = "streams"
"""The folder of streams below a root."""
_AT_ONCE = 16
"""Runs that are read at the same time."""


def chosen_root(root: str | None, target: str | None) -> str | None:
    """The root that was given, else the root of the cloud target that was given, else None."""
    if root or not target or target in TARGETS:
        return root
    from cloudlstm.targets import document
    from cloudlstm.targets.cloud import root_of

    return root_of(document.load(target))


def root_uri(root: str | None) -> str:
    """The URI of the folder of all runs: `root`, else CLOUDLSTM_ROOT, else ./runs."""
    return storage.absolute(root or os.environ.get("CLOUDLSTM_ROOT") or "runs").rstrip("/")


def read_config(paths: RunPaths) -> RunConfig:
    """The configuration of the latest submit of a run."""
    try:
        return read(paths, latest_attempt(paths))
    except ObjectNotFoundError:
        raise UsageError(f"no run {paths.run_id} in {paths.uri.rsplit('/', 1)[0]}", hint="cloudlstm runs") from None


def find_run(
    root: str | None,
    run: str | None,
    *,
    among: Callable[[RunPaths], bool] = has_attempt,
    missing: str = "",
) -> RunPaths:
    """The run that is named, or the latest run for which `among` is true.

    Args:
        root: The folder of all runs, as typed.
        run: The id of a run below the root, a part that only one id has, or the URI of a run.
        among: Selects runs where no run is named.
        missing: The beginning of the error if `among` selects no run. If it is empty, the latest run of all is
            returned, so that the command can say what that run lacks.
    """
    if run and "://" in run:
        return RunPaths(storage.absolute(run).rstrip("/"))
    base = root_uri(root)
    if run:
        return RunPaths.of(base, chosen_id(run, run_ids(base), base))
    found = _first(newest_first(base), base, among)
    if found is None and missing:
        raise UsageError(f"{missing} {base}", hint="cloudlstm submit, or another --root")
    found = found or _first(newest_first(base), base, has_attempt)
    if found is None:
        raise UsageError(f"no runs in {base}", hint="cloudlstm submit, or another --root")
    return found


def find_deletable(root: str | None, run: str, *, whole: bool) -> RunPaths:
    """The run that is named, also if it is missing in the index or has nothing but its entry there.

    Args:
        root: The folder of all runs, as typed.
        run: As for `find_run`.
        whole: Whether the id must be complete.
    """
    if "://" in run:
        place, _, run_id = storage.absolute(run).rstrip("/").rpartition("/")
        return find_deletable(place, run_id, whole=True)
    base = root_uri(root)
    ids = run_ids(base)
    if run in ids or (is_run_id(run) and has_attempt(RunPaths.of(base, run))):
        return RunPaths.of(base, run)
    found = chosen_id(run, ids, base)
    if whole:
        raise UsageError(f"no run {run} in {base}", hint=f"the complete id, {found}")
    return RunPaths.of(base, found)


def chosen_id(name: str, ids: Sequence[str], root: str) -> str:
    """The id that a word names: a complete id, or a part that only one id has."""
    found = [name] if name in ids else [run_id for run_id in ids if name in run_id]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no run {name} in {root}", hint=f"cloudlstm runs --root={root}")
    raise UsageError(f"{name!r} fits more than one run: {', '.join(found[:5])}", hint="more letters of its id")


def find_stream(root: str | None, name: str | None) -> StreamPaths | None:
    """The stream that a word names: `streams/NAME` below the root, or its URI; None if it names none.

    Args:
        root: The folder of all runs, as typed.
        name: What was typed; None for nothing.

    Raises:
        UsageError: There is no such stream.
    """
    place, _, last = (name or "").rstrip("/").rpartition("/")
    if place == _STREAMS:
        paths = StreamPaths.of(root_uri(root), last)
        if not storage.exists(paths.settings):
            raise UsageError(f"no stream {last} in {paths.root}", hint=f"cloudlstm stream {last} --source=…")
        return paths
    if "://" in place and place.endswith(f"/{_STREAMS}"):
        paths = StreamPaths(storage.absolute(f"{place}/{last}"))
        return paths if storage.exists(paths.settings) else None
    return None


def find_benchmark(root: str | None, name: str) -> BenchmarkPaths | None:
    """The benchmark that a word names: its URI, its id, or a part that only one has; None if it names none, or a run.

    Args:
        root: The folder of all runs, as typed.
        name: What was typed.

    Raises:
        UsageError: It is part of several ids.
    """
    if "://" in name:
        paths = BenchmarkPaths(storage.absolute(name).rstrip("/"))
        return paths if storage.exists(paths.matrix) else None
    base = root_uri(root)
    ids = benchmark_ids(base)
    if name in ids:
        return BenchmarkPaths.of(base, name)
    found = [each for each in ids if name in each]
    if not found or any(name in run_id for run_id in run_ids(base)):
        return None
    if len(found) > 1:
        raise UsageError(
            f"{name!r} fits more than one benchmark: {', '.join(found[:5])}", hint="more letters of its id"
        )
    return BenchmarkPaths.of(base, found[0])


def is_finished(paths: RunPaths) -> bool:
    """True if the run has a report."""
    return storage.exists(paths.report("report.json"))


def is_trained(paths: RunPaths) -> bool:
    """True if the run is finished and was trained; a run of `predict` was not."""
    try:
        return is_finished(paths) and read_config(paths).train.epochs > 0
    except (UsageError, CorruptObjectError):  # settings of another release, or damaged ones, do not hide other runs
        return False


def _first(run_ids: Iterator[str], root: str, holds: Callable[[RunPaths], bool]) -> RunPaths | None:
    """The first run for which `holds` is true. After the first one, many are read at the same time."""
    size = 1
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while batch := [RunPaths.of(root, run_id) for run_id in islice(run_ids, size)]:
            fits = pool.map(holds, batch)
            if found := next((paths for paths, fit in zip(batch, fits, strict=True) if fit), None):
                return found
            size = _AT_ONCE
    return None
