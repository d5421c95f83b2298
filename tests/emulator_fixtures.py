"""S3 and Cloud Storage on this machine for tests, by the servers of localstack/.

The fixtures set the servers' variables in os.environ, so that child processes find them, and return root URIs.
Where AWS_ENDPOINT_URL is already set, the S3 tests use that service and the bucket CLOUDLSTM_TEST_BUCKET instead.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from localstack.stores.fake_gcs import fake_gcs
from localstack.stores.seaweedfs import make_bucket as make_s3_bucket
from localstack.stores.seaweedfs import seaweedfs

from cloudlstm.storage import registry

S3_OUTSIDE = os.environ.get("AWS_ENDPOINT_URL")
"""The S3 service in the environment, if any."""

S3_BUCKET = os.environ.get("CLOUDLSTM_TEST_BUCKET", "cloudlstm-test")
GS_BUCKET = "cloudlstm-test"


@contextmanager
def environment_of(changes: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables during the block; storage drops its clients before and after it."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    registry._backend.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        registry._backend.cache_clear()


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 service, which is also set in the environment."""
    pytest.importorskip("boto3")
    if S3_OUTSIDE:
        make_s3_bucket(S3_BUCKET, os.environ)
        yield S3_OUTSIDE
        return
    folder = tmp_path_factory.mktemp("seaweedfs")
    with seaweedfs(folder, bucket=S3_BUCKET) as environment, environment_of(environment):
        yield environment["AWS_ENDPOINT_URL"]


@pytest.fixture(scope="session")
def gs_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Cloud Storage service, which is also set in the environment."""
    pytest.importorskip("google.cloud.storage")
    with fake_gcs(tmp_path_factory.mktemp("fake-gcs"), bucket=GS_BUCKET) as environment, environment_of(environment):
        yield environment["STORAGE_EMULATOR_HOST"]


@pytest.fixture
def s3_root(s3_endpoint: str) -> str:
    """An empty root URI in S3."""
    return f"s3://{S3_BUCKET}/{secrets.token_hex(6)}"


@pytest.fixture
def gs_root(gs_endpoint: str) -> str:
    """An empty root URI in Cloud Storage."""
    return f"gs://{GS_BUCKET}/{secrets.token_hex(6)}"
