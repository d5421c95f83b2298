"""The examples for Google Cloud: the settings and the network on the fake cloud, the others planned with a mock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.stand_in_provider import GoogleCloud
from infra.terraform_runner import REPOSITORY, Terraform, copied, initialized

PROJECT = "-var=project=my-project"

TESTS = {
    "gcp/remote-state": """
      strcontains(output.backend, "prefix = \\"cloudlstm/main\\"")
      && strcontains(output.backend_storage, "prefix = \\"cloudlstm/storage\\"")
      && strcontains(output.backend, "bucket = \\"cloudlstm-my-project-state\\"")
      && google_storage_bucket.state.versioning[0].enabled
      && google_storage_bucket.state.public_access_prevention == "enforced"
    """,
    "ci/oidc-gcp": """
      google_iam_workload_identity_pool_provider.github.attribute_condition
      == join("", [
        "assertion.sub in [\\"repo:owner@12/name@34:environment:cloud\\",",
        "\\"repo:owner@12/name@34:pull_request\\",\\"repo:owner@12/name@34:environment:daily\\"]",
      ])
      && output.submitter == "principal://iam.googleapis.com/POOL/subject/repo:owner@12/name@34:environment:daily"
      && { for who, grant in google_service_account_iam_member.ci : who => grant.member } == {
        plan  = "principal://iam.googleapis.com/POOL/subject/repo:owner@12/name@34:pull_request"
        apply = "principal://iam.googleapis.com/POOL/subject/repo:owner@12/name@34:environment:cloud"
      }
      && toset([for grant in google_project_iam_member.ci : grant.role if grant.member == "serviceAccount:plan@mock"])
      == toset(["roles/viewer", "roles/iam.securityReviewer"])
    """,
}

TEST = """
mock_provider "google" {
  override_during = plan

  mock_resource "google_iam_workload_identity_pool" {
    defaults = { name = "POOL" }
  }
}
variables {
  project = "my-project"
}
run "planned" {
  command = plan
  MORE
  assert {
    condition     = (CLAIM)
    error_message = "The example is not what it says."
  }
}
"""

MORE = """
  variables {
    repository = "owner@12/name@34"
  }
  override_resource {
    target          = google_service_account.ci["plan"]
    values          = { email = "plan@mock", name = "plan" }
    override_during = plan
  }
  override_resource {
    target          = google_service_account.ci["apply"]
    values          = { email = "apply@mock", name = "apply" }
    override_during = plan
  }
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[GoogleCloud]:
    with GoogleCloud() as running:
        yield running


@pytest.fixture(scope="module")
def folder(cloud: GoogleCloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples and both roots; the bucket of runs is made."""
    root = copied(tmp_path_factory.mktemp("examples"), "gcp")
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
    shutil.copytree(REPOSITORY / "examples", root.parents[2] / "examples", ignore=ignored)
    initialized(root / "storage", cloud.environment).run("apply", "-auto-approve", PROJECT)
    return root.parents[2]


@pytest.fixture(scope="module")
def root(cloud: GoogleCloud, folder: Path) -> Terraform:
    return initialized(folder / "infra" / "terraform" / "gcp", cloud.environment)


def applied(root: Terraform, settings: Path) -> dict[str, object]:
    """What the fake cloud holds after an apply with these settings: the root's outputs."""
    (root.folder / "terraform.tfvars").write_text(settings.read_text())
    root.run("apply", "-auto-approve")
    return {name: each["value"] for name, each in json.loads(root.run("output", "-json")).items()}


def test_the_cheapest_and_that_with_gpus(cloud: GoogleCloud, folder: Path, root: Terraform) -> None:
    cheapest = applied(root, folder / "examples" / "gcp" / "cheapest.tfvars")
    assert (cheapest["egress"], cheapest["trainer_gpu"], cheapest["trainer_spot"]) == ("none", "none", True)
    gpus = applied(root, folder / "examples" / "gcp" / "gpu-spot.tfvars")
    assert (gpus["egress"], gpus["trainer_gpu"], gpus["trainer_spot"], gpus["spark_spot"]) == ("none", "t4", True, True)
    assert len(gpus["trainer_zones"]) == 3  # type: ignore[arg-type]


def test_a_network_that_exists(cloud: GoogleCloud, folder: Path, root: Terraform) -> None:
    network = initialized(folder / "examples" / "gcp" / "own-network", cloud.environment)
    network.run("apply", "-auto-approve", PROJECT)
    given = network.run("output", "-json", "network")
    (root.folder / "network.auto.tfvars").write_text(f"network = {given}")
    outputs = applied(root, folder / "examples" / "gcp" / "own-network.tfvars")
    assert outputs["egress"] == "none"
    state = json.loads(root.run("show", "-json"))["values"]["root_module"]["resources"]
    assert not [each for each in state if each["type"] == "google_compute_network"]
    (template,) = (each["values"] for each in state if each["type"] == "google_compute_instance_template")
    assert template["network_interface"][0]["subnetwork"].endswith(json.loads(given)["subnetwork"])


@pytest.mark.parametrize("name", TESTS)
def test_the_others_are_planned(cloud: GoogleCloud, folder: Path, name: str) -> None:
    place = folder / "examples" / name
    more = MORE if place.name == "oidc-gcp" else ""
    (place / "tests").mkdir()
    (place / "tests" / "example.tftest.hcl").write_text(TEST.replace("MORE", more).replace("CLAIM", TESTS[name]))
    assert "1 passed, 0 failed" in initialized(place, cloud.environment).run("test")
