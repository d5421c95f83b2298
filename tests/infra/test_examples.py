"""The examples for AWS, planned together with the root that they are for; the provider is a mock."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from localstack.cloud import Cloud

from infra.conftest import Client
from infra.terraform_runner import REPOSITORY, Terraform, copied, initialized, require_terraform

EXAMPLES = REPOSITORY / "examples"
TEST = "examples.tftest.hcl"

PROVIDER = """
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_resource "aws_vpc" {
    defaults = { id = "vpc-0123456789abcdef0" }
  }
  mock_resource "aws_subnet" {
    defaults = { id = "subnet-0123456789abcdef0" }
  }
  mock_data "aws_vpc" {
    defaults = {
      id                      = "vpc-0123456789abcdef0"
      enable_dns_hostnames    = true
      enable_dns_support      = true
      cidr_block_associations = [{ association_id = "mock", cidr_block = "10.60.0.0/16", state = "associated" }]
    }
  }
  mock_data "aws_subnet" {
    defaults = {
      vpc_id            = "vpc-0123456789abcdef0"
      availability_zone = "us-east-1a"
      tags              = { for-use-with-amazon-emr-managed-policies = "true" }
    }
  }
}
"""

# What each example is about. The values are those of the root's outputs and of what it makes.
CLAIMS = {
    "cheapest": """
      length(aws_nat_gateway.out) == 0 && output.egress == "none" && output.trainer_gpu == "none" && output.trainer_spot
      && output.spark_min_nodes == 1 && output.trainer_max == 1
    """,
    "gpu-spot": """
      length(aws_nat_gateway.out) == 0 && output.trainer_gpu == "t4" && output.trainer_spot && output.spark_spot
      && length(output.trainer_zones) == 3 && contains(keys(aws_vpc_endpoint.services), "autoscaling")
    """,
    "own-network": """
      length(aws_vpc.main) == 0 && length(aws_subnet.private) == 0 && output.egress == "none"
      && aws_emr_cluster.spark.ec2_attributes[0].subnet_id == "subnet-0123456789abcdef0"
    """,
}

ROOTS = """
run "network" {
  command = plan
  module {
    source = "../../../examples/aws/own-network"
  }
  assert {
    condition = (
      length(output.network.subnet_ids) == 2
      && alltrue([for each in aws_subnet.private : each.tags["for-use-with-amazon-emr-managed-policies"] == "true"])
    )
    error_message = "EMR may use both subnets."
  }
  assert {
    condition = (
      aws_vpc.own.enable_dns_support && aws_vpc.own.enable_dns_hostnames
      && aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    )
    error_message = "Machines find endpoints by name, and S3 without the internet."
  }
}

run "state" {
  command = plan
  module {
    source = "../../../examples/aws/remote-state"
  }
  assert {
    condition = (
      strcontains(output.backend, "use_lockfile = true")
      && strcontains(output.backend, "key          = \\"cloudlstm/main.tfstate\\"")
      && strcontains(output.backend_storage, "key          = \\"cloudlstm/storage.tfstate\\"")
      && strcontains(output.backend, "bucket       = \\"cloudlstm-123456789012-us-east-1-state\\"")
    )
    error_message = "Both roots have a state of their own, with a lock."
  }
  assert {
    condition = (
      aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
      && aws_s3_bucket_public_access_block.state.restrict_public_buckets
    )
    error_message = "A state can be restored, and is private."
  }
}

run "trust" {
  command = plan
  module {
    source = "../../../examples/ci/oidc-aws"
  }
  variables {
    repository = "owner@12/name@34"
  }
  assert {
    condition = {
      for who, role in aws_iam_role.ci : who => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals
      } == {
      for who, subject in { plan = "pull_request", apply = "environment:cloud", daily = "environment:daily" } : who => {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = "repo:owner@12/name@34:${subject}"
      }
    }
    error_message = "Pull requests may plan, those of the environment may apply, those of daily submit, nobody more."
  }
  assert {
    condition = (
      keys(aws_iam_role_policy_attachment.ci) == ["apply", "plan"]
      && jsondecode(aws_iam_role_policy.daily.policy).Statement[0].Resource
      == ["arn:aws:iam::123456789012:role/cloudlstm-submitter"]
      && jsondecode(aws_iam_role_policy.daily.policy).Statement[0].Action == "sts:AssumeRole"
    )
    error_message = "Jobs of daily have no rights but those of the submitter."
  }
  assert {
    condition     = aws_iam_role_policy_attachment.ci["plan"].policy_arn == "arn:aws:iam::aws:policy/ReadOnlyAccess"
    error_message = "Plans only read."
  }
}

run "trust_in_wildcards" {
  command = plan
  module {
    source = "../../../examples/ci/oidc-aws"
  }
  variables {
    repository = "owner/*"
  }
  expect_failures = [var.repository]
}
"""


# What AWS says of machines and images without a GPU.
WITHOUT_GPU = """
  override_data {
    target = data.aws_ec2_instance_type.trainer
    values = { supported_architectures = ["x86_64"], gpus = [] }
  }
  override_data {
    target = data.aws_ami.trainer
    values = {
      id                    = "ami-0123456789abcdef0"
      architecture          = "x86_64"
      root_device_name      = "/dev/xvda"
      block_device_mappings = [
        { device_name = "/dev/xvda", ebs = { volume_size = "8" }, no_device = "", virtual_name = "" }
      ]
    }
  }
"""


def settings(path: Path) -> str:
    text = path.read_text()
    more = "network = run.network.network" if path.stem == "own-network" else ""
    gpu = WITHOUT_GPU if re.search(r'trainer_gpu *= "none"', text) else ""
    condition = f"condition     = ({CLAIMS[path.stem]})"
    return f"""
run "{path.stem.replace("-", "_")}" {{
  command = plan
  {gpu}
  variables {{
    {text}
    {more}
  }}
  assert {{
    {condition}
    error_message = "{path.name} is not what it says."
  }}
}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform in a copy of the root, with the examples beside it and one test of all of them."""
    require_terraform()
    folder = copied(tmp_path_factory.mktemp("examples"))
    (folder.parents[2] / "examples").symlink_to(EXAMPLES)
    for other in (folder / "tests").glob("*.tftest.hcl"):
        other.unlink()
    files = sorted((EXAMPLES / "aws").glob("*.tfvars"))
    (folder / "tests" / TEST).write_text("\n".join([PROVIDER, ROOTS, *map(settings, files)]))
    return initialized(folder, {})


def test_the_examples_for_aws_are_what_they_say(root: Terraform) -> None:
    printed = root.run("test")
    assert f"{len(CLAIMS) + 4} passed, 0 failed" in printed


def test_examples_are_in_standard_form_and_say_what_to_type() -> None:
    require_terraform()
    command = ["terraform", "fmt", "-check", "-recursive", "-diff", "-no-color", EXAMPLES]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == ""
    for path in [*EXAMPLES.glob("*/*.tfvars"), *EXAMPLES.glob("*/*/main.tf")]:
        head = "\n".join(itertools.takewhile(lambda line: line.startswith("#"), path.read_text().splitlines()))
        assert re.search(r"USD an hour: .*\d|[Cc]osts nothing|costs\s+(# )?some cents", head), path
        assert "terraform -chdir=" in head or "Type: cp examples/" in head, path


def test_examples_for_both_clouds_are_the_same() -> None:
    aws, gcp = (sorted(path.name for path in (EXAMPLES / cloud).iterdir()) for cloud in ("aws", "gcp"))
    assert aws == gcp


def test_two_people_share_a_state_and_one_waits_for_the_other(aws_cloud: Cloud, client: Client, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "aws" / "remote-state", tmp_path / "bucket")
    environment = aws_cloud.setup_environment | {"AWS_REGION": aws_cloud.setup_environment["AWS_DEFAULT_REGION"]}
    bucket = initialized(tmp_path / "bucket", environment)
    bucket.run("apply", "-auto-approve")
    people = []
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "backend.tf").write_text(bucket.run("output", "-raw", "backend"))
        (tmp_path / name / "main.tf").write_text('output "by" {\n  value = "ann"\n}\n')
        people.append(Terraform(tmp_path / name, environment))
        people[-1].run("init")
    ann, bob = people
    ann.run("apply", "-auto-approve")
    assert bob.run("output", "-raw", "by") == "ann"
    lock = {"Bucket": "cloudlstm-123456789012-us-east-1-state", "Key": "cloudlstm/main.tfstate.tflock"}
    client("s3").put_object(**lock, Body=b'{"ID": "1", "Who": "ann@desk", "Operation": "OperationTypeApply"}')
    refused = bob.start("plan").failure()
    assert "Error acquiring the state lock" in refused
    assert "ann@desk" in refused
    client("s3").delete_object(**lock)
    assert "No changes" in bob.run("plan")
