"""The emulated clouds for all tests that need one, and the AWS Terraform root, applied once to the emulator."""

from __future__ import annotations

import json
import platform
import secrets
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from localstack.cloud import Cloud, Options

from infra.terraform_runner import Applying, Terraform, copied, initialized, require_terraform
from listening_sockets import Listener, Watch, listeners, working_in
from ordering import group_of, needs_target

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

SCHEDULE = {"time": "30 18 * * 1-5", "time_zone": "America/New_York", "models": ["nobody"]}
"""The schedule of targets: half past six in New York on weekdays, for a model that does not exist."""

# All optional parts are on. Machines get loopback addresses in a random network, because two clouds may run at once.
SETTINGS = f"""
budget        = {{ monthly_usd = 100, emails = ["team@example.org"], only_tagged = true }}
name          = "tested"
network_cidr  = "127.{128 + secrets.randbelow(126)}.{secrets.randbelow(256)}.0/24"
read_buckets  = ["prices"]
schedule      = {json.dumps(SCHEDULE | {"max_hours": 1, "python": sys.executable})}
spark_machine = "{"m6g" if platform.machine() in ("aarch64", "arm64") else "m6i"}.xlarge"
spark_python  = "{PYTHON if PYTHON in ("3.11", "3.13") else "3.11"}"
spark_spot_max_usd = 0.192
trainer_gpu   = "none"
trainer_python = "{sys.executable}"
trainer_spot  = true
"""

STORAGE_SETTINGS = 'force_destroy = true\nname = "tested"\n'

# The emulator answers 500 for missing calls; by default the provider retries them for minutes.
OVERRIDE = 'provider "aws" {\n  max_retries = 2\n}\n'


@pytest.fixture(scope="session")
def aws_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aws") / "cloud"


@pytest.fixture(scope="session")
def gcp_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gcp") / "cloud"


@pytest.fixture(scope="session")
def aws_watch(aws_folder: Path) -> Watch[Listener]:
    """Collects the listening sockets of the emulated AWS while it runs."""
    return Watch(lambda: listeners(working_in(aws_folder)))


@pytest.fixture(scope="session")
def gcp_watch(gcp_folder: Path) -> Watch[Listener]:
    """Collects the listening sockets of the emulated Google Cloud while it runs."""
    return Watch(lambda: listeners(working_in(gcp_folder)))


@pytest.fixture(scope="session")
def aws_cloud(aws_watch: Watch[Listener], aws_folder: Path) -> Iterator[Cloud]:
    """An emulated AWS for the whole session."""
    options = Options(node_environment={"EVERYWHERE": "yes"})
    with aws_watch.watching(), Cloud(aws_folder, options) as running:
        yield running
        assert running.control.state()["problems"] == []


@pytest.fixture(scope="session")
def gcp_cloud(gcp_watch: Watch[Listener], gcp_folder: Path) -> Iterator[Cloud]:
    """An emulated Google Cloud for the whole session."""
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
    environment = cloud.setup_environment  # there a bucket accepts every setting
    for root, settings in ((folder, SETTINGS), (folder / "storage", STORAGE_SETTINGS)):
        (root / "terraform.tfvars").write_text(settings)
        (root / "provider_override.tf").write_text(OVERRIDE)
    return initialized(folder, environment | {"AWS_REGION": environment["AWS_DEFAULT_REGION"]})


@pytest.fixture(scope="session")
def bucket_root(terraform: Terraform) -> Terraform:
    """Terraform in the root of the bucket, which lies in a folder of the AWS root."""
    return initialized(terraform.folder / "storage", terraform.environment)


@pytest.fixture(scope="session")
def applying(terraform: Terraform, bucket_root: Terraform) -> Iterator[Applying]:
    """A running apply of both roots. The provider always waits 55 s after it sets a bucket's rules."""
    running = Applying(bucket_root, terraform)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def applied(terraform: Terraform, applying: Applying) -> Terraform:
    """Terraform in the applied root; skips the test if there is no Terraform."""
    applying.succeeded()
    return terraform


@pytest.fixture(autouse=True)
def _apply_early(request: pytest.FixtureRequest) -> None:
    """Starts the apply before tests that do not need it, if later tests do: the first ones run while it waits."""
    items = request.session.items
    if group_of(request.node) == "aws" and any(group_of(item) == "aws" and needs_target(item) for item in items):
        # pytest keeps an error of the fixture and raises it in the tests that need it.
        with suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
            request.getfixturevalue("applying")
