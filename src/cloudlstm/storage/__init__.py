"""Reads and writes objects by URI, the same way on a disk, in S3, in GCS and in memory.

    from cloudlstm import storage
    storage.write("s3://bucket/key", b"...", if_absent=True)
    for found in storage.list_objects("gs://bucket/prefix/"):
        print(found.uri, found.size_bytes)

Objects are bytes; file formats belong to other rooms. Writes are atomic: a reader sees the old object or the new one.
Every SDK error becomes a StorageError that names the URI.
"""

from __future__ import annotations

from cloudlstm.storage.base import ObjectInfo, Progress, Storage
from cloudlstm.storage.registry import SCHEMES, absolute, scheme_of, storage_for
from cloudlstm.storage.verbs import (
    delete,
    download,
    exists,
    list_objects,
    read,
    read_json,
    read_range,
    read_small,
    remove_folders,
    stat,
    sweep,
    upload,
    write,
    write_json,
)

__all__ = [
    "SCHEMES",
    "ObjectInfo",
    "Progress",
    "Storage",
    "absolute",
    "delete",
    "download",
    "exists",
    "list_objects",
    "read",
    "read_json",
    "read_range",
    "read_small",
    "remove_folders",
    "scheme_of",
    "stat",
    "storage_for",
    "sweep",
    "upload",
    "write",
    "write_json",
]
