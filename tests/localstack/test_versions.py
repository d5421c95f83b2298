"""A versioned bucket keeps what is overwritten or deleted, and cannot be deleted before that is gone."""

from __future__ import annotations

from localstack.cloud import Cloud

from infra.conftest import client_of
from on_emulators import refused_by_aws as refused


def test_a_bucket_with_noncurrent_versions_is_not_deleted(cloud: Cloud) -> None:
    setup = client_of(cloud.setup_environment, "s3")  # as Terraform
    runs = client_of(cloud.setup_environment | {"AWS_ENDPOINT_URL": cloud.environment["AWS_ENDPOINT_URL_S3"]}, "s3")
    setup.create_bucket(Bucket="versioned")
    setup.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    assert setup.get_bucket_versioning(Bucket="versioned")["Status"] == "Enabled"
    for text in (b"old", b"new"):
        runs.put_object(Bucket="versioned", Key="runs/one/config.json", Body=text)
    runs.delete_object(Bucket="versioned", Key="runs/one/config.json")
    assert "Contents" not in setup.list_objects_v2(Bucket="versioned")
    refused(setup.delete_bucket, "BucketNotEmpty", "You must delete all versions", Bucket="versioned")
    found = setup.list_object_versions(Bucket="versioned")
    kept = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found["Versions"]]
    assert len(kept) == 2
    setup.delete_objects(Bucket="versioned", Delete={"Objects": kept})
    refused(setup.delete_bucket, "BucketNotEmpty", "", Bucket="versioned")  # the delete marker is left
    (marker,) = found["DeleteMarkers"]
    setup.delete_object(Bucket="versioned", Key=marker["Key"], VersionId=marker["VersionId"])
    setup.delete_bucket(Bucket="versioned")
    assert "versioned" not in [each["Name"] for each in setup.list_buckets()["Buckets"]]
