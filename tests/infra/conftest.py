"""The whole AWS root on an emulated AWS, applied once for all tests, in the background while others run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from infra.terraforming import Running, Terraform, copied, initialized, require_terraform, without

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
        environment: By which SDKs and Terraform find it.
    """

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
    """moto's server, for as long as the tests run."""
    require_terraform()
    if find_spec("moto") is None:
        without("terraform", "there is no moto to stand in for AWS")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    log = tmp_path_factory.mktemp("moto") / "log.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("moto_server.py"), "-H", "127.0.0.1", "-p", port],
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            stdin=subprocess.PIPE,  # closes when this process dies, however it dies
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        give_up = time.monotonic() + 120
        while not _answers(url):
            if server.poll() is not None or time.monotonic() > give_up:
                pytest.fail(f"moto did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.1)
        yield AWS(
            {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "tested",
                "AWS_SECRET_ACCESS_KEY": "tested",
                "AWS_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        )
    finally:
        server.kill()
        server.communicate()


def _answers(url: str) -> bool:
    with suppress(OSError):
        urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=30).close()
        return True
    return False


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
