"""AWS for cloud.py: its storage, the variables that lead to its services, and how a target is made."""

from __future__ import annotations

import base64
import json
import platform
import sys
from collections.abc import Mapping
from typing import Any

from localstack.stores.seaweedfs import seaweedfs
from localstack.target import schedule_of, target_document, user_data

storage = seaweedfs
SERVER_ENVIRONMENT = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
"""Settings that moto reads when it is imported."""

RELEASE = "emr-spark-8.1.0"
MACHINE = "c7i.xlarge"
SPARK_MACHINE = "m7i.xlarge"
_SERVICES = ("autoscaling", "cloudwatch", "ec2", "emr", "iam", "service-quotas", "ssm", "sts")


def make_target(
    name: str,
    environment: Mapping[str, str],
    trainer_python: str,
    *,
    spot: bool = False,
    schedule: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Makes bucket, cluster, launch template and group; returns the target document and writes it to the bucket.

    Args:
        name: The name of the target and its parts.
        environment: The cloud's environment.
        trainer_python: The interpreter with all packages on the trainers' image; empty if there is none.
        spot: Whether trainers come from the spot market.
        schedule: Time, time zone and models of a schedule; None for none.
    """
    import boto3

    region = environment["AWS_DEFAULT_REGION"]
    session = boto3.session.Session(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], region_name=region
    )
    urls = dict.fromkeys(_SERVICES, environment["AWS_ENDPOINT_URL"]) | {"s3": environment["AWS_ENDPOINT_URL_S3"]}
    clients = {service: session.client(service, endpoint_url=url) for service, url in urls.items()}
    bucket = f"{name}-data"
    clients["s3"].create_bucket(Bucket=bucket)
    subnets = clients["ec2"].describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    subnets = sorted(subnets, key=lambda subnet: subnet["AvailabilityZone"])[:2]
    definition = _cluster(name, bucket, subnets[0]["SubnetId"])
    particular = {
        "trainer_python": trainer_python,
        "trainer_spot": spot,
        "account": clients["sts"].get_caller_identity()["Account"],
        "region": region,
        "spark_cluster": str(clients["emr"].run_job_flow(**definition)["JobFlowId"]),
        "spark_definition": definition,
        "spark_release": RELEASE,
        "spark_machine": SPARK_MACHINE,
        "log_uri": f"s3://{bucket}/logs/",
        "trainer_zones": [subnet["AvailabilityZone"] for subnet in subnets],
        "trainer_machines": [MACHINE],
        "endpoints": urls,
    }
    if schedule:
        uri = f"s3://{bucket}/target.json"
        particular["schedule"] = schedule_of(schedule, name, trainer_python, MACHINE, uri)
    target = target_document("aws", name, f"s3://{bucket}", particular)
    places = [subnet["SubnetId"] for subnet in subnets]
    _group(clients, target, places)
    if schedule:
        _launcher(clients, target, places)
    clients["s3"].put_object(Bucket=bucket, Key="target.json", Body=json.dumps(target, indent=1).encode())
    return target


def _cluster(name: str, bucket: str, subnet: str) -> dict[str, Any]:
    """Returns the definition of a cluster that waits for steps."""
    roles = (("MASTER", 1), ("CORE", 2))
    return {
        "Name": name,
        "ReleaseLabel": RELEASE,
        "LogUri": f"s3://{bucket}/logs/",
        "Applications": [{"Name": "Spark"}],
        "Instances": {
            "Ec2SubnetId": subnet,
            "KeepJobFlowAliveWhenNoSteps": True,
            "InstanceGroups": [
                {"InstanceRole": role, "InstanceType": SPARK_MACHINE, "InstanceCount": count} for role, count in roles
            ],
        },
        "Tags": [{"Key": "cloudlstm", "Value": name}],
    }


def _group(clients: Mapping[str, Any], target: Mapping[str, Any], subnets: list[str]) -> None:
    """Makes the trainers' group, of size 0."""
    clients["ec2"].create_launch_template(
        LaunchTemplateName=target["trainer_group"],
        LaunchTemplateData={
            "ImageId": "ami-12c6146b",
            "InstanceType": target["trainer_machines"][0],
            "UserData": base64.b64encode(user_data(target).encode()).decode(),
        },
    )
    clients["autoscaling"].create_auto_scaling_group(
        AutoScalingGroupName=target["trainer_group"],
        MixedInstancesPolicy={
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": target["trainer_group"], "Version": "$Latest"}
            },
            "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0 if target["trainer_spot"] else 100},
        },
        MinSize=0,
        MaxSize=target["trainer_max"],
        DesiredCapacity=0,
        VPCZoneIdentifier=",".join(subnets),
        Tags=[{"Key": "cloudlstm", "Value": target["name"], "PropagateAtLaunch": True}],
    )


def _launcher(clients: Mapping[str, Any], target: Mapping[str, Any], subnets: list[str]) -> None:
    """Makes the launchers' group, of size 0, and its scheduled action."""
    chosen = target["schedule"]
    clients["ec2"].create_launch_template(
        LaunchTemplateName=chosen["group"],
        LaunchTemplateData={
            "ImageId": "ami-12c6146b",
            "InstanceType": chosen["machine"],
            "UserData": base64.b64encode(user_data(target, launcher=True).encode()).decode(),
        },
    )
    clients["autoscaling"].create_auto_scaling_group(
        AutoScalingGroupName=chosen["group"],
        LaunchTemplate={"LaunchTemplateName": chosen["group"], "Version": "$Latest"},
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=0,
        VPCZoneIdentifier=",".join(subnets),
        Tags=[{"Key": "cloudlstm", "Value": target["name"], "PropagateAtLaunch": True}],
    )
    clients["autoscaling"].put_scheduled_update_group_action(
        AutoScalingGroupName=chosen["group"],
        ScheduledActionName=chosen["job"],
        Recurrence=chosen["time"],
        TimeZone=chosen["time_zone"],
        DesiredCapacity=1,
    )


def url(port: int) -> str:
    """Returns the URL of all services except S3. Requests are signed, so it needs no secret."""
    return f"http://127.0.0.1:{port}"


def environment(stored: Mapping[str, str], url: str) -> dict[str, str]:
    """Returns the variables by which SDKs find all services.

    Args:
        stored: The variables of S3.
        url: The URL of the other services.
    """
    services = dict(stored)
    services["AWS_ENDPOINT_URL_S3"] = services.pop("AWS_ENDPOINT_URL")
    return {"AWS_ENDPOINT_URL": url, **services}


def terraform_environment(environment: Mapping[str, str], trainer_python: str) -> dict[str, str]:
    """Returns the variables for Terraform, with the settings of the root with which a run works here.

    S3 is at the URL of the other services: that accepts every setting of a bucket; SeaweedFS rejects some, and others
    would deny all access to it. A workspace of this cloud keeps the state apart from those of a real account and of
    clouds that have ended.

    Args:
        environment: The cloud's environment.
        trainer_python: The interpreter of trainers.
    """
    graviton = platform.machine() in ("aarch64", "arm64")
    settings = {
        "spark_machine": "m6g.xlarge" if graviton else "m6i.xlarge",  # the bundle must suit this machine's processor
        "spark_python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "trainer_gpu": "none",
        "trainer_python": trainer_python,
    }
    return {
        **environment,
        "AWS_ENDPOINT_URL_S3": environment["AWS_ENDPOINT_URL"],
        "TF_WORKSPACE": f"emulated-{environment['AWS_ACCESS_KEY_ID'][-8:].lower()}",
        **{f"TF_VAR_{name}": value for name, value in settings.items()},
    }
