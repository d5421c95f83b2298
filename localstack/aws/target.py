"""A target on the emulated AWS, made through its APIs as Terraform makes a real one."""

from __future__ import annotations

import base64
import json
import platform
import sys
from collections.abc import Mapping
from typing import Any

RELEASE = "emr-spark-8.1.0"
MACHINE = "c7i.xlarge"
TRAINERS = 4
HOURS = 2
PORT = 8470
_SERVICES = ("autoscaling", "ec2", "emr", "iam", "ssm", "sts")


def make_target(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Makes bucket, cluster, launch template and group; the target document, which also lies in the bucket.

    Args:
        name: What everything is called.
        environment: The environment of the cloud.
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
    target = {
        "contract_version": 1,
        "cloud": "aws",
        "name": name,
        "account": clients["sts"].get_caller_identity()["Account"],
        "region": region,
        "bucket_uri": f"s3://{bucket}",
        "spark_cluster": _cluster(clients["emr"], name, bucket, subnets[0]["SubnetId"]),
        "spark_release": RELEASE,
        "spark_python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "spark_python_path": f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}",
        "spark_architecture": {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine()),
        "log_uri": f"s3://{bucket}/logs/",
        "trainer_group": f"{name}-trainers",
        "trainer_zones": [subnet["AvailabilityZone"] for subnet in subnets],
        "trainer_machines": [MACHINE],
        "trainer_gpu": "none",
        "trainer_max": TRAINERS,
        "trainer_port": PORT,
        "max_hours": HOURS,
        "egress": "nat",
        "endpoints": urls,
    }
    _group(clients, target, [subnet["SubnetId"] for subnet in subnets])
    clients["s3"].put_object(Bucket=bucket, Key="target.json", Body=json.dumps(target, indent=1).encode())
    return target


def _cluster(emr: Any, name: str, bucket: str, subnet: str) -> str:
    """A cluster that waits for steps; its id."""
    roles = (("MASTER", 1), ("CORE", 2))
    answer = emr.run_job_flow(
        Name=name,
        ReleaseLabel=RELEASE,
        LogUri=f"s3://{bucket}/logs/",
        Applications=[{"Name": "Spark"}],
        Instances={
            "Ec2SubnetId": subnet,
            "KeepJobFlowAliveWhenNoSteps": True,
            "InstanceGroups": [
                {"InstanceRole": role, "InstanceType": "m7i.xlarge", "InstanceCount": count} for role, count in roles
            ],
        },
        Tags=[{"Key": "cloudlstm", "Value": name}],
    )
    return str(answer["JobFlowId"])


def _group(clients: Mapping[str, Any], target: Mapping[str, Any], subnets: list[str]) -> None:
    """The trainers' group, of size 0."""
    variables = {
        "CLOUD": target["cloud"],
        "BUCKET_URI": target["bucket_uri"],
        "GROUP": target["trainer_group"],
        "REGION": target["region"],
        "MAX_HOURS": target["max_hours"],
        "GPU": target["trainer_gpu"],
    }
    script = "#!/bin/bash\n" + "".join(f'export CLOUDLSTM_{key}="{value}"\n' for key, value in variables.items())
    clients["ec2"].create_launch_template(
        LaunchTemplateName=target["trainer_group"],
        LaunchTemplateData={
            "ImageId": "ami-12c6146b",
            "InstanceType": target["trainer_machines"][0],
            "UserData": base64.b64encode(script.encode()).decode(),
        },
    )
    clients["autoscaling"].create_auto_scaling_group(
        AutoScalingGroupName=target["trainer_group"],
        LaunchTemplate={"LaunchTemplateName": target["trainer_group"], "Version": "$Latest"},
        MinSize=0,
        MaxSize=target["trainer_max"],
        DesiredCapacity=0,
        VPCZoneIdentifier=",".join(subnets),
        Tags=[{"Key": "cloudlstm", "Value": target["name"], "PropagateAtLaunch": True}],
    )
