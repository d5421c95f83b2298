"""Clients of the AWS account in which the root was applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from localstack.cloud import Cloud

Client = Callable[[str], Any]


@pytest.fixture(scope="session")
def client(aws_cloud: Cloud) -> Client:
    """A boto3 client by the name of its service, with the rights of Terraform."""
    return lambda service: client_of(aws_cloud.setup_environment, service)


def client_of(environment: Mapping[str, str], service: str) -> Any:
    import boto3

    return boto3.session.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    ).client(service, endpoint_url=environment["AWS_ENDPOINT_URL"])
