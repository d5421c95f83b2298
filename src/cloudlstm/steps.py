"""What a run consists of, as plain values that the launch side and the work side share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run that is done once for its inputs.

    Attributes:
        name: As in manifests, progress and the report.
        job: The job that carries it out.
        title: What it does, for people.
    """

    name: str
    job: str
    title: str


STEPS = (
    Step("ingest", "prepare", "bars from the source into shards of whole tickers"),
    Step("clean", "prepare", "refuse faults, fill short gaps"),
    Step("features", "prepare", "the eight features of record"),
    Step("sequences", "prepare", "TFRecord sequences and their splits"),
    Step("train", "train", "fit the LSTM and forecast"),
    Step("evaluate", "train", "judge the forecasts and write the report"),
)

JOBS = ("prepare", "train")

PARENT_PIPE = "CLOUDLSTM_PARENT_PIPE"
"""Environment variable by which a launcher on the same machine asks a job to end when its standard input does."""

ATTEMPT = "CLOUDLSTM_ATTEMPT"
"""Environment variable: the number of the attempt that a job works for; a later attempt ends it."""

GENERATION = "CLOUDLSTM_GENERATION"
"""Environment variable: which membership of the workers a process belongs to; all restart into the next one."""

RESTARTS = "CLOUDLSTM_RESTARTS"
"""Environment variable: why the workers have started again in this attempt, as a JSON list of sentences."""

CORES = "CLOUDLSTM_CORES"
"""Environment variable: the cores that a worker on a shared machine keeps to, as in "0,2"."""

DEVICES = "CLOUDLSTM_DEVICES"
"""Environment variable: into how many devices a worker divides its cores; the same on all workers of a job."""

MOST_DEVICES = 4
"""Devices of a worker at most: TensorFlow traces the training step once for each, which takes about 1.6 s."""

YAHOO_URL = "CLOUDLSTM_YAHOO_URL"
"""Environment variable: base URL of a server that stands in for every Yahoo host. Read in the driver."""


def worker_environment(addresses: Sequence[str], index: int) -> dict[str, str]:
    """The variables by which TensorFlow in worker `index` knows its peers, given the addresses of all in order.

    A worker without peers gets no TF_CONFIG, because TensorFlow then starts no server. That server listens on all
    interfaces and lets everybody who connects read and write files.
    """
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    if len(addresses) == 1:
        return environment
    cluster = {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    # gRPC sends even what is for this machine through a proxy, unless it is told the hosts that have none.
    hosts = ",".join(sorted({address.rsplit(":", 1)[0] for address in addresses}))
    return environment | {"TF_CONFIG": json.dumps(cluster), "no_grpc_proxy": hosts}
