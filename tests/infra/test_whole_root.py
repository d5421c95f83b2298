"""The AWS root, applied by Terraform with the AWS provider on the emulator: its resources, and their removal."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

from cloudlstm.targets.document import TargetConfig, load, parse
from infra.conftest import Client
from infra.terraform_runner import REPOSITORY, Terraform

BUCKET = "tested-123456789012-us-east-1"


def outputs(terraform: Terraform) -> dict[str, Any]:
    return dict(json.loads(terraform.run("output", "-json")))


def test_outputs_are_the_target_document(applied: Terraform, client: Client) -> None:
    given = outputs(applied)
    assert given.keys() == TargetConfig.model_fields.keys()
    target = load(str(applied.folder))
    in_bucket = client("s3").get_object(Bucket=BUCKET, Key="target.json")["Body"].read()
    assert parse(json.loads(in_bucket), "the bucket") == target == parse(given, "the outputs")
    assert target.bucket_uri == f"s3://{BUCKET}"
    assert target.spark_cluster.startswith("j-")
    assert target.trainer_zones == ("us-east-1a", "us-east-1b", "us-east-1c")
    assert target.trainer_machines == ("m7i.xlarge", "m6i.xlarge", "m5.xlarge")
    assert target.endpoints == {}


def test_the_bucket_is_private_encrypted_versioned_and_has_lifecycle_rules(applied: Terraform, client: Client) -> None:
    s3 = client("s3")
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    encryption = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]}
    assert rules["leftovers"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 2
    assert rules["runs"]["Filter"]["Prefix"] == "runs/"
    assert rules["runs"]["Expiration"]["Days"] == 365


def test_nothing_reaches_the_machines_from_outside(applied: Terraform, client: Client) -> None:
    ec2 = client("ec2")
    ours = [{"Name": "tag:cloudlstm", "Values": ["tested"]}]
    (vpc,) = ec2.describe_vpcs(Filters=ours)["Vpcs"]
    private = [
        subnet
        for subnet in ec2.describe_subnets(Filters=ours)["Subnets"]
        if any(tag["Key"] == "for-use-with-amazon-emr-managed-policies" for tag in subnet["Tags"])
    ]
    assert len({subnet["AvailabilityZone"] for subnet in private}) == 3
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in private)
    within = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    groups = {group["GroupName"]: group for group in ec2.describe_security_groups(Filters=within)["SecurityGroups"]}
    assert groups["default"]["IpPermissions"] == groups["default"]["IpPermissionsEgress"] == []
    assert all(not rule["IpRanges"] for group in groups.values() for rule in group["IpPermissions"])
    trainers = groups["tested-trainers"]
    (rule,) = trainers["IpPermissions"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 0, 65535)
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [trainers["GroupId"]]
    (endpoint,) = ec2.describe_vpc_endpoints(Filters=within)["VpcEndpoints"]
    assert (endpoint["VpcEndpointType"], endpoint["ServiceName"]) == ("Gateway", "com.amazonaws.us-east-1.s3")


def test_permissions_name_their_resources(applied: Terraform, client: Client) -> None:
    iam = client("iam")
    roles = [role for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("tested-")]
    assert sorted(role["RoleName"] for role in roles) == [
        "tested-spark-node", "tested-spark-service", "tested-submitter", "tested-trainer",
    ]  # fmt: skip
    for role in roles:
        name = role["RoleName"]
        attached = [each["PolicyName"] for each in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]]
        assert attached == (["AmazonEMRServicePolicy_v2"] if name == "tested-spark-service" else [])
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for statement in document["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert not [action for action in actions if "*" in action]
                # Calls that only look take no resource.
                only_looks = all(action.split(":")[1].startswith(("Describe", "GetResources")) for action in actions)
                resources = [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
                assert ("*" in resources) == only_looks
    trust = next(role for role in roles if role["RoleName"] == "tested-spark-service")["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_the_cluster_scales_ends_itself_and_logs_to_the_bucket(applied: Terraform, client: Client) -> None:
    emr, target = client("emr"), load(str(applied.folder))
    cluster = emr.describe_cluster(ClusterId=target.spark_cluster)["Cluster"]
    assert (cluster["ReleaseLabel"], cluster["LogUri"]) == ("emr-spark-8.1.0", f"s3://{BUCKET}/logs/")
    assert {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"} in cluster["Tags"]
    assert not cluster["AutoTerminate"]  # not after the first step
    idle = emr.get_auto_termination_policy(ClusterId=target.spark_cluster)["AutoTerminationPolicy"]
    assert idle == {"IdleTimeout": 3600}
    limits = emr.get_managed_scaling_policy(ClusterId=target.spark_cluster)["ManagedScalingPolicy"]["ComputeLimits"]
    assert (limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]) == (2, 4)
    groups = emr.list_instance_groups(ClusterId=target.spark_cluster)["InstanceGroups"]
    assert {(group["InstanceGroupType"], group.get("BidPrice")) for group in groups} == {
        ("MASTER", None), ("CORE", None), ("TASK", "0.1920"),
    }  # fmt: skip
    (action,) = emr.list_bootstrap_actions(ClusterId=target.spark_cluster)["BootstrapActions"]
    assert action["Args"] == [target.spark_python_path]
    key = action["ScriptPath"].removeprefix(f"s3://{BUCKET}/")
    script = client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    assert script == (REPOSITORY / "bootstrap" / "spark-node.sh").read_bytes()


def test_machines_of_the_group_get_their_variables(applied: Terraform, client: Client) -> None:
    (template,) = client("ec2").describe_launch_template_versions(
        LaunchTemplateName="tested-trainers", Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    data = template["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    script = base64.b64decode(data["UserData"])
    assert len(script) <= 16384
    subprocess.run(["bash", "-n"], input=script, check=True)
    exported = dict(
        line.removeprefix("export ").split("=", 1)
        for line in script.decode().splitlines()
        if line.startswith("export CLOUDLSTM_")
    )
    assert exported == {
        "CLOUDLSTM_CLOUD": "'aws'",
        "CLOUDLSTM_BUCKET_URI": f"'s3://{BUCKET}'",
        "CLOUDLSTM_GROUP": "'tested-trainers'",
        "CLOUDLSTM_REGION": "'us-east-1'",
        "CLOUDLSTM_MAX_HOURS": "'12'",
        "CLOUDLSTM_GPU": "'none'",
    }
    assert script.endswith((REPOSITORY / "bootstrap" / "trainer.sh").read_bytes())


def test_terraform_does_not_change_the_size_of_a_group(applied: Terraform, client: Client) -> None:
    scaling = client("autoscaling")
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["tested-trainers"])["AutoScalingGroups"]
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (0, 0, 4)
    distribution = group["MixedInstancesPolicy"]["InstancesDistribution"]
    assert distribution["OnDemandPercentageAboveBaseCapacity"] == 0
    scaling.set_desired_capacity(AutoScalingGroupName="tested-trainers", DesiredCapacity=2)

    applied.run("plan", "-out=again")
    changes = {
        each["address"]: each["change"]
        for each in json.loads(applied.run("show", "-json", "again"))["resource_changes"]
        if each["change"]["actions"] not in (["no-op"], ["read"])
    }
    assert all(change["actions"] == ["update"] for change in changes.values())
    # What moto does not give back: these three, and the descriptions of rules.
    others = [address for address in changes if not address.startswith("aws_vpc_security_group_")]
    assert set(others) <= {"aws_emr_cluster.spark", "aws_launch_template.trainers", "aws_autoscaling_group.trainers"}
    cluster = changes["aws_emr_cluster.spark"]
    differing = {key for key, value in cluster["after"].items() if value != cluster["before"].get(key)}
    assert differing <= {"auto_termination_policy", "unhealthy_node_replacement"}
    trainers = changes["aws_autoscaling_group.trainers"]
    assert trainers["before"]["desired_capacity"] == trainers["after"]["desired_capacity"] == 2


def test_destroy_removes_every_resource(applied: Terraform, client: Client) -> None:
    before = remains(client)
    assert len(before) == 16  # or this would see nothing afterwards either
    client("s3").put_object(Bucket=BUCKET, Key="runs/one/config.json", Body=b"{}")  # force_destroy is on
    applied.run("destroy", "-auto-approve", "-refresh=false")  # nothing has changed since the last look
    assert remains(client) == {}
    assert outputs(applied) == {}


def remains(client: Client) -> dict[str, list[str]]:
    """Our resources in the account, by kind; kinds without a resource are left out."""
    ec2, iam, ours = client("ec2"), client("iam"), [{"Name": "tag:cloudlstm", "Values": ["tested"]}]
    reservations = ec2.describe_instances(Filters=ours)["Reservations"]
    everything: dict[str, Any] = {
        "addresses": ec2.describe_addresses(Filters=ours)["Addresses"],
        "budgets": client("budgets").describe_budgets(AccountId="123456789012").get("Budgets", []),
        "buckets": client("s3").list_buckets()["Buckets"],
        "clusters": client("emr").list_clusters()["Clusters"],
        "endpoints": ec2.describe_vpc_endpoints(Filters=ours)["VpcEndpoints"],
        "gateways": ec2.describe_internet_gateways(Filters=ours)["InternetGateways"],
        "groups": client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"],
        "instances": [each for reservation in reservations for each in reservation["Instances"]],
        "nat gateways": ec2.describe_nat_gateways(Filters=ours)["NatGateways"],
        "networks": ec2.describe_vpcs(Filters=ours)["Vpcs"],
        "profiles": iam.list_instance_profiles()["InstanceProfiles"],
        "roles": [role for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("tested-")],
        "route tables": ec2.describe_route_tables(Filters=ours)["RouteTables"],
        "security groups": ec2.describe_security_groups(Filters=ours)["SecurityGroups"],
        "subnets": ec2.describe_subnets(Filters=ours)["Subnets"],
        "templates": ec2.describe_launch_templates()["LaunchTemplates"],
    }
    there = {
        kind: [str(each) for each in found if "tested" in str(each) and not _gone(each)]
        for kind, found in everything.items()
    }
    return {kind: found for kind, found in there.items() if found}


def _gone(found: dict[str, Any]) -> bool:
    """True if AWS still lists a resource that has ended."""
    state = found.get("State") or found.get("Status", {}).get("State")
    state = state["Name"] if isinstance(state, dict) else state
    return str(state).lower() in ("deleted", "terminated")
