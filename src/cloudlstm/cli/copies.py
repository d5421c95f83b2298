"""`cloudlstm report --to` and `--open`: copies of results on this machine, and the browser that shows their page."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.errors import ObjectNotFoundError, UsageError
from cloudlstm.runs.paths import RunPaths
from cloudlstm.storage.local import disk_errors, new_file, user_cache

_NAMES = ("report.html", "report.json", "forecasts.csv", "forecasts.parquet")
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Variables of which one is set where a browser can open a window."""


@dataclass(frozen=True, slots=True)
class Results:
    """The files of a finished run or benchmark.

    Attributes:
        name: Its id.
        files: File name -> URI; the page is the first one, and of the others those that exist are copied.
        missing: The error if there is no page.
    """

    name: str
    files: Mapping[str, str]
    missing: UsageError

    @property
    def page(self) -> str:
        """The name of the page."""
        return next(iter(self.files))


def results_of(paths: RunPaths) -> Results:
    """The files of the report of a run."""
    return Results(paths.run_id, {name: paths.report(name) for name in _NAMES}, missing(paths))


def show_copies(results: Results, *, folder: str | None, to_open: bool) -> int:
    """Copies results, opens their page, or both.

    Args:
        results: The files.
        folder: The folder for the copies; None for no copies.
        to_open: Whether to open the page in the browser. Without `folder`, a page in a bucket is copied into the cache.
    """
    if folder is None:
        page = _local_page(results)
    else:
        page = copy_results(results, Path(folder))
        terminal.write(f"copied to {page.parent}\n")
    if to_open:
        _open(page)
    return 0


def copy_results(results: Results, folder: Path) -> Path:
    """Copies results into a folder, which is made if it does not exist. Returns the path of the page.

    Raises:
        UsageError: There is no page, or the folder has another file of the same name; then nothing is copied.
    """
    contents = {}
    for name, uri in results.files.items():
        try:
            contents[name] = storage.read(uri)
        except ObjectNotFoundError:
            if name == results.page:
                raise results.missing from None
    folder = folder.expanduser().absolute()
    with disk_errors(f"copy the report to {folder}"):
        for name, content in contents.items():
            file = folder / name
            if os.path.lexists(file) and not (file.is_file() and file.read_bytes() == content):
                raise UsageError(f"{file} is there already and differs", hint=f"--to={folder / results.name}")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with new_file(folder / name) as stream:
                stream.write(content)
    return folder / results.page


def missing(paths: RunPaths) -> UsageError:
    """The error for a run without a report."""
    return UsageError(f"run {paths.run_id} has no report yet", hint=f"cloudlstm status {paths.run_id}")


def _local_page(results: Results) -> Path:
    """The page on this disk, or a copy of it in the user's cache."""
    uri = results.files[results.page]
    if storage.scheme_of(uri) == "file":
        if not storage.exists(uri):
            raise results.missing
        return Path(uri.removeprefix("file://"))
    page = user_cache("reports", f"{results.name}.html")
    try:
        content = storage.read(uri)
    except ObjectNotFoundError:
        raise results.missing from None
    with disk_errors(f"copy the report to {page}"):
        page.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with new_file(page) as stream:
            stream.write(content)
    return page


def _open(page: Path) -> None:
    """Opens the page in the browser; prints its path where there is no browser or no screen."""
    has_screen = sys.platform == "darwin" or any(os.environ.get(name) for name in _SCREENS)
    if has_screen and webbrowser.open(page.as_uri()):
        terminal.write(f"opened {page}\n")
    else:
        terminal.write(f"no browser can be opened here; the report is {page}\n")
