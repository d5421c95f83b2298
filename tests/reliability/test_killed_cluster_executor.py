"""kill -9 of an executor on a standalone cluster of Spark."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from localstack.processes import Process, free_ports, serving, tail

from cloudlstm.targets.local.java import find_java
from pipeline.cli_runner import data_objects
from process_tree import descendants
from reliability.killed_runs import PREPARE_ONLY, command, kill, start, verify_manifest_objects, wait_for_exit
from reliability.switchable_faults import TIMEOUT_S, Stall, SwitchableFaultProxy


def daemon(
    name: str, folder: Path, environment: Mapping[str, str], *words: str, ready: str
) -> AbstractContextManager[Process]:
    """A daemon of Spark's standalone cluster, yielded when its log reports that it is ready."""
    import pyspark

    home = folder / name
    home.mkdir()
    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    where = ["--host", "127.0.0.1", "--webui-port", "0", *words]
    return serving(
        [spark_class, f"org.apache.spark.deploy.{name.lower()}.{name}", *where],
        home,
        ready=lambda: ready in tail(home / "log.txt"),
        environment=environment,
    )


@pytest.fixture
def cluster(tmp_path: Path, s3_proxy: SwitchableFaultProxy) -> Iterator[tuple[str, Process]]:
    """The master's URL, and the worker, the parent of the executors."""
    environment = os.environ | {
        "JAVA_HOME": str(find_java().home), "SPARK_DAEMON_MEMORY": "256m", "SPARK_LOCAL_IP": "127.0.0.1",
        "AWS_ENDPOINT_URL": s3_proxy.url, "SPARK_WORKER_DIR": str(tmp_path),
    }  # fmt: skip
    (port,) = free_ports(1)
    url = f"spark://127.0.0.1:{port}"
    offered = ["--cores", "1", "--memory", "1g", url]
    with (
        daemon("Master", tmp_path, environment, "--port", str(port), ready="I have been elected leader"),
        daemon("Worker", tmp_path, environment, *offered, ready="registered with") as worker,
    ):
        yield url, worker


def test_a_killed_executor_is_replaced(
    cluster: tuple[str, Process], s3_proxy: SwitchableFaultProxy, s3_root: str, config: Path,
    undisturbed: dict[str, str],
) -> None:  # fmt: skip
    url, worker = cluster
    run = f"{s3_root}/run"
    stalls = [Stall("PUT", s3_root.removeprefix("s3://"), f"/data/{step}/") for step in ("clean", "sequences")]
    with ExitStack() as rules:
        for stall in stalls:
            rules.enter_context(s3_proxy.rule(stall.applies, stall.respond))
        env = {"AWS_ENDPOINT_URL": s3_proxy.url, "SPARK_EXECUTOR_MEMORY": "512m"}
        launcher = start(str(PREPARE_ONLY), str(config), run, f"spark.master={url}", env=env)
        for stall in stalls:
            assert stall.reached.wait(TIMEOUT_S), launcher.communicate()
            (executor,) = [pid for pid in descendants(worker.pid) if "CoarseGrainedExecutorBackend" in command(pid)]
            # With its Python workers: one that outlives it for a moment could make the next step's request.
            kill(executor, *descendants(executor))
            verify_manifest_objects(run)
            stall.released.set()
        assert wait_for_exit(launcher) == (0, "")
    assert data_objects(run) == undisturbed
    assert verify_manifest_objects(run) == 4
