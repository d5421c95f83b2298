"""What Terraform needs: all of S3 at the URL of the other services, and settings that are given back as set."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID253 - a test of boto3's view
from botocore.httpsession import URLLib3Session  # noqa: TID253
from localstack.cloud import Cloud

BUCKET = "set-up"


def test_a_bucket_takes_settings_that_would_lock_up_the_real_store(cloud: Cloud, client: Any) -> None:
    import boto3
    from botocore.config import Config

    environment = cloud.setup_environment
    setup = boto3.session.Session(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
    ).client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"], config=Config(s3={"addressing_style": "path"}))
    objects = client("s3")
    setup.create_bucket(Bucket=BUCKET)
    blocked = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    setup.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=blocked)
    tls = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    setup.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [tls]}))
    assert setup.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"] == blocked

    body = bytes(range(256)) * 40
    setup.put_object(Bucket=BUCKET, Key="a folder/ä+b=c%", Body=body, Metadata={"made-by": "test"})
    found = objects.get_object(Bucket=BUCKET, Key="a folder/ä+b=c%")
    assert (found["Body"].read(), found["Metadata"]) == (body, {"made-by": "test"})
    objects.put_object(Bucket=BUCKET, Key="runs/1", Body=b"by a job")
    assert setup.get_object(Bucket=BUCKET, Key="runs/1")["Body"].read() == b"by a job"
    assert [each["Key"] for each in setup.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["a folder/ä+b=c%", "runs/1"]

    with pytest.raises(ClientError, match="BucketNotEmpty"):
        setup.delete_bucket(Bucket=BUCKET)
    for each in setup.list_object_versions(Bucket=BUCKET)["Versions"]:
        setup.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": each["Key"], "VersionId": each["VersionId"]}]})
    setup.delete_bucket(Bucket=BUCKET)
    assert BUCKET not in [each["Name"] for each in objects.list_buckets()["Buckets"]]
    setup.create_bucket(Bucket=BUCKET)  # a new one begins without the old one's settings
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        setup.get_bucket_policy(Bucket=BUCKET)
    setup.delete_bucket(Bucket=BUCKET)


def test_rules_keep_their_descriptions_and_can_be_changed(client: Any) -> None:
    ec2 = client("ec2")
    group, other = (ec2.create_security_group(GroupName=f"ruled-{each}", Description=each)["GroupId"] for each in "ab")
    from_other = {"UserIdGroupPairs": [{"GroupId": other, "Description": "from the other"}]}
    from_network = {"FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "network"}]}
    permissions = [{"IpProtocol": "-1", **from_other}, {"IpProtocol": "tcp", **from_network}]
    for each in permissions:
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[each])
    within = [{"Name": "group-id", "Values": [group]}]

    def rules() -> dict[str, dict[str, Any]]:
        found = ec2.describe_security_group_rules(Filters=within)["SecurityGroupRules"]
        return {rule.get("Description", ""): rule for rule in found if not rule["IsEgress"]}

    assert rules().keys() == {"from the other", "network"}
    changed = {"IpProtocol": "-1", "ReferencedGroupId": group, "Description": "from itself"}  # as Terraform: no ports
    rule = {"SecurityGroupRuleId": rules()["from the other"]["SecurityGroupRuleId"], "SecurityGroupRule": changed}
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[rule])
    assert rules().keys() == {"from itself", "network"}
    assert rules()["from itself"]["ReferencedGroupInfo"]["GroupId"] == group
    assert "CidrIpv4" not in rules()["from itself"]
    for each in (group, other):
        ec2.delete_security_group(GroupId=each)


def test_a_call_that_the_sdk_repeats_after_a_lost_answer_is_carried_out_once(client: Any) -> None:
    ec2 = client("ec2")
    group = ec2.create_security_group(GroupName="repeated", Description="repeated")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}

    def lose(request: Any, **_: Any) -> None:
        URLLib3Session().send(request)  # and drops the answer; then the SDK sends the same request

    ec2.meta.events.register("before-send.ec2.AuthorizeSecurityGroupIngress", lose)
    (made,) = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])["SecurityGroupRules"]
    ec2.meta.events.unregister("before-send.ec2.AuthorizeSecurityGroupIngress", lose)
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert [each["SecurityGroupRuleId"] for each in found if not each["IsEgress"]] == [made["SecurityGroupRuleId"]]
    with pytest.raises(ClientError, match=r"InvalidPermission\.Duplicate"):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    ec2.delete_security_group(GroupId=group)


def test_a_launch_template_does_not_hand_on_its_own_tags(client: Any) -> None:
    ec2 = client("ec2")
    tags = [{"Key": "cloudlstm", "Value": "tagged"}]
    of_instances = {"ResourceType": "instance", "Tags": tags}
    made = ec2.create_launch_template(
        LaunchTemplateName="tagged",
        LaunchTemplateData={"InstanceType": "m6i.xlarge", "TagSpecifications": [of_instances]},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
    )["LaunchTemplate"]
    assert made["Tags"] == tags
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateName="tagged")["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["TagSpecifications"] == [of_instances]
    ec2.delete_launch_template(LaunchTemplateName="tagged")


def test_a_cluster_tells_whether_unhealthy_nodes_are_replaced(client: Any) -> None:
    emr = client("emr")
    groups = [{"InstanceRole": "MASTER", "InstanceType": "m6i.xlarge", "InstanceCount": 1}]
    asked = {"InstanceGroups": groups, "KeepJobFlowAliveWhenNoSteps": True, "UnhealthyNodeReplacement": True}
    cluster = emr.run_job_flow(Name="replacing", ReleaseLabel="emr-7.9.0", Instances=asked)["JobFlowId"]
    assert emr.describe_cluster(ClusterId=cluster)["Cluster"]["UnhealthyNodeReplacement"] is True
    emr.set_unhealthy_node_replacement(JobFlowIds=[cluster], UnhealthyNodeReplacement=False)
    assert emr.describe_cluster(ClusterId=cluster)["Cluster"]["UnhealthyNodeReplacement"] is False
    emr.terminate_job_flows(JobFlowIds=[cluster])


def test_a_role_is_removed_from_a_profile_once(client: Any) -> None:
    iam, trust = client("iam"), '{"Version": "2012-10-17", "Statement": []}'
    iam.create_role(RoleName="removed", AssumeRolePolicyDocument=trust)
    iam.create_instance_profile(InstanceProfileName="emptied")
    named = {"InstanceProfileName": "emptied", "RoleName": "removed"}
    iam.add_role_to_instance_profile(**named)
    iam.remove_role_from_instance_profile(**named)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.remove_role_from_instance_profile(**named)
    iam.delete_instance_profile(InstanceProfileName="emptied")
    iam.delete_role(RoleName="removed")
