"""The state that all parts of an emulated cloud share."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localstack.machines.machines import Machines
from localstack.machines.nodes import Nodes
from localstack.network.namespace import Network
from localstack.server.clock import Clock
from localstack.server.faults import Faults
from localstack.spark.cluster import SparkCluster


@dataclass
class World:
    """The emulator's own state, besides that of the services.

    Attributes:
        folder: The folder of all files.
        nodes: How nodes are set up.
        services: The variables by which SDKs find storage and the other services.
        url: The URL of all services except storage.
        network: The network of the machines.
        counts: The files with the bytes that relays have passed on.
        log_delay_s: Seconds until logs are in the bucket.
        faults: The faults that can happen.
        spark: The Spark cluster that all emulated clusters share.
        machines: The processes of the groups' instances.
        clock: The clock of schedules.
        lock: Protects the services' state; each request and each function of the engine holds it.
        problems: Errors inside the emulator itself.
    """

    folder: Path
    nodes: Nodes
    services: Mapping[str, str]
    url: str
    network: Network
    counts: Sequence[Path]
    log_delay_s: float
    faults: Faults
    spark: SparkCluster
    machines: Machines
    clock: Clock
    lock: threading.RLock = field(default_factory=threading.RLock)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> World:
        """Makes the state from the settings that cloud.py wrote."""
        folder, services = Path(settings["folder"]), settings["services"]
        os.environ.update(services)  # the emulator itself uses storage, too
        network = Network(tuple(settings["network"]["enter"]), settings["network"]["missing"])
        clock = Clock()
        nodes = Nodes(
            folder=folder,
            spark_python=Path(settings["spark_python"]),
            trainer_python=Path(settings["trainer_python"]),
            services=services,
            extra=settings["node_environment"],
        )
        return cls(
            folder=folder,
            nodes=nodes,
            services=services,
            url=settings["url"],
            network=network,
            counts=[Path(path) for path in settings["counts"]],
            log_delay_s=settings["log_delay_s"],
            faults=Faults(),
            spark=SparkCluster(nodes),
            machines=Machines(nodes, network, clock),
            clock=clock,
        )
