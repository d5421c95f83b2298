"""Which backend serves which scheme. A backend, and with it its SDK, is imported when first used."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import cast

from cloudlstm.errors import MissingExtraError, UsageError
from cloudlstm.storage.base import Storage

SCHEMES = {
    "file": ("cloudlstm.storage.file", "FileStorage", ""),
    "memory": ("cloudlstm.storage.memory", "MemoryStorage", ""),
    "s3": ("cloudlstm.storage.s3", "S3Storage", "pip install 'cloudlstm[aws]'"),
    "gs": ("cloudlstm.storage.gs", "GSStorage", "pip install 'cloudlstm[gcp]'"),
}
"""scheme -> module, class, and what to type when its package is missing."""

_URI = re.compile(r"^([a-z][a-z0-9+.-]+)://")


def scheme_of(uri: str) -> str:
    """The scheme of a URI; a UsageError names the known ones if it is none of them."""
    found = _URI.match(uri)
    if not found or found[1] not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UsageError(f"{uri!r} is not a storage URI", hint=f"use one of {known}")
    return found[1]


def absolute(path_or_uri: str) -> str:
    """A URI for what a user typed: a URI stays, a local path is made absolute behind file://."""
    if _URI.match(path_or_uri):
        scheme_of(path_or_uri)
        return path_or_uri
    if path_or_uri.split(":/", 1)[0] in SCHEMES:
        raise UsageError(f"{path_or_uri!r} looks like a storage URI with a slash missing", hint="s3://bucket/key")
    return "file://" + str(Path(path_or_uri).expanduser().absolute())


@cache
def _backend(scheme: str) -> Storage:
    module, name, install = SCHEMES[scheme]
    try:
        backend = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise MissingExtraError(f"{scheme}:// needs a package that is missing ({error.name})", hint=install) from None
    return cast(Storage, backend())


def storage_for(uri: str) -> Storage:
    """The backend that serves `uri`."""
    return _backend(scheme_of(uri))
