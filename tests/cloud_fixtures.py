"""An emulated AWS for all tests that need one, and our Terraform root, really applied to it, once."""

from __future__ import annotations

import platform
import secrets
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from localstack.cloud import Cloud, Options

from infra.terraform_runner import Running, Terraform, copied, initialized, require_terraform
from listening_sockets import Listener, Watch, listeners, working_in
from ordering import group_of, needs_target

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# Everything optional is turned on. Machines get loopback addresses, and others than those of a cloud beside this one.
SETTINGS = f"""
budget        = {{ monthly_usd = 100, emails = ["team@example.org"], only_tagged = true }}
force_destroy = true
name          = "tested"
network_cidr  = "127.{128 + secrets.randbelow(126)}.{secrets.randbelow(256)}.0/24"
read_buckets  = ["prices"]
spark_machine = "{"m6g" if platform.machine() in ("aarch64", "arm64") else "m6i"}.xlarge"
spark_python  = "{PYTHON if PYTHON in ("3.11", "3.13") else "3.11"}"
spark_spot_max_usd = 0.192
trainer_gpu   = "none"
trainer_spot  = true
"""

# The emulator answers 500 for what it lacks, and by default the provider retries that for minutes.
OVERRIDE = 'provider "aws" {\n  max_retries = 2\n}\n'


@pytest.fixture(scope="session")
def aws_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aws") / "cloud"


@pytest.fixture(scope="session")
def gcp_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gcp") / "cloud"


@pytest.fixture(scope="session")
def aws_watch(aws_folder: Path) -> Watch[Listener]:
    """The sockets that the emulated AWS listens at, looked at for as long as it runs."""
    return Watch(lambda: listeners(working_in(aws_folder)))


@pytest.fixture(scope="session")
def gcp_watch(gcp_folder: Path) -> Watch[Listener]:
    """Likewise."""
    return Watch(lambda: listeners(working_in(gcp_folder)))


@pytest.fixture(scope="session")
def aws_cloud(aws_watch: Watch[Listener], aws_folder: Path) -> Iterator[Cloud]:
    """An emulated AWS, for as long as the tests run."""
    options = Options(node_environment={"EVERYWHERE": "yes"})
    with aws_watch.watching(), Cloud(aws_folder, options) as running:
        yield running
        assert running.control.state()["problems"] == []


@pytest.fixture(scope="session")
def gcp_cloud(gcp_watch: Watch[Listener], gcp_folder: Path) -> Iterator[Cloud]:
    """An emulated Google Cloud, likewise."""
    options = Options(cloud="gcp", node_environment={"EVERYWHERE": "yes"})
    with gcp_watch.watching(), Cloud(gcp_folder, options) as running:
        yield running
        assert running.control.state()["problems"] == []


@pytest.fixture(scope="session")
def terraform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform in a copy of the AWS root, with nothing applied."""
    require_terraform()
    cloud: Cloud = request.getfixturevalue("aws_cloud")
    folder = copied(tmp_path_factory.mktemp("root"))
    (folder / "terraform.tfvars").write_text(SETTINGS)
    (folder / "provider_override.tf").write_text(OVERRIDE)
    environment = cloud.setup_environment  # there a bucket takes every setting
    return initialized(folder, environment | {"AWS_REGION": environment["AWS_DEFAULT_REGION"]})


@pytest.fixture(scope="session")
def applying(terraform: Terraform) -> Iterator[Running]:
    """An apply at work. The provider alone waits 55 s for a bucket's rules to settle, whatever the bucket answers."""
    running = terraform.start("apply", "-auto-approve")
    yield running
    running.kill()


@pytest.fixture(scope="session")
def applied(terraform: Terraform, applying: Running) -> Terraform:
    """Terraform in a root that has been applied; skips where there is no Terraform."""
    applying.succeeded()
    return terraform


@pytest.fixture(autouse=True)
def _apply_early(request: pytest.FixtureRequest) -> None:
    """Begins before tests that need nothing of it, where others are to come: those run during the waits."""
    items = request.session.items
    if group_of(request.node) == "aws" and any(group_of(item) == "aws" and needs_target(item) for item in items):
        # What goes wrong is kept, and told to the tests that need it.
        with suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
            request.getfixturevalue("applying")
