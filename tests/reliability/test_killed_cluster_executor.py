"""kill -9 of an executor on a cluster: Spark's standalone master and worker, from the package's own classes."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cloudlstm.targets.java import find_java
from emulators import _END_WITH_PARENT
from pipeline.submitting import data_objects
from reliability.between import PATIENCE_S, Between, Stall
from reliability.running import PREPARE_ONLY, check_visible, children, command, ended, kill, start


@contextmanager
def serving(name: str, folder: Path, *words: str, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon of Spark's standalone cluster, ended with the block or with this process."""
    import pyspark

    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    with (folder / f"{name}.txt").open("wb") as log:
        process = subprocess.Popen(
            [str(program), f"org.apache.spark.deploy.{name.lower()}.{name}", "--host", "127.0.0.1", *words],
            env=os.environ | env, cwd=folder, stdout=log, stderr=log, preexec_fn=_END_WITH_PARENT,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def cluster(tmp_path: Path, s3_between: Between) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The master's URL, and the worker, from which executors descend."""
    env = {
        "JAVA_HOME": str(find_java().home), "SPARK_DAEMON_MEMORY": "256m", "SPARK_LOCAL_IP": "127.0.0.1",
        "AWS_ENDPOINT_URL": s3_between.url, "SPARK_WORKER_DIR": str(tmp_path),
    }  # fmt: skip
    port = free_port()
    url = f"spark://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.enter_context(serving("Master", tmp_path, "--port", str(port), "--webui-port", "0", env=env))
        words = ("--cores", "2", "--memory", "1g", "--webui-port", "0", url)
        worker = stack.enter_context(serving("Worker", tmp_path, *words, env=env))
        deadline = time.monotonic() + PATIENCE_S
        while "Successfully registered" not in (tmp_path / "Worker.txt").read_text():
            assert time.monotonic() < deadline, (tmp_path / "Worker.txt").read_text()
            time.sleep(0.1)
        yield url, worker


def test_a_killed_executor_is_replaced(
    cluster: tuple[str, subprocess.Popen[bytes]], s3_between: Between, s3_root: str, config: Path,
    undisturbed: dict[str, str],
) -> None:  # fmt: skip
    url, worker = cluster
    run = f"{s3_root}/run"
    stalls = [Stall("PUT", s3_root.removeprefix("s3://"), f"/data/{step}/") for step in ("clean", "sequences")]
    with ExitStack() as rules:
        for stall in stalls:
            rules.enter_context(s3_between.rule(stall.concerns, stall.meddle))
        env = {"AWS_ENDPOINT_URL": s3_between.url, "SPARK_EXECUTOR_MEMORY": "512m"}
        launcher = start(str(PREPARE_ONLY), str(config), run, f"spark.master={url}", env=env)
        for stall in stalls:
            assert stall.reached.wait(PATIENCE_S), launcher.communicate()
            (executor,) = [pid for pid in children(worker.pid) if "CoarseGrainedExecutorBackend" in command(pid)]
            kill(executor)
            check_visible(run)
            stall.released.set()
        assert ended(launcher) == (0, "")
    assert data_objects(run) == undisturbed
    assert check_visible(run) == 4
