"""Takes a finished step from another run instead of computing it again.

A step with an equal fingerprint has equal results, in any run. Its objects are copied, so that neither run needs the
other one later: each can be deleted, and they may be in different stores.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, StorageError
from cloudlstm.runs import manifest
from cloudlstm.runs.manifest import Manifest, ManifestRow, read_object
from cloudlstm.runs.paths import RunPaths

_LOG = logging.getLogger(__name__)

_AT_ONCE = 16
"""Objects that are copied at the same time."""


def take(source: RunPaths, target: RunPaths, step: str, fingerprint: str) -> Manifest | None:
    """Copies the objects of a step of the run `source`; returns the manifest for the run `target`, not yet saved.

    Each object is verified. If one is damaged or missing, or the run cannot be read, the step is not taken.

    Returns:
        The manifest; None if `source` has not finished the step for these inputs.
    """
    prefix, began = source.step_data(step), time.time()

    def copied(row: ManifestRow) -> ManifestRow:
        if not row.uri.startswith(prefix):
            raise CorruptObjectError(f"{source.manifest(step)} names {row.uri}", uri=row.uri)
        uri = target.step_data(step) + row.uri.removeprefix(prefix)
        storage.write(uri, read_object(row))
        return replace(row, uri=uri)

    try:
        if source.uri == target.uri:
            return None
        found = manifest.finished(source, step, fingerprint)
        if found is None:
            _LOG.info("%s is computed: %s has not finished it for these inputs", step, source.uri)
            return None
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            rows = tuple(pool.map(copied, found.objects))
    except StorageError as error:
        _LOG.warning("%s is not taken from %s: %s", step, source.uri, error)
        return None
    facts = {**found.facts, "reused": source.uri}
    return replace(found, objects=rows, facts=facts, seconds=time.time() - began, began=began)
