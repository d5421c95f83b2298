"""The workflow for a real cloud on the fake Google Cloud: plan, apply, and a night from nothing to nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.stand_in_provider import GoogleCloud
from infra.terraform_runner import REPOSITORY, copied, require_terraform
from infra.workflow import WORKFLOW, Job

VARIABLES = {"CLOUD": "gcp", "GCP_PROJECT": "my-project"}
FIXED = {"CHECKPOINT_DISABLE": "1", "TF_CLI_ARGS": "-no-color"}


def test_a_merge_applies_a_pull_request_plans_and_a_night_leaves_nothing(tmp_path: Path) -> None:
    require_terraform()
    checkout = copied(tmp_path, "gcp").parents[2]
    with GoogleCloud() as cloud:
        environment = cloud.environment | FIXED

        Job("apply", checkout, VARIABLES, environment).run("apply")
        assert cloud.ask("found", "google_dataproc_cluster")
        planned = Job("plan", checkout, VARIABLES, environment).run("plan")
        assert planned.count("No changes. Your infrastructure matches the configuration.") == 2

        cloud.ask("reset")  # the sandbox is another project, and has a state of its own
        for state in checkout.glob("infra/**/terraform.tfstate"):
            state.unlink()
        night = Job("nightly", checkout, VARIABLES, environment)
        night.run("apply")
        left = night.start("nothing is left")
        assert left.returncode == 1
        assert "google_dataproc_cluster.spark" in left.stdout
        night.run("destroy")
        night.run("nothing is left")
        assert cloud.ask("remains") == {}


def test_no_job_has_a_key_and_only_approved_ones_may_change_the_cloud() -> None:
    assert "secrets" not in (text := str(WORKFLOW))
    assert text.count("workload_identity_provider") == text.count("'role-to-assume'") == 3
    assert WORKFLOW["permissions"] == {"contents": "read", "id-token": "write"}
    for name, job in WORKFLOW["jobs"].items():
        role = "PLAN" if name == "plan" else "APPLY"
        given = str([step["with"] for step in job["steps"] if "if" in step and "with" in step])
        assert f"AWS_ROLE_{role} " in given
        assert f"GCP_ACCOUNT_{role} " in given
        assert ("environment" in job) == (name != "plan")
    assert WORKFLOW["jobs"]["plan"]["if"] == "github.event_name == 'pull_request'"
    always = [step["name"] for step in WORKFLOW["jobs"]["nightly"]["steps"] if step.get("if") == "always()"]
    assert always == ["down", "destroy", "nothing is left"]


def test_checksums_are_asked_for_every_platform() -> None:
    (step,) = (step for step in WORKFLOW["jobs"]["plan"]["steps"] if "checksums" in step.get("name", ""))
    for platform in ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"):
        assert f"-platform={platform}" in step["run"]
    assert "git diff --exit-code" in step["run"]


ROLES = {
    "compute": "compute.admin",
    "dataproc": "dataproc.(admin|editor)",
    "storage": "storage.admin",
    "service_account": "iam.serviceAccountAdmin",
    "project_iam_custom_role": "iam.roleAdmin",
    "project_iam_member": "resourcemanager.projectIamAdmin",
    "cloud_scheduler": "cloudscheduler.admin",
    "monitoring_alert_policy": "monitoring.alertPolicyEditor",
    "monitoring_notification_channel": "monitoring.notificationChannelEditor",
}
"""Begin of a kind of resource -> a predefined role on the project that may make it."""

OF_THE_BILLING_ACCOUNT = "billing_budget"


@pytest.mark.parametrize("page", ["examples/ci/oidc-gcp/main.tf", "infra/terraform/gcp/README.md", "docs/clouds.md"])
def test_whoever_applies_has_a_role_for_every_kind_of_resource(page: str) -> None:
    text = (REPOSITORY / page).read_text()
    files = (REPOSITORY / "infra" / "terraform" / "gcp").rglob("*.tf")
    kinds = {kind for path in files for kind in re.findall(r'^resource "google_(\w+)"', path.read_text(), re.MULTILINE)}
    for kind in kinds - {OF_THE_BILLING_ACCOUNT}:
        (role,) = (role for begin, role in ROLES.items() if kind.startswith(begin))
        assert re.search(rf'[`/]{role}[`"]', text), f"{page} names no role that may make a google_{kind}"
