"""Runs for tests, and their workers as processes on this machine."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.dataset import sequences
from cloudlstm.errors import MachineError
from cloudlstm.features import EIGHT, FeatureSet
from cloudlstm.runs.environment import CORES, DEVICES
from cloudlstm.runs.manifest import Manifest, read_object, write_object
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers.child_environment import worker_environment
from cloudlstm.workers.loopback import Loopback
from dataset.tables import features_table

# Keras copies variables to NumPy in a way that NumPy 2 will drop; TensorFlow 2.21 offers it no other.
KERAS_COPIES = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
WORKER = Path(__file__).with_name("one_worker.py")

# 916 windows in batches of 33, which two workers cannot share evenly and which leaves a short last batch: 28 steps an
# epoch, so 300 steps end inside the eleventh.
STEPS_PER_EPOCH = 28
SETTINGS = {
    "train.batch_windows": 33,
    "train.epochs": 20,
    "train.max_steps": 300,
    "train.patience_epochs": 50,
    "train.learning_rate": 5e-3,
    "train.checkpoint_every_s": 0.0,
    "train.steps_per_call": 8,
    "model.dropout": 0.3,
}


def make_run(
    folder: Path, name: str, features: Sequence[pa.Table], settings: Mapping[str, Any], columns: FeatureSet = EIGHT
) -> RunPaths:
    """A run whose step "sequences" is finished for the shards `features`, which have the features `columns`."""
    paths = RunPaths(f"file://{folder}/{name}")
    document = {
        "market": {"source": "synthetic"},
        "dataset": {"train_end": "2021-12-31", "validation_end": "2022-06-30", "window_bars": 10},
        "model": {"units": 12},
    }
    words = [f"{key}={json.dumps(value) if isinstance(value, str) else value}" for key, value in settings.items()]
    config = parse(document, [f'train.cache_dir="{folder}/cache"', *words])
    storage.write_json(paths.config, config.model_dump(mode="json"))
    rows = []
    for number, table in enumerate(features):
        for split, shard in sequences.build(table, config.dataset, features=columns).items():
            if shard.windows:
                uri = paths.data("sequences", "made", f"{split}-{number:04d}.tfrecord")
                rows.append(write_object(uri, shard.data, kind=split, rows=shard.windows))
    facts = {"features": columns.described()} if columns != EIGHT else {}
    Manifest("sequences", "made", tuple(rows), 0.0, facts).save(paths)
    return paths


def config_of(paths: RunPaths) -> RunConfig:
    return parse(storage.read_json(paths.config))


@contextmanager
def workers(paths: RunPaths, count: int = 1, *, devices: int | None = None, signals: Mapping[int, str] | None = None):
    """Worker processes that end with the block; `signals` sends worker i "SIGNAL STEP", as in {1: "SIGKILL 40"}.

    A lone worker gets all cores: pinned to one, it would share that with whatever else is pinned there. Several have a
    network of their own where the kernel allows it. Without `devices` each worker chooses how many it has.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{opened.getsockname()[1]}" for opened in sockets]
    cores = sorted(os.sched_getaffinity(0))
    started: list[subprocess.Popen[bytes]] = []
    network = None
    consoles = [Path(paths.uri.removeprefix("file://")) / f"console-{index}.txt" for index in range(count)]
    try:
        network = network_for(count)
        for index in range(count):
            share = cores[index % len(cores) :: count]
            env = os.environ | worker_environment(addresses, index) | {CORES: ",".join(map(str, share))}
            env |= {DEVICES: str(devices)} if devices else {}
            end = (signals or {}).get(index, "").split()
            with consoles[index].open("w") as console:
                command = [sys.executable, "-W", "error", "-W", KERAS_COPIES, str(WORKER), paths.uri, *end]
                command = network.command(command) if network else command
                started.append(
                    subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=console, stderr=subprocess.STDOUT)
                )
        yield [(process, console) for process, console in zip(started, consoles, strict=True)]
    finally:
        for process in started:
            process.kill()
            process.communicate()
        if network:
            network.close()


def network_for(count: int) -> Loopback | None:
    """A network for several workers; None if the kernel allows none."""
    if count == 1:
        return None
    try:
        return Loopback()
    except MachineError:
        return None


def trained(paths: RunPaths, count: int = 1, *, devices: int | None = None, printing: str = "") -> Manifest:
    """The manifest of a training by `count` workers; they may print only lines with `printing`."""
    with workers(paths, count, devices=devices) as started:
        codes = [process.wait(timeout=600) for process, _ in started]
        printed = [console.read_text() for _, console in started]
        loud = [line for text in printed for line in text.splitlines() if not (printing and printing in line)]
        assert (codes, loud) == ([0] * count, []), "\n".join(printed)
    manifest = Manifest.load(paths, "train")
    assert manifest is not None
    return manifest


def content(manifest: Manifest, kind: str) -> bytes:
    [row] = manifest.of_kind(kind)
    return read_object(row)


def losses(manifest: Manifest) -> np.ndarray:
    return np.load(io.BytesIO(content(manifest, "losses")))


def weights(manifest: Manifest) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content(manifest, "weights"))) as file:
        return {name: file[name] for name in file.files}


def tables() -> list[pa.Table]:
    return [features_table(2, 401, seed=number, signal=0.6) for number in range(2)]


def make_default_run(folder: Path, name: str, **changes: object) -> RunPaths:
    return make_run(folder, name, tables(), SETTINGS | changes)


def manifest_of(paths: RunPaths) -> Manifest:
    manifest = Manifest.load(paths, "train")
    assert manifest is not None
    return manifest
