"""Targets on emulated clouds: one for each cloud, for all tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from localstack.cloud import Cloud

from cloud_fixtures import PYTHON
from emulator_fixtures import environment_of
from targets.aws_target import AWSTarget
from targets.fake_clouds import Target
from targets.gcp_target import GCPTarget


@pytest.fixture(scope="session")
def aws_place(request: pytest.FixtureRequest) -> str | None:
    """The directory in which our root has been applied; None where there is no Terraform, or none for this Python."""
    try:
        folder = request.getfixturevalue("applied").folder
    except pytest.skip.Exception:
        return None
    return str(folder) if f'"{PYTHON}"' in (folder / "terraform.tfvars").read_text() else None


@pytest.fixture(scope="session")
def aws_document(request: pytest.FixtureRequest, aws_cloud: Cloud, aws_place: str | None) -> dict[str, Any]:
    """The document of the target: what Terraform has made of our root, or else one that the emulator makes."""
    if aws_place is None:
        return aws_cloud.make_target("emulated")
    outputs = json.loads(request.getfixturevalue("applied").run("output", "-json"))
    return {name: output["value"] for name, output in outputs.items()}


@pytest.fixture(scope="module")
def aws(
    aws_cloud: Cloud, aws_document: dict[str, Any], aws_place: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AWSTarget]:
    """The target on AWS, and this process set up to look into its bucket: other tests have other servers."""
    with environment_of(aws_cloud.environment):
        yield AWSTarget(aws_cloud, aws_document, tmp_path_factory.mktemp("typed"), aws_place)


@pytest.fixture(scope="session")
def gcp_document(gcp_cloud: Cloud) -> dict[str, Any]:
    """The document of the target, which the emulator has made, as no plugin of the provider is at hand."""
    return gcp_cloud.make_target("tested")


@pytest.fixture(scope="module")
def gcp(
    gcp_cloud: Cloud, gcp_document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GCPTarget]:
    """The target on Google Cloud, likewise."""
    with environment_of(gcp_cloud.environment):
        yield GCPTarget(gcp_cloud, gcp_document, tmp_path_factory.mktemp("typed"))


@pytest.fixture(scope="module", params=["aws", "gcp"])  # another cloud is another fixture, named here
def target(request: pytest.FixtureRequest) -> Target:
    """A target on each cloud."""
    found: Target = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def faults(target: Target) -> Iterator[Any]:
    yield target.cloud.control
    target.cloud.control.clear()
