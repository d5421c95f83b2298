"""S3 on this machine: SeaweedFS, from its PyPI package.

Only its S3 port checks signatures; its other ports serve everybody who can connect. Therefore it runs in its own
network, and a relay leads to its S3 port.
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
    """Runs an S3 service that checks signatures and keeps its data in `folder`; yields the environment for the SDK.

    Args:
        folder: The folder of its data and its log.
        port: The port of S3 on 127.0.0.1; 0 for any free port.
        bucket: The name of its first bucket; empty for none.
        network: Its network; None for a new one.
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
            route = Route(ports["s3"], ["machine"], ports["s3"], inside=True, name="storage")
            stack.enter_context(relayed(folder / "relay", network, [route]))
        # It would add an AWS account from its environment as another identity, with another secret.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        command = [*network.enter, *_command(folder, ports, environment)]
        stack.enter_context(serving(command, folder, lambda: _stores(environment, bucket), inherited))
        yield environment


def _remove_sockets(ports: Mapping[str, int]) -> None:
    """Removes its sockets. They are in /tmp because the path of `folder` may be too long for a socket."""
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
        "-volume.max=200",  # the first few buckets need more than the default of 8
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
    """True if it can store an object. The gateway answers before the volumes do, so nothing less is proof."""
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
    """Makes the bucket unless it exists; returns a boto3 client for the S3 service in this environment."""
    client = s3_client(environment)
    with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=name)
    return client


def s3_client(environment: Mapping[str, str]) -> Any:
    """Returns a boto3 client for the S3 service in this environment."""
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
