"""The emulated cloud as a whole: starts its servers, knows the environment that leads to them, ends them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, cast, get_args

from localstack.machines.interpreter import node_python
from localstack.network.namespace import Network, Route, cloud_network, ports_of, relayed
from localstack.processes import free_ports, own_environment, serving
from localstack.server.control import Control

CloudName = Literal["aws", "gcp"]

CLOUDS: tuple[str, ...] = get_args(CloudName)
"""The clouds that can be emulated; each has a folder with a module `provider`."""


class Storage(Protocol):
    def __call__(
        self, folder: Path, *, port: int = 0, network: Network | None = None
    ) -> AbstractContextManager[Mapping[str, str]]:
        """Starts the storage service in this network; its block has the variables by which SDKs find it."""
        ...


class Provider(Protocol):
    """What a cloud's module `provider` has: the only thing that differs from here on."""

    SERVER_ENVIRONMENT: Mapping[str, str]
    """Variables for the process that serves all services but storage."""

    storage: Storage

    def url(self, port: int) -> str:
        """The URL of the other services at a port of 127.0.0.1; with a secret in it if no request is signed."""
        ...

    def environment(self, stored: Mapping[str, str], url: str) -> dict[str, str]:
        """The variables that lead SDKs to storage and to the services at the URL."""
        ...

    def make_target(self, name: str, environment: Mapping[str, str]) -> dict[str, Any]:
        """A target made through the cloud's APIs; its document."""
        ...


@dataclass(frozen=True)
class Options:
    """How a cloud is set up.

    Attributes:
        cloud: Which cloud it is to be.
        pyspark: The version of pyspark, and so of Spark, on the cluster's nodes; None for this environment's own.
        trainer_python: The interpreter of trainer machines.
        log_delay_s: How long a platform's logs take to reach the bucket; EMR's take about five minutes.
        node_environment: More variables for every node and machine.
        storage_port: Where S3 or GCS listens; 0 for any free port.
        services_port: Where all other services listen.
        control_port: Where the emulator's own API listens.
    """

    cloud: CloudName = "aws"
    pyspark: str | None = None
    trainer_python: Path = Path(sys.executable)
    log_delay_s: float = 0.0
    node_environment: Mapping[str, str] = field(default_factory=dict)
    storage_port: int = 0
    services_port: int = 0
    control_port: int = 0


class Cloud:
    """A cloud that runs while the `with` block lasts, and no longer than this process.

    Args:
        folder: Where it keeps everything; a cloud begins empty, so it must be new or empty.
        options: How it is set up.
    """

    def __init__(self, folder: Path, options: Options | None = None) -> None:
        self.folder = folder.resolve()
        self.options = options or Options()
        self.environment: dict[str, str] = {}
        """The variables by which SDKs and this project find the cloud, while it runs."""
        self._provider = cast("Provider", import_module(f"localstack.{self.options.cloud}.provider"))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)  # it has secrets, and the output of jobs
        with ExitStack() as stack:
            network = stack.enter_context(cloud_network())
            folder, port = self.folder / "storage", self.options.storage_port
            stored = stack.enter_context(self._provider.storage(folder, port=port, network=network))
            url = self._provider.url(self.options.services_port or free_ports(1)[0])
            services = self._provider.environment(stored, url)
            if network.enter:  # the machines in it reach storage there, and everything else that they know by relays
                needed = ports_of([*services.values(), *self.options.node_environment.values()])
                routes = [
                    Route(port, ["cloud"], port, inside=False) for port in sorted(needed - ports_of(stored.values()))
                ]
                stack.enter_context(relayed(self.folder / "relay", network, routes))
            control = stack.enter_context(self._served(services, url, network))
            self.environment = {**services, "CLOUDLSTM_EMULATOR_URL": control}
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self.environment = {}

    @property
    def setup_environment(self) -> dict[str, str]:
        """The same for tools that set buckets up, such as Terraform: S3 at the address of all other services.

        There a bucket takes every setting; SeaweedFS itself refuses some, and locks itself up by others.
        """
        return {name: value for name, value in self.environment.items() if name != "AWS_ENDPOINT_URL_S3"}

    def make_target(self, name: str) -> dict[str, Any]:
        """A bucket, a Spark cluster and a group of trainers, made through the cloud's APIs; the target document."""
        return self._provider.make_target(name, self.environment)

    @property
    def control(self) -> Control:
        """The emulator's own API: faults and state."""
        return Control(self.environment["CLOUDLSTM_EMULATOR_URL"])

    @contextmanager
    def _served(self, services: Mapping[str, str], url: str, network: Network) -> Iterator[str]:
        """The server of all services but storage; yields the URL of the emulator's own API."""
        options = self.options
        folder = self.folder / options.cloud
        folder.mkdir(parents=True)
        ready = folder / "ready.json"
        settings = {
            "cloud": options.cloud,
            "folder": str(folder),
            "ready": str(ready),
            "url": url,
            "control_port": options.control_port,
            "services": dict(services),
            "network": asdict(network),
            "spark_python": str(node_python(options.pyspark)),
            "trainer_python": str(options.trainer_python),
            "log_delay_s": options.log_delay_s,
            "node_environment": dict(options.node_environment),
        }
        path = folder / "settings.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(settings, indent=1))
        command: list[str | Path] = [sys.executable, "-m", "localstack.server.serve", path]
        with serving(command, folder, ready.exists, own_environment() | dict(self._provider.SERVER_ENVIRONMENT)):
            yield str(json.loads(ready.read_text())["control"])
