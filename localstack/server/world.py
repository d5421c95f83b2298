"""What all parts of an emulated cloud share."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localstack.machines.machines import Machines
from localstack.machines.nodes import Nodes
from localstack.network.namespace import Network
from localstack.server.faults import Faults
from localstack.spark.cluster import SparkCluster


@dataclass
class World:
    """The emulator's state beside that of the services.

    Attributes:
        folder: Where everything lies.
        nodes: How nodes are set up.
        services: The environment by which SDKs find storage and the other services.
        url: Where the services listen, but storage.
        network: The network in which the machines are.
        log_delay_s: How long logs take from a node to the bucket.
        faults: What is to go wrong.
        spark: The Spark cluster that all emulated clusters share.
        machines: The processes that stand for instances of groups.
        lock: Held by whoever reads or changes the services' state: each request, and each turn of the engine.
        problems: What went wrong inside the emulator itself.
    """

    folder: Path
    nodes: Nodes
    services: Mapping[str, str]
    url: str
    network: Network
    log_delay_s: float
    faults: Faults
    spark: SparkCluster
    machines: Machines
    lock: threading.RLock = field(default_factory=threading.RLock)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> World:
        """From what cloud.py wrote for the server."""
        folder, services = Path(settings["folder"]), settings["services"]
        os.environ.update(services)  # for the emulator's own use of storage
        network = Network(tuple(settings["network"]["enter"]), settings["network"]["missing"])
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
            log_delay_s=settings["log_delay_s"],
            faults=Faults(),
            spark=SparkCluster(nodes),
            machines=Machines(nodes, network),
        )
