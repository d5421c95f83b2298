"""The emulated clouds for the tests of this folder, and clients without retries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from localstack.cloud import Cloud

from on_emulators import until
from trainer_groups import AwsTrainers, GcpTrainers, Trainers

Client = Callable[[str], Any]


@pytest.fixture(scope="session")
def cloud(aws_cloud: Cloud) -> Cloud:
    return aws_cloud


@pytest.fixture(autouse=True)
def _clear_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"cloud", "gcp"}.intersection(request.fixturenames):
        request.getfixturevalue(name).control.clear()


@pytest.fixture(scope="session")
def client(cloud: Cloud) -> Client:
    """A function that returns a boto3 client by the name of its service."""
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
    """A target on the emulated AWS."""
    return cloud.make_target("boxed")


@pytest.fixture(scope="session")
def gcp(gcp_cloud: Cloud) -> Cloud:
    """The emulated Google Cloud."""
    return gcp_cloud


@pytest.fixture(scope="session")
def gcp_target(gcp: Cloud) -> dict[str, Any]:
    """A target on the emulated Google Cloud."""
    return gcp.make_target("boxed")


@pytest.fixture
def box(request: pytest.FixtureRequest) -> Cloud:
    """The cloud of the test: AWS, unless the test is parametrized."""
    running: Cloud = request.getfixturevalue({"aws": "cloud", "gcp": "gcp"}[getattr(request, "param", "aws")])
    return running


@pytest.fixture
def trainers(box: Cloud, request: pytest.FixtureRequest) -> Iterator[Trainers]:
    """A trainer group without an assignment; emptied after the test."""
    group: Trainers
    if box.options.cloud == "aws":
        group = AwsTrainers(request.getfixturevalue("client"), request.getfixturevalue("target"))
    else:
        group = GcpTrainers(box.environment["STORAGE_EMULATOR_HOST"], request.getfixturevalue("gcp_target"))
    yield group
    box.control.clear()
    group.scale(0)
    until(lambda: not (box.control.state()["machines"] or group.instances), "all machines to go")
    for prefix in ("alive/", "warned/", f"trainers/{group.name}/"):
        for key in group.bucket.keys(prefix):
            group.bucket.delete(key)
