"""Manifests: the list of the objects of a finished step, written after all of them."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
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
_RUN_AGAIN = "submit again: the step that made it runs again"

_RELATIVE = re.compile(r"(?!\.{1,2}(/|$))[^/\0:]+(/(?!\.{1,2}(/|$))[^/\0]+)*")
"""A path below the run's folder: no scheme, no leading slash, no `..`."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

_NOT_IN_DIGEST = ("coverage",)
"""Kinds of objects that contain times."""


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One object of a step.

    Attributes:
        uri: Its URI.
        kind: What it contains: "bars", "quarantine", "train", …
        rows: Its rows (sequences: windows with a label).
        size_bytes: Its size.
        sha256: SHA-256 of its bytes, hexadecimal.
        extra: Further values, JSON-ready.
    """

    uri: str
    kind: str
    rows: int
    size_bytes: int
    sha256: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The result of a finished step.

    Attributes:
        step: The step's name.
        fingerprint: Hash of everything that the result depends on; a step with an equal fingerprint is skipped.
        objects: Its objects, in a fixed order.
        seconds: Wall-clock seconds that the step took.
        facts: Values for the report, JSON-ready.
        began: When the step began, seconds since the epoch; 0.0 in manifests of old releases.
    """

    step: str
    fingerprint: str
    objects: tuple[ManifestRow, ...]
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    began: float = 0.0

    def of_kind(self, kind: str) -> list[ManifestRow]:
        """The objects of a kind."""
        return [row for row in self.objects if row.kind == kind]

    def digest(self) -> str:
        """Hash of the contents of the objects, independent of place and time."""
        return fingerprint([(row.kind, row.rows, row.sha256) for row in self.objects if row.kind not in _NOT_IN_DIGEST])

    def places(self) -> set[str]:
        """The names of the folders of the step that hold the objects: data/<step>/<place>/<name>, or deeper."""
        folder = f"/data/{self.step}/"
        return {row.uri.rpartition(folder)[2].partition("/")[0] for row in self.objects}

    def save(self, paths: RunPaths) -> None:
        """Writes the manifest: from now on the step counts as finished. Steps use RunContext.save_manifest."""
        document = asdict(self)
        for row in document["objects"]:
            row["uri"] = row["uri"].removeprefix(paths.uri + "/")  # so that a run folder can be copied
        storage.write_json(paths.manifest(self.step), document)

    @classmethod
    def load(cls, paths: RunPaths, step: str) -> Manifest | None:
        """The step's manifest; None if the step has not finished.

        Raises:
            CorruptObjectError: the manifest cannot be read.
        """
        uri = paths.manifest(step)
        try:
            found = documents.read(cls, uri)
        except ObjectNotFoundError:
            return None
        except CorruptObjectError as error:
            raise CorruptObjectError(error.message, hint=_RUN_AGAIN, uri=uri) from None
        for row in found.objects:
            if not (
                _RELATIVE.fullmatch(row.uri) and _SHA256.fullmatch(row.sha256) and min(row.rows, row.size_bytes) >= 0
            ):
                raise CorruptObjectError(
                    f"{uri} is not a valid manifest: it names {row.uri!r}", hint=_RUN_AGAIN, uri=uri
                )
        rows = tuple(replace(row, uri=join(paths.uri, row.uri)) for row in found.objects)
        return replace(found, objects=rows)


def fingerprint(value: Any) -> str:
    """A hash of JSON-ready values, 16 hexadecimal digits, the same on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_object(
    uri: str,
    data: bytes,
    *,
    kind: str,
    rows: int,
    extra: Mapping[str, Any] | None = None,
    write: Callable[[str, bytes], object] | None = None,
) -> ManifestRow:
    """Writes an object and returns its manifest row.

    Args:
        uri: Where to write it.
        data: Its bytes.
        kind: What it contains, such as "bars".
        rows: Its rows.
        extra: Further values for the row, JSON-ready.
        write: Writes it, and may return before it is written; by default `storage.write`.
    """
    (write or storage.write)(uri, data)
    return ManifestRow(uri, kind, rows, len(data), hashlib.sha256(data).hexdigest(), extra or {})


def read_object(row: ManifestRow) -> bytes:
    """Reads an object and verifies it. After a mismatch it reads again, because the transfer may be at fault.

    Raises:
        CorruptObjectError: size or checksum differ each time.
    """

    def read() -> bytes:
        data = storage.read(row.uri)
        verify(row, len(data), hashlib.sha256(data).hexdigest())
        return data

    return retry(
        read, CorruptObjectError, tries=_READS, first_pause_s=_PAUSE_S,
        before_pause=lambda error: _LOG.warning("reading again: %s", error),
    )  # fmt: skip


def verify(row: ManifestRow, size_bytes: int, sha256: str) -> None:
    """Raises CorruptObjectError unless size and checksum are those of the manifest row."""
    if size_bytes != row.size_bytes:
        raise CorruptObjectError(
            f"{row.uri} has {size_bytes} bytes, its manifest says {row.size_bytes}",
            hint=_RUN_AGAIN,
            uri=row.uri,
        )
    if sha256 != row.sha256:
        raise CorruptObjectError(
            f"{row.uri} does not have the checksum of its manifest",
            hint=_RUN_AGAIN,
            uri=row.uri,
        )


def total_rows(rows: Iterable[ManifestRow]) -> int:
    """The rows of all objects together."""
    return sum(row.rows for row in rows)


def missing_objects(manifest: Manifest) -> list[str]:
    """The URIs of objects that do not exist, or not with their sizes."""
    prefixes = {row.uri.rsplit("/", 1)[0] + "/" for row in manifest.objects}
    sizes = {item.uri: item.size_bytes for prefix in prefixes for item in storage.list_objects(prefix)}
    return [row.uri for row in manifest.objects if sizes.get(row.uri) != row.size_bytes]


def finished(paths: RunPaths, step: str, fingerprint: str) -> Manifest | None:
    """The step's manifest if it has this fingerprint and all its objects exist with their sizes; otherwise None."""
    try:
        manifest = Manifest.load(paths, step)
    except CorruptObjectError as error:
        _LOG.warning("%s runs again: %s", step, error.message)
        return None
    if manifest is None or manifest.fingerprint != fingerprint:
        return None
    lost = missing_objects(manifest)
    if lost:
        _LOG.warning("%s runs again: %d of its objects are missing or changed, first %s", step, len(lost), lost[0])
        return None
    return manifest


def invalidate_corrupt(paths: RunPaths, error: StorageError) -> list[str]:
    """Removes the manifest of each step that owns the corrupt or missing object named by the error.

    Each object is read again first. The next submit runs a step without a manifest again; if its result is the same,
    the later steps are skipped.

    Returns:
        The names of these steps.
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


def prune(paths: RunPaths, step: str, *keep: str) -> None:
    """Removes the objects that a step wrote for other inputs; a failure is only logged.

    Files of others stay, and so do objects behind symbolic links.

    Args:
        paths: The run.
        step: The step's name.
        keep: The places whose objects stay.
    """
    kept = tuple(paths.data(step, place, "") + "/" for place in keep)
    try:
        remove(paths, paths.step_data(step), lambda uri: not uri.startswith(kept))
    except StorageError as error:
        _LOG.warning("objects of other inputs were not removed: %s", error)
