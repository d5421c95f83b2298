"""Finds the backend for a URI by its scheme. A backend and its SDK are imported on first use."""

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
"""Scheme -> module, class, and the command that installs its package."""

_URI = re.compile(r"^([a-z][a-z0-9+.-]+)://")


def scheme_of(uri: str) -> str:
    """Returns the scheme of a URI; raises UsageError if it is unknown."""
    found = _URI.match(uri)
    if not found or found[1] not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UsageError(f"{uri!r} is not a storage URI", hint=f"use one of {known}")
    return found[1]


def absolute(path_or_uri: str) -> str:
    """Turns a local path into an absolute file:// URI; returns a URI unchanged."""
    if _URI.match(path_or_uri):
        scheme_of(path_or_uri)
        return path_or_uri
    if path_or_uri.split(":/", 1)[0] in SCHEMES:
        raise UsageError(f"{path_or_uri!r} is a storage URI with a missing slash", hint="s3://bucket/key")
    return "file://" + str(Path(path_or_uri).expanduser().absolute())


@cache
def _backend(scheme: str) -> Storage:
    module, name, install = SCHEMES[scheme]
    try:
        backend = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise MissingExtraError(f"{scheme}:// needs a missing package ({error.name})", hint=install) from None
    return cast(Storage, backend())


def storage_for(uri: str) -> Storage:
    """Returns the backend for `uri`."""
    return _backend(scheme_of(uri))
