"""The night of the workflow for a real cloud on the emulated AWS: submit and down on the applied root.

test_google_ci.py runs its apply and destroy.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from localstack.cloud import Cloud

from cloud_fixtures import PYTHON
from infra.conftest import Client
from infra.terraform_runner import REPOSITORY, Terraform
from infra.workflow import Job, commands_of

# Smaller than the example, which runs elsewhere: here the steps matter.
DEMO = """
name = "night"
[market]
source = "synthetic"
start = 2020-01-01
end = 2021-12-31
[market.synthetic]
tickers = 2
[dataset]
window_bars = 10
train_end = 2021-03-31
validation_end = 2021-06-30
[model]
units = 8
[train]
max_steps = 4
"""


@pytest.fixture
def checkout(applied: Terraform, tmp_path: Path) -> Path:
    """A folder as the job has it: the applied root, the project's files, and this environment as .venv."""
    infra = applied.folder.parents[1]
    for folder in (infra, infra.parent / "bootstrap", REPOSITORY / "src", REPOSITORY / "jobs"):
        (tmp_path / folder.name).symlink_to(folder)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "demo.toml").write_text(DEMO)
    commands_of(tmp_path)
    return tmp_path


def test_a_night_submits_and_empties_the_cloud(
    applied: Terraform, aws_cloud: Cloud, checkout: Path, client: Client
) -> None:
    if f'"{PYTHON}"' not in (applied.folder / "terraform.tfvars").read_text():
        pytest.skip(f"the nodes of EMR have no Python {PYTHON}")
    night = Job("nightly", checkout, {"CLOUD": "aws"}, applied.environment)
    night.run("submit", **aws_cloud.environment)
    assert len(list_runs(client)) == 1
    assert "no work was running" in night.run("down", **aws_cloud.environment)
    scaling = client("autoscaling")
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["tested-trainers"])["AutoScalingGroups"]
    assert (group["DesiredCapacity"], group["Instances"]) == (0, [])

    left = night.start("nothing is left")
    assert left.returncode == 1
    assert "aws_emr_cluster.spark" in left.stdout


def list_runs(client: Client) -> set[str]:
    """The runs in the bucket that have a report."""
    bucket = "tested-123456789012-us-east-1"
    found = client("s3").list_objects_v2(Bucket=bucket, Prefix="runs/night-")["Contents"]
    return {each["Key"].split("/")[1] for each in found if each["Key"].endswith("/report.json")}
