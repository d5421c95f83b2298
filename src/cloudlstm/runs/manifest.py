"""What a finished step made: the list that readers trust, written after everything it names."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.runs import documents
from cloudlstm.runs.folder import remove
from cloudlstm.runs.paths import RunPaths, join
from cloudlstm.storage.retry import retry

_LOG = logging.getLogger(__name__)
_READS = 3
_PAUSE_S = 0.3
_AGAIN = "submit again: the step that made it runs again"

_BELOW = re.compile(r"(?!\.{1,2}(/|$))[^/\0:]+(/(?!\.{1,2}(/|$))[^/\0]+)*")
"""What names an object below the run: no scheme, no root, no step upwards."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

_DATED = ("coverage",)
"""Kinds of objects that say when something was done: no part of what was made."""


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One object of a step.

    Attributes:
        uri: Where it is.
        kind: What it holds, in the words of the step that wrote it ("bars", "quarantine", "train", …).
        rows: Rows in it (sequences: windows that carry a label).
        size_bytes: Its length.
        sha256: Of its bytes, hexadecimal.
        extra: Whatever else the step wants to say of it, JSON-ready.
    """

    uri: str
    kind: str
    rows: int
    size_bytes: int
    sha256: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a step made.

    Attributes:
        step: The step's name.
        fingerprint: Hash of all that the step's outcome depends on; equal fingerprints need no second run.
        objects: Its objects, in a fixed order.
        seconds: Wall-clock seconds that the step took.
        facts: What the step wants the report to say, JSON-ready.
        began: When it began, seconds since the epoch; 0.0 in manifests that were written before this was noted.
    """

    step: str
    fingerprint: str
    objects: tuple[ManifestRow, ...]
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    began: float = 0.0

    def of_kind(self, kind: str) -> list[ManifestRow]:
        """The objects that hold `kind`."""
        return [row for row in self.objects if row.kind == kind]

    def digest(self) -> str:
        """Hash of the objects' contents, independent of where and when they were made."""
        return fingerprint([(row.kind, row.rows, row.sha256) for row in self.objects if row.kind not in _DATED])

    def save(self, paths: RunPaths) -> None:
        """Writes the manifest: from now on the step counts as finished. Steps use RunContext.save_manifest."""
        document = asdict(self)
        for row in document["objects"]:
            row["uri"] = row["uri"].removeprefix(paths.uri + "/")  # so that a run folder can be copied elsewhere
        storage.write_json(paths.manifest(self.step), document)

    @classmethod
    def load(cls, paths: RunPaths, step: str) -> Manifest | None:
        """The step's manifest, or None when the step has not finished yet.

        Raises:
            CorruptObjectError: there is one that cannot be read.
        """
        uri = paths.manifest(step)
        try:
            found = documents.read(cls, uri)
        except ObjectNotFoundError:
            return None
        except CorruptObjectError as error:
            raise CorruptObjectError(error.message, hint=_AGAIN, uri=uri) from None
        for row in found.objects:
            if not (_BELOW.fullmatch(row.uri) and _SHA256.fullmatch(row.sha256) and min(row.rows, row.size_bytes) >= 0):
                raise CorruptObjectError(f"{uri} is no manifest: it names {row.uri!r}", hint=_AGAIN, uri=uri)
        rows = tuple(replace(row, uri=join(paths.uri, row.uri)) for row in found.objects)
        return replace(found, objects=rows)


def fingerprint(value: Any) -> str:
    """A short hash of JSON-ready values, the same on every machine and Python."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_object(uri: str, data: bytes, *, kind: str, rows: int, extra: Mapping[str, Any] | None = None) -> ManifestRow:
    """Writes an object and returns the row that a manifest needs."""
    storage.write(uri, data)
    return ManifestRow(uri, kind, rows, len(data), hashlib.sha256(data).hexdigest(), extra or {})


def read_object(row: ManifestRow) -> bytes:
    """Reads an object and holds it to its manifest row. What does not fit is read again: it may be the way here.

    Raises:
        CorruptObjectError: when length or checksum differ each time.
    """

    def read() -> bytes:
        data = storage.read(row.uri)
        verify(row, len(data), hashlib.sha256(data).hexdigest())
        return data

    return retry(
        read, CorruptObjectError, tries=_READS, first_pause_s=_PAUSE_S,
        before_pause=lambda error: _LOG.warning("reading once more: %s", error),
    )  # fmt: skip


def verify(row: ManifestRow, size_bytes: int, sha256: str) -> None:
    """Raises CorruptObjectError unless length and checksum are the manifest's."""
    if size_bytes != row.size_bytes:
        raise CorruptObjectError(
            f"{row.uri} has {size_bytes} bytes, its manifest says {row.size_bytes}",
            hint=_AGAIN,
            uri=row.uri,
        )
    if sha256 != row.sha256:
        raise CorruptObjectError(
            f"{row.uri} does not have the checksum of its manifest",
            hint=_AGAIN,
            uri=row.uri,
        )


def total_rows(rows: Iterable[ManifestRow]) -> int:
    return sum(row.rows for row in rows)


def finished(paths: RunPaths, step: str, fingerprint: str) -> Manifest | None:
    """The step's manifest if the step is done for these inputs and all its objects are still there in full length."""
    try:
        manifest = Manifest.load(paths, step)
    except CorruptObjectError as error:
        _LOG.warning("%s is done again: %s", step, error.message)
        return None
    if manifest is None or manifest.fingerprint != fingerprint:
        return None
    prefixes = {row.uri.rsplit("/", 1)[0] + "/" for row in manifest.objects}
    there = {item.uri: item.size_bytes for prefix in prefixes for item in storage.list_objects(prefix)}
    lost = [row.uri for row in manifest.objects if there.get(row.uri) != row.size_bytes]
    if lost:
        _LOG.warning("%s is done again: %d of its objects are gone or changed, first %s", step, len(lost), lost[0])
        return None
    return manifest


def invalidate_corrupt(paths: RunPaths, error: StorageError) -> list[str]:
    """Removes the manifest of each step that has a damaged object which the error is about.

    The objects are looked at again first. A step without a manifest has not been done, so the next submit makes it
    anew; where the outcome is the same, the steps after it stay as they are.

    Returns:
        The steps, by name.
    """
    invalidated = []
    for item in list(storage.list_objects(paths.manifests)):
        step = item.uri.removeprefix(paths.manifests).removesuffix(".json")
        try:
            manifest = Manifest.load(paths, step)
            for row in manifest.objects if manifest else ():
                if row.uri == error.uri or (not error.uri and row.uri in error.message):
                    read_object(row)
        except (CorruptObjectError, ObjectNotFoundError):
            storage.delete(paths.manifest(step), within=paths.uri)
            invalidated.append(step)
    return invalidated


def prune(paths: RunPaths, step: str, keep: str) -> None:
    """Removes what the step made for other inputs than those of the fingerprint `keep`; failing at that is no harm.

    Files that are not ours stay, and so do objects behind symbolic links in the run folder.
    """
    kept = paths.data(step, keep, "") + "/"
    try:
        remove(paths, paths.step_data(step), lambda uri: not uri.startswith(kept))
    except StorageError as error:
        _LOG.warning("objects of other inputs are left: %s", error)
