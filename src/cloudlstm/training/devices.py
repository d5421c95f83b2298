"""The devices of this worker: its GPUs, or its cores as several logical devices, each with a replica of the network.

By default TensorFlow has one CPU device per process, and the threads of one device hardly speed up an LSTM; a second
device does (benchmarks/training.py). Several devices in one process need no server, unlike several
processes.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cloudlstm.errors import MachineError
from cloudlstm.runs.environment import ACCELERATOR, CORES, DEVICES, MOST_DEVICES
from cloudlstm.training.runtime import tf
from cloudlstm.workers.child_environment import cores_here

_LOOK = "import tensorflow as tf; tf.config.list_physical_devices('GPU')"
_LOOK_S = 120.0
"""Limit of a program that tells about the GPU."""

_ABOUT_GPUS = re.compile(r"(?im)^[IWEF]\d{4} .*?\] (.*(?:cuda|cuinit|gpu|dlopen|librar|driver).*)$")
"""Finds the messages about GPUs among those of TensorFlow's start."""


def configure() -> tuple[str, ...]:
    """Configures the devices of this process and returns their names, such as "CPU:0".

    Call it before TensorFlow computes anything. The variable DEVICES sets the number of CPU devices, which must be the
    same on all workers. Without it each core is a device, at most MOST_DEVICES.

    Raises:
        MachineError: the variable ACCELERATOR asks for a GPU, and TensorFlow finds none.
    """
    _keep_to_cores()
    cores = cores_here()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        _use_threads(cores, cores)
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, enable=True)
        return tuple(f"GPU:{index}" for index in range(len(gpus)))
    if os.environ.get(ACCELERATOR) == "cuda":
        raise MachineError(
            f"{platform.node()} was to train on a GPU, and TensorFlow {tf.__version__} finds none: "
            f"nvidia-smi says: {_driver()}; TensorFlow says: {_why_no_gpu()}",
            hint='submit again for other machines; trainer_image, or trainer_gpu = "none", in Terraform',
        )
    devices = int(os.environ.get(DEVICES) or min(cores, MOST_DEVICES))
    _use_threads(max(cores // devices, 1), max(cores, devices))
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    return tuple(f"CPU:{index}" for index in range(devices))


@contextmanager
def strategy_uses(devices: tuple[str, ...]) -> Iterator[None]:
    """Inside the block, a new MultiWorkerMirroredStrategy uses `devices`; otherwise it would use one CPU device.

    TensorFlow has no public argument for this, so the block replaces one of its private methods.
    """
    from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended as Extended

    def chosen(_self: Any, _resolver: Any, worker_device: str) -> tuple[tuple[str, ...], str]:
        names = tuple(f"{worker_device}/device:{device}" for device in devices)
        return names, devices[0].split(":")[0]

    original = Extended._initialize_local_devices
    Extended._initialize_local_devices = chosen
    try:
        yield
    finally:
        Extended._initialize_local_devices = original


def require_used(strategy: Any, devices: tuple[str, ...], workers: int) -> None:
    """Raises MachineError unless the strategy uses `devices` on each worker."""
    if strategy.num_replicas_in_sync != len(devices) * workers:
        raise MachineError(
            f"TensorFlow {tf.__version__} uses {strategy.num_replicas_in_sync} devices, "
            f"and not {len(devices)} on each of {workers} workers",
            hint="install the TensorFlow release that requirements/ names",
        )


def _driver() -> str:
    """The GPUs and the driver's version by nvidia-smi, or what it says instead."""
    return "; ".join(_said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")[:4]) or "nothing"


def _why_no_gpu() -> str:
    """What TensorFlow says about GPUs. It does so at its start, and only at a level that is too chatty for a worker."""
    said = "\n".join(_said(sys.executable, "-c", _LOOK, TF_CPP_MIN_LOG_LEVEL="0"))
    return "; ".join(list(dict.fromkeys(_ABOUT_GPUS.findall(said)))[-3:]) or "nothing"


def _said(*command: str, **variables: str) -> list[str]:
    """What a program writes, as lines; the reason if it does not run."""
    try:
        done = subprocess.run(
            command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=_LOOK_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return [str(error)]
    return done.stdout.split("\n")[:-1] or [f"no more than status {done.returncode}"]


def _use_threads(within: int, between: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(within)
    tf.config.threading.set_inter_op_parallelism_threads(between)


def _keep_to_cores() -> None:
    """Binds this process to the cores in the variable CORES, if it is set."""
    if (wanted := os.environ.get(CORES)) and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in wanted.split(",")})
