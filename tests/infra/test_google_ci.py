"""The workflow for a real cloud on the fake Google Cloud: plan, apply, and a night from nothing to nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from infra.stand_in_provider import GoogleCloud
from infra.terraform_runner import copied, require_terraform
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


PLATFORMS = ["linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"]


@pytest.mark.parametrize(
    ("locked", "fails"), [("old", False), ("old\nnew", False), ("new", True)], ids=["same", "more", "another"]
)
def test_a_recorded_checksum_that_changes_fails_a_pull_request(tmp_path: Path, locked: str, fails: bool) -> None:
    roots = [tmp_path / "infra" / "terraform" / "aws" / each for each in ("storage", "")]
    for root in roots:
        root.mkdir(parents=True, exist_ok=True)
        (root / ".terraform.lock.hcl").write_text("old\n")
    (tmp_path / "terraform").write_text(
        f'#!/bin/sh\necho "$@"\necho "{locked}" > "${{1#-chdir=}}/.terraform.lock.hcl"\n'
    )
    (tmp_path / "terraform").chmod(0o755)
    for words in (["init", "-q"], ["add", "infra"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    job = Job("plan", tmp_path, {"CLOUD": "aws"}, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    done = job.start("check the checksums of the providers")
    assert bool(done.returncode) == fails, done.stdout + done.stderr
    assert all(f"-platform={platform}" in done.stdout for platform in PLATFORMS)
    assert done.stdout.count("providers lock") == (1 if fails else 2)
