"""The emulated cloud: starts and ends its servers, and gives the environment by which SDKs find them."""

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
from localstack.network.namespace import COUNTS, Network, Route, cloud_network, ports_of, relayed
from localstack.processes import free_ports, own_environment, serving
from localstack.server.control import Control

CloudName = Literal["aws", "gcp"]

CLOUDS: tuple[str, ...] = get_args(CloudName)
"""The clouds that can be emulated; each has a folder with a module `provider`."""


class Storage(Protocol):
    def __call__(
        self, folder: Path, *, port: int = 0, network: Network | None = None
    ) -> AbstractContextManager[Mapping[str, str]]:
        """Starts the storage service in this network; yields the variables by which SDKs find it."""
        ...


class Provider(Protocol):
    """The interface of each cloud's module `provider`."""

    SERVER_ENVIRONMENT: Mapping[str, str]
    """Variables for the process that serves all services but storage."""

    storage: Storage

    def url(self, port: int) -> str:
        """Returns the URL of all other services at this port. It contains a secret if requests are not signed."""
        ...

    def environment(self, stored: Mapping[str, str], url: str) -> dict[str, str]:
        """Returns the variables by which SDKs find storage and the services at the URL."""
        ...

    def terraform_environment(self, environment: Mapping[str, str], trainer_python: str) -> dict[str, str]:
        """Returns the variables for Terraform; none if it cannot apply a root to this emulated cloud."""
        ...

    def make_target(
        self,
        name: str,
        environment: Mapping[str, str],
        trainer_python: str,
        *,
        spot: bool = False,
        schedule: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Makes a target through the cloud's APIs; returns its document."""
        ...


@dataclass(frozen=True)
class Options:
    """Options of an emulated cloud.

    Attributes:
        cloud: The cloud to emulate.
        pyspark: The version of pyspark and Spark on the nodes; None for the version of this environment.
        trainer_python: The interpreter of trainer machines.
        log_delay_s: Seconds until logs are in the bucket; EMR takes about five minutes.
        node_environment: More environment variables for every node and machine.
        storage_port: Port of S3 or GCS; 0 for any free port.
        services_port: Port of all other services; 0 for any free port.
        control_port: Port of the emulator's own API; 0 for any free port.
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
    """A cloud that runs during the `with` block and ends with this process at the latest.

    Args:
        folder: Where it keeps its files; new or empty.
        options: Its options.
    """

    def __init__(self, folder: Path, options: Options | None = None) -> None:
        self.folder = folder.resolve()
        self.options = options or Options()
        self.environment: dict[str, str] = {}
        """The variables by which SDKs and this project find the cloud; empty when it does not run."""
        self._provider = cast("Provider", import_module(f"localstack.{self.options.cloud}.provider"))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)  # it contains secrets and the output of jobs
        with ExitStack() as stack:
            network = stack.enter_context(cloud_network())
            folder, port = self.folder / "storage", self.options.storage_port
            stored = stack.enter_context(self._provider.storage(folder, port=port, network=network))
            url = self._provider.url(self.options.services_port or free_ports(1)[0])
            services = self._provider.environment(stored, url)
            if network.enter:  # machines reach storage directly, and all other known URLs by relays
                needed = ports_of([*services.values(), *self.options.node_environment.values()])
                names = dict.fromkeys(ports_of([url]), "services")
                routes = [
                    Route(port, ["cloud"], port, inside=False, name=names.get(port, "other"))
                    for port in sorted(needed - ports_of(stored.values()))
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
    def terraform_environment(self) -> dict[str, str]:
        """The environment for Terraform, with settings of the root; empty if it cannot apply one to this cloud."""
        return self._provider.terraform_environment(self.environment, str(self.options.trainer_python))

    @property
    def setup_environment(self) -> dict[str, str]:
        """The environment for other tools that configure buckets: the emulator's with one URL for all services.

        Terraform's backend for S3 puts the bucket's name into the host of a URL of S3 alone, and not into this one.
        """
        return {name: value for name, value in self.environment.items() if name != "AWS_ENDPOINT_URL_S3"}

    def make_target(
        self,
        name: str,
        *,
        wheelhouse: bool = False,
        spot: bool = False,
        schedule: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Makes bucket, Spark cluster and trainer group through the cloud's APIs; returns the target document.

        Args:
            name: The name of the target and its parts.
            wheelhouse: Whether trainers install Python and packages from the bucket, by bootstrap/trainer.sh. Otherwise
                their image has an interpreter with all packages: `trainer_python` of the options.
            spot: Whether trainers come from the spot market.
            schedule: `time`, `time_zone` and `models` of a schedule that starts a launcher, and keys that differ, such
                as an empty `python` for a launcher that installs from the bucket; None for none.
        """
        trainer_python = "" if wheelhouse else str(self.options.trainer_python)
        return self._provider.make_target(name, self.environment, trainer_python, spot=spot, schedule=schedule)

    @property
    def control(self) -> Control:
        """A client of the emulator's own API: faults and state."""
        return Control(self.environment["CLOUDLSTM_EMULATOR_URL"])

    @contextmanager
    def _served(self, services: Mapping[str, str], url: str, network: Network) -> Iterator[str]:
        """Runs the server of all services except storage; yields the URL of the emulator's own API."""
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
            "counts": [str(self.folder / place / COUNTS) for place in ("relay", "storage/relay")],
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
