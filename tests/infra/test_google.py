"""The Google Cloud root with a replaced provider: it is valid, its plan, and its outputs, which equal those of AWS."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudlstm.targets.document import TargetConfig, parse
from infra import stand_in_provider
from infra.provider_schema import ROOT
from infra.terraform_runner import REPOSITORY, Terraform, copied, initialized, require_terraform


@dataclass
class Plan:
    """The plan of Terraform with the defaults.

    Attributes:
        outputs: The values of all outputs.
        resources: The planned arguments by address.
    """

    outputs: dict[str, Any]
    resources: dict[str, dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [planned for address, planned in self.resources.items() if address.startswith(f"{kind}.")]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The environment by which Terraform finds the replaced provider."""
    require_terraform()
    with stand_in_provider.GoogleCloud() as cloud:
        yield cloud.environment


@pytest.fixture(scope="module")
def terraform(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform in a copy of the root."""
    return initialized(copied(tmp_path_factory.mktemp("google"), "gcp"), environment)


@pytest.fixture(scope="module")
def storage(terraform: Terraform, environment: dict[str, str]) -> Terraform:
    """Terraform in the root of the bucket."""
    return initialized(terraform.folder / "storage", environment)


@pytest.fixture(scope="module")
def plan(terraform: Terraform) -> Plan:
    """All of the root's own tests pass; the plan of the settings by default."""
    return defaults_of(terraform, "tests/plan.tftest.hcl", 30)


@pytest.fixture(scope="module")
def plan_of_storage(storage: Terraform) -> Plan:
    """The same of the root of the bucket."""
    return defaults_of(storage, "tests/plan.tftest.hcl", 4)


def defaults_of(terraform: Terraform, file: str, tests: int) -> Plan:
    """The plan of the run "defaults" in `file`, after at least so many tests have passed."""
    printed = terraform.run("test", "-json", "-verbose")
    output = [json.loads(line) for line in printed.splitlines()]
    summary = next(each["test_summary"] for each in output if each["type"] == "test_summary")
    assert (summary["status"], summary["failed"], summary["errored"]) == ("pass", 0, 0)
    assert summary["passed"] >= tests
    of_defaults = (each for each in output if (each.get("@testfile"), each.get("@testrun")) == (file, "defaults"))
    planned = next(each["test_plan"] for each in of_defaults if "test_plan" in each)
    return Plan(
        {name: change["after"] for name, change in planned["output_changes"].items()},
        {change["address"]: change["change"]["after"] for change in planned["resource_changes"]},
    )


def test_both_roots_are_valid(terraform: Terraform, storage: Terraform) -> None:
    assert "The configuration is valid" in terraform.run("validate")
    assert "The configuration is valid" in storage.run("validate")


@pytest.mark.parametrize(
    ("file", "right", "wrong", "message"),
    [
        ("network.tf", '"google_compute_router" "out"', '"google_compute_route_r" "out"', "Invalid resource type"),
        ("network.tf", "routing_mode ", "routing_mod ", 'argument named "routing_mod" is not expected'),
        ("spark.tf", "      script  ", "      # ", 'argument "script" is required'),
        ("storage/storage.tf", "  versioning {", "  versioning = {", 'argument named "versioning" is not expected'),
        ("storage/storage.tf", "  versioning {", "  versioning {\n }\n  versioning {", "Too many versioning"),
        ("network.tf", "private[0].id", "private[0].idd", 'attribute named "idd"'),
        ("trainers.tf", "target_size        = 0", 'target_size        = "none"', "a number is required"),
    ],
)  # fmt: skip
def test_mistakes_are_found(
    terraform: Terraform, storage: Terraform, file: str, right: str, wrong: str, message: str
) -> None:
    path = terraform.folder / file
    text = path.read_text()
    assert right in text
    try:
        path.write_text(text.replace(right, wrong, 1))
        failure = (storage if path.parent == storage.folder else terraform).start("validate").failure()
    finally:
        path.write_text(text)
    assert message in " ".join(failure.split())


def test_its_tests_pass_with_the_real_provider(tmp_path: Path) -> None:
    if not (Path(os.environ.get("TF_PLUGIN_DIR", "")) / stand_in_provider.ADDRESS).is_dir():
        pytest.skip("there is no Google provider in TF_PLUGIN_DIR: the stand-in has to do")
    assert "0 failed" in initialized(copied(tmp_path, "gcp"), {}).run("test")


def test_outputs_are_the_target_document(plan: Plan) -> None:
    assert plan.outputs.keys() == TargetConfig.model_fields.keys() | {"submitter", "target_uri"}
    target = parse(plan.outputs, "the outputs")
    (document,) = (each for each in plan.of("google_storage_bucket_object") if each["name"] == "target.json")
    assert parse(json.loads(document["content"]), "the object") == target
    assert target.bucket_uri == "gs://cloudlstm-my-project"
    assert plan.outputs["target_uri"] == f"gs://{document['bucket']}/target.json"
    assert (target.cloud, target.account, target.region) == ("gcp", "my-project", "us-central1")
    assert target.spark_python_path.endswith(f"python{target.spark_python}")
    assert target.log_uri.startswith("gs://cloudlstm-my-project-staging/")


def test_variables_and_outputs_are_those_of_aws() -> None:
    def names(word: str, cloud: str) -> set[str]:
        text = (ROOT.parent / cloud / f"{word}s.tf").read_text()
        return set(re.findall(rf'^{word} "(\w+)"', text, re.MULTILINE))

    assert names("output", "gcp") == names("output", "aws")
    # On AWS credentials name the account, spot machines are bid for, labels are tags, and permissions have boundaries.
    assert names("variable", "gcp") - names("variable", "aws") == {
        "labels", "project", "spark_disk_gib", "spark_project_role", "spark_spot",
    }  # fmt: skip
    assert names("variable", "aws") - names("variable", "gcp") == {"permissions_boundary", "spark_spot_max_usd", "tags"}
    assert names("variable", "gcp/storage") - names("variable", "aws/storage") == {"labels", "project"}
    assert names("variable", "aws/storage") - names("variable", "gcp/storage") == {"tags"}
    assert names("output", "gcp/storage") == names("output", "aws/storage")


def test_no_object_of_terraform_lies_in_a_bucket_with_versions(plan: Plan, plan_of_storage: Plan) -> None:
    buckets = plan.of("google_storage_bucket") + plan_of_storage.of("google_storage_bucket")
    versioned = {each["name"] for each in buckets if any(part["enabled"] for part in each["versioning"])}
    assert versioned == {"cloudlstm-my-project"}
    objects = plan.of("google_storage_bucket_object")
    assert len(objects) == 2
    assert not versioned & {each["bucket"] for each in objects}


def test_machines_of_the_group_get_their_variables(plan: Plan) -> None:
    (template,) = plan.of("google_compute_instance_template")
    script = template["metadata"]["startup-script"]
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    exported = dict(re.findall(r"^export (CLOUDLSTM_\w+)='(.*)'$", script, re.MULTILINE))
    assert exported == {
        "CLOUDLSTM_CLOUD": "gcp",
        "CLOUDLSTM_BUCKET_URI": "gs://cloudlstm-my-project",
        "CLOUDLSTM_GROUP": "cloudlstm-trainers",
        "CLOUDLSTM_REGION": "us-central1",
        "CLOUDLSTM_MAX_HOURS": "12",
        "CLOUDLSTM_GPU": "t4",
    }
    assert script.endswith((REPOSITORY / "bootstrap" / "trainer.sh").read_text())


def test_the_script_of_the_nodes_runs_as_in_the_repository(plan: Plan, tmp_path: Path) -> None:
    (script,) = (each for each in plan.of("google_storage_bucket_object") if each["name"] != "target.json")
    python = tmp_path / "python3.11"
    python.write_text("#!/bin/sh\necho 3.9\n")
    python.chmod(0o755)
    content = script["content"].replace("/usr/bin/python3.11", str(python))
    done = subprocess.run(["bash"], input=content, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"spark-node.sh: {python} is python3.9\n")


def test_every_resource_has_the_label_and_none_is_public(plan: Plan, plan_of_storage: Plan) -> None:
    for root in (ROOT, ROOT / "storage"):
        assert re.search(r"merge\(var.labels, { cloudlstm = var.name }\)", (root / "versions.tf").read_text())
        assert re.search(r"default_labels += ", (root / "versions.tf").read_text())
    for bucket in plan.of("google_storage_bucket") + plan_of_storage.of("google_storage_bucket"):
        assert bucket["uniform_bucket_level_access"]
        assert bucket["public_access_prevention"] == "enforced"
    grants = [planned for address, planned in plan.resources.items() if "_iam_member." in address]
    assert len(grants) > 12
    assert not [each for each in grants if each["member"] in ("allUsers", "allAuthenticatedUsers")]
    assert not [each for each in grants if each["role"] in ("roles/owner", "roles/editor", "roles/storage.admin")]


def test_permissions_on_objects_are_limited_to_prefixes(plan: Plan) -> None:
    work = {
        grant["condition"][0]["title"]: (
            grant["role"],
            re.findall(r'objects/([^"]+)"', grant["condition"][0]["expression"]),
        )
        for grant in plan.of("google_storage_bucket_iam_member")
        if grant["condition"]
    }
    ours = "trainers/cloudlstm-trainers"
    assert work == {
        "spark-work": ("roles/storage.objectUser", ["runs/"]),
        "spark-read": ("roles/storage.objectViewer", ["code/"]),
        "trainer-work": ("roles/storage.objectUser", ["runs/", f"{ours}/machines/"]),
        "trainer-read": ("roles/storage.objectViewer", ["code/", f"{ours}/assignment.json"]),
        "submitter-work": ("roles/storage.objectUser", ["runs/", "code/", f"{ours}/"]),
    }


PERMISSIONS = {
    "ClusterController": {"get_cluster": ["dataproc.clusters.get"]},
    "Disks": {"aggregated_list": ["compute.disks.list"]},
    "Instances": {"aggregated_list": ["compute.instances.list"]},
    "JobController": {
        "cancel_job": ["dataproc.jobs.cancel"],
        "get_job": ["dataproc.jobs.get"],
        "list_jobs": ["dataproc.jobs.list"],
        "submit_job": ["dataproc.jobs.create", "dataproc.clusters.use"],
    },
    "MachineTypes": {"get": ["compute.machineTypes.get"]},
    "Projects": {"get": ["compute.projects.get"]},
    "RegionInstanceGroupManagers": {
        "get": ["compute.instanceGroupManagers.get"],
        "list_errors": ["compute.instanceGroupManagers.get"],
        "list_managed_instances": ["compute.instanceGroupManagers.get", "compute.instanceGroupManagers.list"],
        "resize_unary": ["compute.instanceGroupManagers.update"],
    },
    "RegionOperations": {"get": ["compute.regionOperations.get"]},
    "Regions": {"get": ["compute.regions.get"]},
}
"""What each call of the launcher needs, by client and method, after the REST reference and that of gcloud."""


def test_a_submitter_may_make_every_call_of_the_launcher(plan: Plan) -> None:
    code = "".join(path.read_text() for path in (REPOSITORY / "src/cloudlstm/targets/gcp").glob("*.py"))
    clients = re.findall(r'(?:GcpApi\("\w+", |_labelled\()"(\w+)"', code)
    methods = re.findall(r'\.(?:call|each)[(,] ?"(\w+)"', code)
    assert set(clients) == PERMISSIONS.keys()
    assert set(methods) == {method for each in PERMISSIONS.values() for method in each}
    needed = {permission for each in PERMISSIONS.values() for found in each.values() for permission in found}
    roles = {each["role_id"]: each["permissions"] for each in plan.of("google_project_iam_custom_role")}
    assert needed <= {*roles["cloudlstm_submitter"], *roles["cloudlstm_trainer"]}
