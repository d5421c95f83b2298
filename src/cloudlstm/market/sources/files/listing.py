"""The files that a path, folder, glob or storage URI names, also those inside ZIP archives."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice

from cloudlstm import storage
from cloudlstm.errors import DataError, ObjectNotFoundError
from cloudlstm.market.sources.files import contents
from cloudlstm.storage import ObjectInfo

SUFFIXES = (".csv", ".txt", ".tsv", ".parquet", ".pq", ".zip")
"""The files of a folder that are read; each may have .gz behind it. Spark's part-00000 is read too.

A file that is named itself may have any name."""

_GLOB = re.compile(r"[*?\[]")
_SUFFIX = re.compile(r"\.(csv|txt|tsv|parquet|pq)(\.gz)?$|\.zip$|(^|/)part-[\w-]+(\.gz)?$", re.IGNORECASE)
_NO_BARS = re.compile(
    r"(^|/)(\.DS_Store|\._[^/]*|Thumbs\.db|desktop\.ini|_SUCCESS|_committed_.*|_started_.*|_delta_log/.*|__MACOSX/.*|README.*"
    r"|LICEN[CS]E.*|[^/]*\.(crc|md|pdf|py|ipynb|log|toml|ya?ml|html?|png|jpg))$", re.IGNORECASE
)  # fmt: skip
"""Files that nobody takes for bars; they are left out without a word."""
_SHOWN = 5
_LISTED_BESIDE = 1000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of bars, as it was when it was listed.

    Attributes:
        item: Its URI; for a member of a ZIP archive also the path in it, see `contents.item_of`.
        size_bytes: Its size; of a member, its size in the archive.
        etag: Changes with its content.
    """

    item: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a path.

    Attributes:
        folder: URI of the deepest folder that the path names for certain; the names of the folders below it say
            something about the files.
        files: The files, sorted by URI; those of an archive by their path in it.
        left_out: Names of other files in the folder, which may be bars in a form that is not read.
    """

    folder: str
    files: tuple[SourceFile, ...]
    left_out: tuple[str, ...] = ()


def list_files(path: str, ignored: Sequence[str] = ()) -> Listing:
    """Returns the files that a path, storage URI, folder or glob names.

    Args:
        path: `*`, `?` and `[...]` match within a folder, `**` across folders. A file that exists is never a glob.
        ignored: Names or globs of files to leave out, from `market.ignore_files`.

    Raises:
        DataError: if there are none.
    """
    uri = storage.absolute(path)
    folder, objects, left_out = _objects(path, uri)
    wanted = [found for found in objects if not _is_ignored(found.uri, folder, ignored)]
    files = tuple(file for found in wanted for file in _files_in(found, folder, ignored))
    if not files:
        raise DataError(f"{path}: market.ignore_files leaves out all files", hint="name fewer in market.ignore_files")
    return Listing(folder, files, tuple(left_out))


def _objects(path: str, uri: str) -> tuple[str, list[ObjectInfo], list[str]]:
    """Returns the folder, its files of bars, and the names of its other files."""
    try:
        return uri.rpartition("/")[0] + "/", [storage.stat(uri)], []
    except ObjectNotFoundError:
        pass
    if _GLOB.search(uri):
        start = _GLOB.split(uri)[0]
        pattern = re.compile(_regex(uri))
        found = [each for each in storage.list_objects(start) if pattern.fullmatch(each.uri)]
        if not found:
            raise DataError(f"no file matches {path}", hint="** matches across folders, * and ? within one")
        return start.rpartition("/")[0] + "/", found, []
    folder = uri.rstrip("/") + "/"
    listed = list(storage.list_objects(folder))
    below = [each for each in listed if not _is_hidden(each.uri[len(folder) :])]
    found = [each for each in below if _SUFFIX.search(each.uri)]
    read = {each.uri for each in found}
    names = [each.uri[len(folder) :] for each in listed if each.uri not in read]
    left_out = [name for name in names if not _NO_BARS.search(name)]
    if not found:
        raise DataError(
            f"there is no file at {path}, and no {', '.join(SUFFIXES)} file below it",
            hint=(_near(uri) if not listed else "") or _hint(below, folder),
        )
    return folder, found, left_out


def _near(uri: str) -> str:
    """Returns the setting for a file beside `uri` with a similar name; "" if there is none."""
    folder, _, name = uri.rpartition("/")
    beside = [each.uri[len(folder) + 1 :] for each in islice(storage.list_objects(folder + "/"), _LISTED_BESIDE)]
    found = difflib.get_close_matches(name, [other.split("/")[0] for other in beside], n=1, cutoff=0.75)
    return f"market.path={shlex.quote(f'{folder}/{found[0]}'.removeprefix('file://'))}" if found else ""


def _hint(below: Sequence[ObjectInfo], folder: str) -> str:
    names = [each.uri[len(folder) :] for each in below]
    if any(name.lower().endswith((".xlsx", ".xls", ".ods")) for name in names):
        return "save the sheets as CSV; workbooks are not read"
    if names:
        return f"store the bars as CSV or Parquet; it holds {', '.join(names[:_SHOWN])}"
    return "check market.path"


def _is_hidden(path: str) -> bool:
    """True for files that systems and programs leave beside data: .DS_Store, _SUCCESS, .part-0.crc and __MACOSX."""
    return any(part.startswith((".", "_")) for part in path.split("/"))


def _is_ignored(uri: str, folder: str, ignored: Sequence[str]) -> bool:
    below = uri.removeprefix(folder)
    names = (below, below.rsplit("/", 1)[-1])
    return any(name == glob or fnmatchcase(name, glob) for glob in ignored for name in names)


def _files_in(found: ObjectInfo, folder: str, ignored: Sequence[str]) -> Iterator[SourceFile]:
    """Yields the file itself, or the files of bars in a ZIP archive."""
    if not found.uri.lower().endswith(".zip"):
        yield SourceFile(found.uri, found.size_bytes, found.etag)
        return
    members = list(contents.members(found))
    of_bars = [member for member in members if _SUFFIX.search(member.filename) and not _is_hidden(member.filename)]
    if not of_bars:
        names = ", ".join(member.filename for member in members[:_SHOWN])
        raise DataError(f"{found.uri} holds no CSV, text or Parquet file; it holds {names or 'nothing'}")
    for member in sorted(of_bars, key=lambda member: member.filename):
        item = contents.item_of(found.uri, member.filename)
        if not _is_ignored(item, folder, ignored):
            yield SourceFile(item, member.compress_size, f"{found.etag}:{member.CRC:08x}")


def _regex(glob: str) -> str:
    """Converts a glob over URIs to a regular expression."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", glob)
    return "".join(
        parts.get(piece) or (re.sub(r"^\[!", "[^", piece) if piece.startswith("[") else re.escape(piece))
        for piece in pieces
    )
