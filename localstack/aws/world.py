"""What all parts of the emulated AWS share."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localstack.faults import Faults
from localstack.machines import Machines
from localstack.nodes import Nodes
from localstack.spark import SparkCluster


@dataclass
class World:
    """The emulator's state beside moto's own.

    Attributes:
        folder: Where everything lies.
        nodes: How nodes are set up.
        services: The environment by which SDKs find S3 and the other services.
        log_delay_s: How long logs take from a node to the bucket.
        faults: What is to go wrong.
        spark: The Spark cluster that all EMR clusters share.
        machines: The processes that stand for instances of groups.
        lock: Held by whoever reads or changes moto's state: each request, and each turn of the engine.
        problems: What went wrong inside the emulator itself.
    """

    folder: Path
    nodes: Nodes
    services: Mapping[str, str]
    log_delay_s: float
    faults: Faults
    spark: SparkCluster
    machines: Machines
    lock: threading.RLock = field(default_factory=threading.RLock)
    problems: list[str] = field(default_factory=list)
