"""`cloudlstm report --to` and `--open`: copies of a report on this machine, and the browser that shows it."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.errors import ObjectNotFoundError, UsageError
from cloudlstm.runs.paths import RunPaths
from cloudlstm.storage.local import disk_errors, new_file, user_cache

_PAGE = "report.html"
_NAMES = (_PAGE, "report.json", "forecasts.csv", "forecasts.parquet")
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Variables of which one is set where a browser can open a window."""


def show_copies(paths: RunPaths, *, folder: str | None, to_open: bool) -> int:
    """Copies a report, opens it, or both.

    Args:
        paths: The run.
        folder: The folder for report.html, report.json and the tables of forecasts; None for no copies.
        to_open: Whether to open the page in the browser. Without `folder`, a page in a bucket is copied into the cache.
    """
    if folder is None:
        page = _local_page(paths)
    else:
        page = copy_report(paths, Path(folder))
        terminal.write(f"copied to {page.parent}\n")
    if to_open:
        _open(page)
    return 0


def copy_report(paths: RunPaths, folder: Path) -> Path:
    """Copies the files of a report into a folder, which is made if it does not exist. Returns the path of the page.

    Raises:
        UsageError: The run has no report, or the folder has another file of the same name; then nothing is copied.
    """
    contents = {}
    for name in _NAMES:
        try:
            contents[name] = storage.read(paths.report(name))
        except ObjectNotFoundError:
            if name == _PAGE:
                raise missing(paths) from None
    folder = folder.expanduser().absolute()
    with disk_errors(f"copy the report to {folder}"):
        for name, content in contents.items():
            file = folder / name
            if os.path.lexists(file) and not (file.is_file() and file.read_bytes() == content):
                raise UsageError(f"{file} is there already and differs", hint=f"--to={folder / paths.run_id}")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with new_file(folder / name) as stream:
                stream.write(content)
    return folder / _PAGE


def missing(paths: RunPaths) -> UsageError:
    """The error for a run without a report."""
    return UsageError(f"run {paths.run_id} has no report yet", hint=f"cloudlstm status {paths.run_id}")


def _local_page(paths: RunPaths) -> Path:
    """The page of a run on this disk, or a copy of it in the user's cache."""
    uri = paths.report(_PAGE)
    if storage.scheme_of(uri) == "file":
        if not storage.exists(uri):
            raise missing(paths)
        return Path(uri.removeprefix("file://"))
    page = user_cache("reports", f"{paths.run_id}.html")
    try:
        content = storage.read(uri)
    except ObjectNotFoundError:
        raise missing(paths) from None
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
