"""S3 on this machine: SeaweedFS, from its PyPI package.

Only its S3 port checks signatures. All its other ports take anybody who can connect. It therefore runs in a network of
its own, and a relay leads to its S3 port.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from localstack.network.namespace import Network, Route, cloud_network, relayed
from localstack.processes import free_ports, program, serving

REGION = "us-east-1"
_PARTS = ("master", "volume", "filer", "s3")


@contextmanager
def seaweedfs(
    folder: Path, *, port: int = 0, bucket: str = "", network: Network | None = None
) -> Iterator[dict[str, str]]:
    """An S3 service that checks signatures and keeps its data in `folder`; yields the environment for the SDK.

    Args:
        folder: For the data and the log.
        port: Where S3 listens on 127.0.0.1; 0 for any free port.
        bucket: A bucket to begin with.
        network: Where it runs; None makes a network for it alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = iter(free_ports(2 * len(_PARTS)))
    ports = {name: next(free) for part in _PARTS for name in (part, f"{part}.grpc")}
    ports["s3"] = port or ports["s3"]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
        "AWS_ACCESS_KEY_ID": f"EMULATOR{secrets.token_hex(8).upper()}",
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with ExitStack() as stack:
        if network is None:
            network = stack.enter_context(cloud_network())
        stack.callback(_remove_sockets, ports)
        if network.enter:
            route = Route(ports["s3"], ["machine"], ports["s3"], inside=True)
            stack.enter_context(relayed(folder / "relay", network, [route]))
        # It would take an account that it finds there for an identity of its own, with another secret.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        command = [*network.enter, *_command(folder, ports, environment)]
        stack.enter_context(serving(command, folder, lambda: _stores(environment, bucket), inherited))
        yield environment


def _remove_sockets(ports: Mapping[str, int]) -> None:
    """It keeps its sockets in /tmp; a folder of ours may have a longer path than a socket can have."""
    for name in (*_PARTS, *(f"{part}-grpc" for part in _PARTS)):
        port = ports[name.replace("-", ".")]
        Path(f"/tmp/seaweedfs-{name}-{port}.sock").unlink(missing_ok=True)  # noqa: S108


def _command(folder: Path, ports: Mapping[str, int], environment: Mapping[str, str]) -> list[str]:
    identity = {
        "name": "emulator",
        "credentials": [
            {"accessKey": environment["AWS_ACCESS_KEY_ID"], "secretKey": environment["AWS_SECRET_ACCESS_KEY"]}
        ],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    path = folder / "s3.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"identities": [identity]}))
    return [
        program("weed"),
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={ports['master']}",
        f"-master.port.grpc={ports['master.grpc']}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        f"-volume.port={ports['volume']}",
        f"-volume.port.grpc={ports['volume.grpc']}",
        "-volume.max=200",  # the default of 8 is used up by the first few buckets
        f"-filer.port={ports['filer']}",
        f"-filer.port.grpc={ports['filer.grpc']}",
        "-s3",
        f"-s3.port={ports['s3']}",
        f"-s3.port.grpc={ports['s3.grpc']}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder / 's3.json'}",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",  # as S3 does
    ]


def _stores(environment: Mapping[str, str], bucket: str) -> bool:
    """Whether it can store: the gateway answers before the volumes do, so only an object in a bucket is proof."""
    name = bucket or "emulator-starts"
    with suppress(Exception):
        client = make_bucket(name, environment)
        client.put_object(Bucket=name, Key="ready", Body=b"yes")
        client.delete_object(Bucket=name, Key="ready")
        if not bucket:
            client.delete_bucket(Bucket=name)
        return True
    return False


def make_bucket(name: str, environment: Mapping[str, str]) -> Any:
    """A boto3 client for the S3 service that the environment names, once it has the bucket."""
    client = s3_client(environment)
    with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=name)
    return client


def s3_client(environment: Mapping[str, str]) -> Any:
    """A boto3 client for the S3 service that the environment names."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=environment.get("AWS_ENDPOINT_URL_S3") or environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        region_name=environment.get("AWS_DEFAULT_REGION") or environment.get("AWS_REGION") or REGION,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
    )
