"""The emulated cloud as a whole: starts its servers, knows the environment that leads to them, ends them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from localstack.aws.target import make_target
from localstack.control import Control
from localstack.interpreter import node_python
from localstack.processes import free_ports, serving
from localstack.seaweedfs import seaweedfs


@dataclass(frozen=True)
class Options:
    """How a cloud is set up.

    Attributes:
        pyspark: The version of pyspark, and so of Spark, on the cluster's nodes; None for this environment's own.
        trainer_python: The interpreter of trainer machines.
        log_delay_s: How long a platform's logs take to reach the bucket; EMR's take about five minutes.
        node_environment: More variables for every node and machine.
        s3_port: Where S3 listens; 0 for any free port.
        aws_port: Where all other AWS services listen.
        control_port: Where the emulator's own API listens.
    """

    pyspark: str | None = None
    trainer_python: Path = Path(sys.executable)
    log_delay_s: float = 0.0
    node_environment: Mapping[str, str] = field(default_factory=dict)
    s3_port: int = 0
    aws_port: int = 0
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
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            s3 = stack.enter_context(seaweedfs(self.folder / "s3", port=self.options.s3_port))
            services = dict(s3)
            services["AWS_ENDPOINT_URL_S3"] = services.pop("AWS_ENDPOINT_URL")
            urls = stack.enter_context(_aws(self.folder / "aws", self.options, services))
            self.environment = {"AWS_ENDPOINT_URL": urls["aws"], **services, "CLOUDLSTM_EMULATOR_URL": urls["control"]}
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
        return make_target(name, self.environment)

    @property
    def control(self) -> Control:
        """The emulator's own API: faults and state."""
        return Control(self.environment["CLOUDLSTM_EMULATOR_URL"])


@contextmanager
def _aws(folder: Path, options: Options, services: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The server of all AWS services but S3; yields its URLs."""
    folder.mkdir(parents=True)
    ready = folder / "ready.json"
    settings = {
        "folder": str(folder),
        "ready": str(ready),
        "port": options.aws_port or free_ports(1)[0],
        "control_port": options.control_port,
        "services": dict(services),
        "spark_python": str(node_python(options.pyspark)),
        "trainer_python": str(options.trainer_python),
        "log_delay_s": options.log_delay_s,
        "node_environment": dict(options.node_environment),
    }
    path = folder / "settings.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(settings, indent=1))
    with serving([sys.executable, "-m", "localstack.aws.server", path], folder, ready.exists, _environment()):
        urls: dict[str, str] = json.loads(ready.read_text())
        yield urls


def _environment() -> dict[str, str]:
    """What a child needs to find this package as we do, without any account's credentials."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return mine | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
