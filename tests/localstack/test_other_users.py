"""What other users of this machine get from the emulators' ports: no program run, no file, no object."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError  # noqa: TID253 - a test of boto3's view
from localstack.cloud import Cloud
from localstack.interpreter import node_python, spark_home

from emulated import Cluster

BUCKET = "others"


@pytest.fixture(scope="module")
def spark(cloud: Cloud, client: Any) -> str:
    """The URL of the Spark master, once a step has needed it."""
    if not cloud.control.state()["spark"]:
        s3 = client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="job.py", Body=b"print(1)")
        cluster = Cluster(client("emr"), s3, BUCKET)
        cluster.wait(cluster.add("--deploy-mode", "cluster", f"s3://{BUCKET}/job.py"))
    return str(cloud.control.state()["spark"])


@pytest.mark.parametrize("secret", ["", "another"])
def test_spark_refuses_whoever_does_not_know_its_secret(spark: str, tmp_path: Path, secret: str) -> None:
    """The client asks for a program to be run on a worker, as whose user it would run."""
    settings = f"spark.authenticate true\nspark.authenticate.secret {secret}\n" if secret else ""
    (tmp_path / "spark-defaults.conf").write_text(settings)
    home = spark_home(node_python())
    command = [home / "bin" / "spark-class", "org.apache.spark.deploy.Client", "launch", spark, "file:///x.jar", "X"]
    environment = os.environ | {"SPARK_CONF_DIR": str(tmp_path), "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0, done.stdout + done.stderr
    assert any(word in done.stderr for word in ("SaslException", "SaslMessage", "AuthMessage")), done.stderr


def test_sparks_secret_is_on_no_command_line(spark: str, cloud: Cloud) -> None:
    path = cloud.folder / cloud.options.cloud / "spark" / "spark-defaults.conf"
    assert path.stat().st_mode & 0o077 == 0
    settings = dict(line.split(" ", 1) for line in path.read_text().splitlines())
    secret = settings["spark.authenticate.secret"].encode()
    lines = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            lines.append(each.read_bytes())
    assert any(b"deploy.master.Master" in line for line in lines)
    assert not any(secret in line for line in lines)


CALLS = {
    "autoscaling": "describe_auto_scaling_groups",
    "ec2": "describe_instances",
    "emr": "list_clusters",
    "s3": "list_buckets",
    "ssm": "describe_parameters",
    "sts": "get_caller_identity",
}
OTHERS = {
    "another key": "InvalidClientTokenId AuthFailure UnrecognizedClientException InvalidAccessKeyId"
    " UnrecognizedClientException InvalidClientTokenId",
    "another secret": "SignatureDoesNotMatch AuthFailure InvalidSignatureException SignatureDoesNotMatch"
    " InvalidSignatureException SignatureDoesNotMatch",
    # Such a call does not say which service it is for, so all get the same answer unless a header tells.
    "no key": "MissingAuthenticationToken MissingAuthenticationToken MissingAuthenticationTokenException"
    " MissingAuthenticationToken MissingAuthenticationTokenException MissingAuthenticationToken",
}


@pytest.mark.parametrize("who", OTHERS)
def test_aws_refuses_calls_that_are_not_signed_with_its_own_key(cloud: Cloud, who: str) -> None:
    """In each service's own words. They would add steps, start machines and read user data."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    key, secret = (cloud.environment[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    keys = {"another key": (f"{key[:-1]}_", secret), "another secret": (key, f"{secret[:-1]}_")}.get(who, (key, secret))
    session = boto3.session.Session(*keys, region_name="us-east-1")
    config = Config(retries={"total_max_attempts": 1}, signature_version=UNSIGNED if who == "no key" else None)

    def code(service: str, action: str, url: str) -> str:
        with pytest.raises(ClientError) as caught:
            getattr(session.client(service, endpoint_url=url, config=config), action)()
        return str(caught.value.response["Error"]["Code"])

    codes = [code(service, action, cloud.environment["AWS_ENDPOINT_URL"]) for service, action in CALLS.items()]
    assert codes == OTHERS[who].split()
    storage = code("s3", "list_buckets", cloud.environment["AWS_ENDPOINT_URL_S3"])
    assert storage == {"no key": "AccessDenied"}.get(who, codes[3])
