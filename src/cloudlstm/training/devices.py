"""What computes in this worker: its GPUs, or its cores as a number of devices, each with a replica of the network.

TensorFlow makes one CPU device a process, and the threads of one device hardly speed up an LSTM; two devices nearly
double it (benchmarks/training.py). A process with several devices needs no server, unlike several processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cloudlstm.errors import MachineError
from cloudlstm.runs.environment import CORES, DEVICES, MOST_DEVICES
from cloudlstm.training.runtime import tf
from cloudlstm.workers.child_environment import cores_here


def prepare() -> tuple[str, ...]:
    """Divides this process's cores or GPUs into devices; their names, such as "CPU:0".

    To be called before TensorFlow computes anything. The number of CPU devices is what DEVICES says, which must be the
    same on all workers; without it, one for each core, MOST_DEVICES at most.
    """
    _keep_to_cores()
    cores = cores_here()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        _use_threads(cores, cores)
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, enable=True)
        return tuple(f"GPU:{index}" for index in range(len(gpus)))
    devices = int(os.environ.get(DEVICES) or min(cores, MOST_DEVICES))
    _use_threads(max(cores // devices, 1), max(cores, devices))
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    return tuple(f"CPU:{index}" for index in range(devices))


@contextmanager
def used_by_strategy(devices: tuple[str, ...]) -> Iterator[None]:
    """While it lasts, a MultiWorkerMirroredStrategy that is made takes `devices`; by itself it takes one CPU device.

    It has no public argument for that beside its cluster, so a private method of TensorFlow is replaced.
    """
    from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended as Extended

    def chosen(_self: Any, _resolver: Any, worker_device: str) -> tuple[tuple[str, ...], str]:
        names = tuple(f"{worker_device}/device:{device}" for device in devices)
        return names, devices[0].split(":")[0]

    known = Extended._initialize_local_devices
    Extended._initialize_local_devices = chosen
    try:
        yield
    finally:
        Extended._initialize_local_devices = known


def require_used(strategy: Any, devices: tuple[str, ...], workers: int) -> None:
    """Raises MachineError unless the strategy computes on `devices` of each of the workers."""
    if strategy.num_replicas_in_sync != len(devices) * workers:
        raise MachineError(
            f"TensorFlow {tf.__version__} uses {strategy.num_replicas_in_sync} devices, "
            f"and not {len(devices)} on each of {workers} workers",
            hint="install the TensorFlow release that requirements/ names",
        )


def _use_threads(within: int, between: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(within)
    tf.config.threading.set_inter_op_parallelism_threads(between)


def _keep_to_cores() -> None:
    """Binds this process to the cores that its launcher chose for it."""
    if (wanted := os.environ.get(CORES)) and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in wanted.split(",")})
