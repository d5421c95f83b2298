"""The whole AWS root on an emulated AWS, applied once for all tests, in the background while others run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from localstack.cloud import Cloud

from infra.terraforming import Running, Terraform, copied, initialized, require_terraform

SETTINGS = """
budget        = { monthly_usd = 100, emails = ["team@example.org"], only_tagged = true }
force_destroy = true
name          = "tested"
network_cidr  = "127.0.0.0/24"
read_buckets  = ["prices"]
spark_spot_max_usd = 0.192
trainer_spot  = true
"""
"""Everything optional turned on; machines get loopback addresses."""

# The emulator answers 500 for what it lacks, and by default the provider retries that for minutes.
OVERRIDE = 'provider "aws" {\n  max_retries = 2\n}\n'


@dataclass
class AWS:
    """An emulated AWS.

    Attributes:
        cloud: The emulator.
        environment: By which Terraform finds it: tools that set buckets up ask moto, which takes every setting.
    """

    cloud: Cloud
    environment: dict[str, str]

    def client(self, service: str) -> Any:
        """A boto3 client."""
        import boto3

        return boto3.session.Session(
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_REGION"],
        ).client(service, endpoint_url=self.environment["AWS_ENDPOINT_URL"])


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AWS]:
    """An emulated AWS, for as long as the tests run."""
    require_terraform()
    with Cloud(tmp_path_factory.mktemp("emulated") / "cloud") as cloud:
        environment = cloud.setup_environment
        yield AWS(cloud, environment | {"AWS_REGION": environment["AWS_DEFAULT_REGION"]})


@pytest.fixture(scope="session")
def terraform(aws: AWS, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform in a copy of the AWS root, with nothing applied."""
    folder = copied(tmp_path_factory.mktemp("aws"))
    (folder / "terraform.tfvars").write_text(SETTINGS)
    (folder / "provider_override.tf").write_text(OVERRIDE)
    return initialized(folder, aws.environment)


@pytest.fixture(scope="session")
def applying(terraform: Terraform) -> Iterator[Running]:
    """An apply at work. The provider alone waits 55 s for a bucket's rules to settle, whatever the bucket answers."""
    running = terraform.start("apply", "-auto-approve")
    yield running
    running.kill()


@pytest.fixture(scope="session")
def applied(terraform: Terraform, applying: Running) -> Terraform:
    """Terraform in a root that has been applied."""
    applying.succeeded()
    return terraform


@pytest.fixture(scope="session", autouse=True)
def _apply_early(request: pytest.FixtureRequest) -> None:
    """Begins at once, so that the tests which need no cloud run during the waits."""
    if any("applied" in getattr(item, "fixturenames", ()) for item in request.session.items):
        # What goes wrong is kept, and told to the tests that need it.
        with suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
            request.getfixturevalue("applying")
