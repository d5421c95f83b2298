"""The manifest of one version of a store: `universe/<as_of>.json`, written once, after all its pieces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectExistsError
from cloudlstm.market.store.changes import Changes
from cloudlstm.market.store.pieces import PieceInfo
from cloudlstm.runs import documents
from cloudlstm.runs.paths import join

SCHEMA = 1
_FOLDER = "universe"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a store knew on one day.

    Attributes:
        as_of: The day, ISO date: bars of sessions up to it are known.
        previous: The day of the version before; None for the first one.
        calendar: The exchange calendar.
        start: First date of the bars, ISO.
        tickers: All tickers, sorted; also those without bars.
        behind: Ticker -> the last day up to which its bars are known, ISO, where that is before `as_of`.
        pieces: The pieces whose bars are this version, in order. The first `base` ones hold all tickers.
        base: Number of base pieces.
        recent: The last pieces that were written by one update each, in order; also those that were moved into the base
            since.
        changes: What the update has changed.
        schema: Form of this document.
    """

    as_of: str
    previous: str | None
    calendar: str
    start: str
    tickers: tuple[str, ...]
    behind: Mapping[str, str]
    pieces: tuple[PieceInfo, ...]
    base: int
    recent: tuple[PieceInfo, ...]
    changes: Changes
    schema: int = SCHEMA

    @property
    def day(self) -> dt.date:
        """`as_of` as a date."""
        return dt.date.fromisoformat(self.as_of)


def uri_of(folder: str, as_of: dt.date | str) -> str:
    """Returns the URI of a manifest of the store at `folder`."""
    return join(folder, _FOLDER, f"{as_of}.json")


def store_of(uri: str) -> str:
    """Returns the URI of the store that has a manifest at `uri`."""
    return uri.rsplit("/", 2)[0]


def days(folder: str) -> list[dt.date]:
    """Returns the days of all versions of the store at `folder`, in order; other files are ignored."""
    prefix = join(folder, _FOLDER) + "/"
    found = []
    for item in storage.list_objects(prefix):
        name = item.uri.removeprefix(prefix)
        try:
            day = dt.date.fromisoformat(name.removesuffix(".json"))
        except ValueError:
            continue
        if name == f"{day.isoformat()}.json":
            found.append(day)
    return sorted(found)


def load(uri: str) -> Manifest:
    """Reads the manifest at `uri`.

    Raises:
        ObjectNotFoundError: There is none.
        CorruptObjectError: It is not a manifest.
    """
    found = documents.read(Manifest, uri)
    if found.schema != SCHEMA:
        raise CorruptObjectError(
            f"{uri} has the form {found.schema}, and this release reads {SCHEMA}", hint="update cloudlstm", uri=uri
        )
    return found


def save(folder: str, manifest: Manifest) -> Manifest:
    """Writes the manifest, and returns it; if another update was first, returns that update's manifest instead."""
    uri = uri_of(folder, manifest.as_of)
    try:
        storage.write_json(uri, asdict(manifest), if_absent=True)
    except ObjectExistsError:
        return load(uri)
    return manifest
