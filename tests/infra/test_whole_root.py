"""The AWS root, applied by Terraform with the AWS provider on the emulator: its resources, and their removal."""

from __future__ import annotations

import base64
import json
import re
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
    assert given.keys() == TargetConfig.model_fields.keys() | {"target_uri", "submitter"}
    target = load(str(applied.folder))
    in_bucket = client("s3").get_object(Bucket=BUCKET, Key="target.json")["Body"].read()
    assert parse(json.loads(in_bucket), "the bucket") == target == parse(given, "the outputs")
    assert target.bucket_uri == f"s3://{BUCKET}"
    assert target.spark_cluster.startswith("j-")
    assert target.trainer_zones == ("us-east-1a",)
    assert target.trainer_machines == ("m7i.xlarge", "m6i.xlarge", "m5.xlarge")
    assert (target.trainer_spot, target.spark_spot, target.trainer_disk_gib) == (True, True, 50)
    assert target.endpoints == {}
    assert given["target_uri"]["value"] == f"s3://{BUCKET}/target.json"
    role = client("iam").get_role(RoleName="tested-submitter")["Role"]
    assert given["submitter"]["value"] == role["Arn"]


def test_a_submitter_may_make_every_call_of_the_launcher(applied: Terraform, client: Client) -> None:
    code = "".join(path.read_text() for path in (REPOSITORY / "src/cloudlstm/targets/aws").glob("*.py"))
    calls = set(re.findall(r'"((?:Add|Cancel|Delete|Describe|Get|List|Put|Set)(?:[A-Z]\w+))"', code))
    policy = client("iam").get_role_policy(RoleName="tested-submitter", PolicyName="submit")["PolicyDocument"]
    allowed = {action.partition(":")[2] for each in policy["Statement"] for action in each["Action"]}
    needs_no_right, before_apply = {"GetCallerIdentity"}, {"DescribeVpcs"}
    assert {"AddJobFlowSteps", "GetServiceQuota", "SetDesiredCapacity"} <= calls
    assert calls - allowed == needs_no_right | before_apply


def settings_of_the_bucket(client: Client) -> dict[str, Any]:
    """What protects the bucket and its objects; a missing setting is an error."""
    s3 = client("s3")
    encryption = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    return {
        "closed": s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"],
        "versions": s3.get_bucket_versioning(Bucket=BUCKET)["Status"],
        "encryption": encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
        "policy": json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"],
        "rules": {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]},
        "owner": s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"][0]["ObjectOwnership"],
    }


def test_the_bucket_is_private_encrypted_versioned_and_has_lifecycle_rules(applied: Terraform, client: Client) -> None:
    settings = settings_of_the_bucket(client)
    assert all(settings["closed"].values())
    assert (settings["versions"], settings["encryption"]) == ("Enabled", "AES256")
    assert settings["owner"] == "BucketOwnerEnforced"
    (statement,) = settings["policy"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    rules = settings["rules"]
    assert rules["leftovers"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 2
    assert rules["leftovers"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 7
    by_age = {
        each["Filter"]["Prefix"]
        for each in rules.values()
        if "Days" in each.get("Expiration", {}) and each["Status"] == "Enabled"
    }
    assert by_age == {"logs/"}  # models and the code of launchers live for longer than any age


def changes(terraform: Terraform, *arguments: str) -> dict[str, Any]:
    """What a plan would do, by address, leaving out what stays as it is."""
    terraform.run("plan", "-out=again", *arguments)
    return {
        each["address"]: each["change"]
        for each in json.loads(terraform.run("show", "-json", "again"))["resource_changes"]
        if each["change"]["actions"] not in (["no-op"], ["read"])
    }


def test_a_missing_bucket_is_reported_with_the_command_that_makes_it(applied: Terraform) -> None:
    failure = applied.start("plan", "-refresh=false", "-var=bucket=nowhere").failure()
    assert "nowhere" in failure
    assert "terraform -chdir=infra/terraform/aws/storage apply" in failure


def test_the_bucket_of_version_0_5_changes_its_root_and_is_not_touched(
    applied: Terraform, bucket_root: Terraform
) -> None:
    ours, storages = (json.loads((root.folder / "terraform.tfstate").read_text()) for root in (applied, bucket_root))
    bucket = [each for each in storages["resources"] if each["mode"] == "managed"]
    assert len(bucket) == 7
    for instance in (each for resource in ours["resources"] for each in resource["instances"]):
        instance["dependencies"] = [*instance.get("dependencies", []), "aws_s3_bucket.runs"]  # as in that version
    (applied.folder / "old.tfstate").write_text(json.dumps(ours | {"resources": ours["resources"] + bucket}))
    # What depended on the bucket may be replaced at the same time.
    replaced = ("-replace=aws_emr_cluster.spark", "-replace=aws_launch_template.trainers")
    forgets = changes(applied, "-state=old.tfstate", "-refresh=false", *replaced)
    of_bucket = {name: change["actions"] for name, change in forgets.items() if name.startswith("aws_s3_bucket")}
    assert of_bucket == {f"{each['type']}.{each['name']}": ["forget"] for each in bucket}

    adopts = changes(bucket_root, "-state=new.tfstate", "-var=adopt=true")
    assert adopts["aws_s3_bucket.runs"]["importing"] == {"id": BUCKET}
    assert [change["actions"] for change in adopts.values() if "delete" in change["actions"]] == []


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
    from_addresses = {
        (name, rule["FromPort"], address["CidrIp"])
        for name, group in groups.items()
        for rule in group["IpPermissions"]
        for address in rule["IpRanges"]
    }
    assert from_addresses == {("tested-spark-service", 443, vpc["CidrBlock"])}
    trainers = groups["tested-trainers"]
    (rule,) = trainers["IpPermissions"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 0, 65535)
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [trainers["GroupId"]]
    endpoints = {each["ServiceName"]: each for each in ec2.describe_vpc_endpoints(Filters=within)["VpcEndpoints"]}
    assert endpoints.keys() == {"com.amazonaws.us-east-1.s3", "aws.api.us-east-1.emr-service-cell01"}
    assert endpoints["com.amazonaws.us-east-1.s3"]["VpcEndpointType"] == "Gateway"


BOUNDED_BY_CONDITION = {
    ("cloudwatch:PutMetricData",): {"StringEquals": {"cloudwatch:namespace": "cloudlstm"}},
    ("elasticmapreduce:RunJobFlow",): {"StringEquals": {"aws:RequestTag/cloudlstm": "tested"}},
}


def test_permissions_name_their_resources(applied: Terraform, client: Client) -> None:
    iam = client("iam")
    roles = [role for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("tested-")]
    assert sorted(role["RoleName"] for role in roles) == [
        "tested-launcher", "tested-spark-node", "tested-spark-service", "tested-submitter", "tested-trainer",
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
                # Calls that only look take no resource, nor do these two: a condition bounds them instead.
                only_looks = all(
                    action.split(":")[1].startswith(("Describe", "GetResources", "GetAWSDefault", "ListClusters"))
                    for action in actions
                )
                bounded = BOUNDED_BY_CONDITION.get(tuple(actions))
                resources = [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
                assert ("*" in resources) == (only_looks or bounded is not None)
                assert bounded in (None, statement.get("Condition"))
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
    (group,) = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["tested-trainers"])[
        "AutoScalingGroups"
    ]
    assert group["MixedInstancesPolicy"]["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] == 0  # spot
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


def test_a_second_apply_changes_what_is_asked_and_not_the_size_of_a_group(applied: Terraform, client: Client) -> None:
    scaling, emr, spark = client("autoscaling"), client("emr"), load(str(applied.folder)).spark_cluster
    assert sizes(scaling) == {"MinSize": 0, "DesiredCapacity": 0, "MaxSize": 4}
    scaling.set_desired_capacity(AutoScalingGroupName="tested-trainers", DesiredCapacity=2)
    assert changes(applied) == {}

    asked = ("-var=max_hours=3", "-var=spark_idle_minutes=30", "-var=trainer_max=5", "-var=trainer_spot=false")
    applied.run("apply", "-auto-approve", *asked)
    assert sizes(scaling) == {"MinSize": 0, "DesiredCapacity": 2, "MaxSize": 5}
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["tested-trainers"])["AutoScalingGroups"]
    distribution = group["MixedInstancesPolicy"]["InstancesDistribution"]
    assert distribution["OnDemandPercentageAboveBaseCapacity"] == 100
    assert emr.get_auto_termination_policy(ClusterId=spark)["AutoTerminationPolicy"] == {"IdleTimeout": 1800}
    target = load(str(applied.folder))
    assert (target.spark_cluster, target.max_hours, target.trainer_spot) == (spark, 3, False)


def sizes(scaling: Any) -> dict[str, int]:
    """The sizes of the trainers' group."""
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["tested-trainers"])["AutoScalingGroups"]
    return {name: group[name] for name in ("MinSize", "DesiredCapacity", "MaxSize")}


def test_destroy_keeps_the_bucket_as_it_was_and_removes_every_other_resource(
    applied: Terraform, bucket_root: Terraform, client: Client
) -> None:
    assert len(remains(client)) == 16  # or this would see nothing afterwards either
    before = settings_of_the_bucket(client)
    client("s3").put_object(Bucket=BUCKET, Key="runs/one/config.json", Body=b"{}")
    applied.run("destroy", "-auto-approve", "-refresh=false")  # nothing has changed since the last look
    assert remains(client).keys() == {"buckets"}
    assert settings_of_the_bucket(client) == before
    objects = {each["Key"] for each in client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert "runs/one/config.json" in objects
    assert not objects & {"target.json", "bootstrap/spark-node.sh"}
    assert outputs(applied) == {}

    bucket_root.run("destroy", "-auto-approve", "-refresh=false")  # force_destroy is on
    assert remains(client) == {}


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
