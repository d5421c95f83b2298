"""Tools that configure buckets, such as Terraform, find all of S3 at the URL of the other services."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID253 - a test of boto3's view
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
