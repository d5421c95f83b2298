"""Targets on emulated clouds: one for each cloud, for all tests of this folder."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from localstack.cloud import Cloud

from cloud_fixtures import PYTHON, SCHEDULE
from emulator_fixtures import environment_of
from infra.google_cloud.emulated import applied
from infra.terraform_runner import Terraform
from targets.aws_target import AWSTarget
from targets.fake_clouds import Target
from targets.gcp_target import GCPTarget


@pytest.fixture(scope="session")
def aws_place(request: pytest.FixtureRequest) -> str | None:
    """The Terraform directory that was applied; None without Terraform, or for another Python."""
    try:
        folder = request.getfixturevalue("applied").folder
    except pytest.skip.Exception:
        return None
    return str(folder) if f'"{PYTHON}"' in (folder / "terraform.tfvars").read_text() else None


@pytest.fixture(scope="session")
def aws_document(request: pytest.FixtureRequest, aws_cloud: Cloud, aws_place: str | None) -> dict[str, Any]:
    """The target document: from Terraform, or else made by the emulator."""
    if aws_place is None:
        return aws_cloud.make_target("emulated", schedule=SCHEDULE)
    outputs = json.loads(request.getfixturevalue("applied").run("output", "-json"))
    return {name: output["value"] for name, output in outputs.items()}


@pytest.fixture(scope="module")
def aws(
    aws_cloud: Cloud, aws_document: dict[str, Any], aws_place: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AWSTarget]:
    """The target on AWS; sets the environment of this process for its bucket."""
    with environment_of(aws_cloud.environment):
        yield AWSTarget(aws_cloud, aws_document, tmp_path_factory.mktemp("typed"), aws_place)


@pytest.fixture(scope="session")
def gcp_place(gcp_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> str | None:
    """The Terraform directory that was applied; None without Terraform, or for another Python or processor."""
    release = {"3.11": "2.3-debian12", "3.13": "3.0-debian13"}.get(PYTHON)
    if shutil.which("terraform") is None or release is None or platform.machine() not in ("x86_64", "AMD64"):
        return None
    settings = {"spark_python": PYTHON, "spark_release": release, "trainer_python": sys.executable}
    settings["schedule"] = SCHEDULE | {"max_hours": 1, "python": sys.executable}
    place = tmp_path_factory.mktemp("google")
    return str(applied(place, gcp_cloud.environment, settings))


@pytest.fixture(scope="session")
def gcp_document(gcp_cloud: Cloud, gcp_place: str | None) -> dict[str, Any]:
    """The target document: from Terraform, or else made by the emulator."""
    if gcp_place is None:
        return gcp_cloud.make_target("tested", schedule=SCHEDULE)
    outputs = json.loads(Terraform(Path(gcp_place), {}).run("output", "-json"))
    return {name: output["value"] for name, output in outputs.items()}


@pytest.fixture(scope="module")
def gcp(
    gcp_cloud: Cloud, gcp_document: dict[str, Any], gcp_place: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GCPTarget]:
    """The target on Google Cloud; sets the environment of this process for its bucket."""
    with environment_of(gcp_cloud.environment):
        yield GCPTarget(gcp_cloud, gcp_document, tmp_path_factory.mktemp("typed"), gcp_place)


@pytest.fixture(scope="module", params=["aws", "gcp"])  # another cloud is another fixture, named here
def target(request: pytest.FixtureRequest) -> Target:
    """A target on each cloud."""
    found: Target = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def faults(target: Target) -> Iterator[Any]:
    yield target.cloud.control
    target.cloud.control.clear()
