"""Google Cloud as cloud.py starts it: fake-gcs-server for storage, our own server for everything else."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from localstack.fake_gcs import fake_gcs as storage
from localstack.gcp.target import PROJECT, URL, make_target

__all__ = ["SERVER", "environment", "make_target", "storage", "url"]

SERVER = "localstack.gcp.server"


def url(port: int) -> str:
    """The URL of the services but storage. SDKs send no credentials there, so it has a secret, which they keep."""
    return f"http://127.0.0.1:{port}/{secrets.token_hex(16)}"


def environment(stored: Mapping[str, str], url: str) -> dict[str, str]:
    """The variables by which storage is found, and those for this package: no SDK reads where Dataproc is from one.

    Args:
        stored: Those that lead to storage.
        url: The other services.
    """
    return {**stored, "GOOGLE_CLOUD_PROJECT": PROJECT, URL: url}
