"""One emulated cloud of each kind for all tests of this folder, and clients that see each answer as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from localstack.cloud import Cloud

Client = Callable[[str], Any]


@pytest.fixture(scope="session")
def cloud(aws_cloud: Cloud) -> Cloud:
    return aws_cloud


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_by_an_earlier_test(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"cloud", "gcp"}.intersection(request.fixturenames):
        request.getfixturevalue(name).control.clear()


@pytest.fixture(scope="session")
def client(cloud: Cloud) -> Client:
    """A boto3 client by the name of its service."""
    import boto3
    from botocore.config import Config

    environment = cloud.environment
    session = boto3.session.Session(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )

    def made(service: str) -> Any:
        url = environment["AWS_ENDPOINT_URL_S3" if service == "s3" else "AWS_ENDPOINT_URL"]
        return session.client(service, endpoint_url=url, config=Config(retries={"total_max_attempts": 1}))

    return made


@pytest.fixture(scope="session")
def target(cloud: Cloud) -> dict[str, Any]:
    """A target on the cloud."""
    return cloud.make_target("boxed")


@pytest.fixture(scope="session")
def gcp(gcp_cloud: Cloud) -> Cloud:
    """The emulated Google Cloud."""
    return gcp_cloud


@pytest.fixture(scope="session")
def gcp_target(gcp: Cloud) -> dict[str, Any]:
    """A target on it."""
    return gcp.make_target("boxed")
