"""AWS as cloud.py starts it: SeaweedFS for S3, moto for everything else."""

from __future__ import annotations

from collections.abc import Mapping

from localstack.aws.target import make_target
from localstack.seaweedfs import seaweedfs as storage

__all__ = ["SERVER", "environment", "make_target", "storage", "url"]

SERVER = "localstack.aws.server"


def url(port: int) -> str:
    """The URL of the services but S3. All calls are signed, so it needs no secret."""
    return f"http://127.0.0.1:{port}"


def environment(stored: Mapping[str, str], url: str) -> dict[str, str]:
    """The variables by which SDKs find everything.

    Args:
        stored: Those that lead to S3.
        url: The other services.
    """
    services = dict(stored)
    services["AWS_ENDPOINT_URL_S3"] = services.pop("AWS_ENDPOINT_URL")
    return {"AWS_ENDPOINT_URL": url, **services}
