"""kill -9 of Spark's processes: Spark repeats the tasks, and the data is the same."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.errors import JobError
from cloudlstm.pipeline.spark import Spark
from process_tree import children, descendants
from reliability.killed_runs import command, kill, prepare_here, verify_manifest_objects
from reliability.switchable_faults import TIMEOUT_S, Stall, SwitchableFaultProxy


def daemon(spark: Spark) -> int:
    """The process that forks Spark's Python workers."""
    from pyspark import SparkContext

    (found,) = [pid for pid in children(SparkContext._gateway.proc.pid) if "pyspark" in command(pid)]
    return found


@pytest.mark.parametrize("victim", ["workers", "daemon"])
def test_killed_python_workers_are_replaced(
    spark: Spark, s3_proxy: SwitchableFaultProxy, s3_root: str, config: Path, undisturbed: dict[str, str], victim: str
) -> None:
    """Kills while a step writes its first object; that write arrives after the death of its writer.

    One round makes all steps.
    """
    run = f"{s3_root}/run"
    stall = Stall("PUT", s3_root.removeprefix("s3://"), "/data/features/")
    manifests: list[int] = []

    def strike() -> None:
        assert stall.reached.wait(TIMEOUT_S)
        forker = daemon(spark)
        kill(*(descendants(forker) if victim == "workers" else [forker, *descendants(forker)]))
        manifests.append(verify_manifest_objects(run))
        stall.released.set()

    with s3_proxy.rule(stall.applies, stall.respond):
        killer = threading.Thread(target=strike)
        killer.start()
        made = prepare_here(spark, config, run)
        killer.join()
    assert manifests == [0], "no manifest comes before the end of the round"
    assert made == undisturbed
    assert verify_manifest_objects(run) == 4
    named = {f"{run}/{name}" for name in made}
    assert {item.uri for item in storage.list_objects(f"{run}/data/")} == named, "and nothing is left over"


def test_a_worker_that_always_dies_ends_the_job(spark: Spark) -> None:
    with pytest.raises(JobError) as caught:
        spark.map(lambda _: os.kill(os.getpid(), signal.SIGKILL), [1])
    assert "\n" not in str(caught.value)
    assert "a Spark worker was killed" in str(caught.value)
    assert spark.map(lambda n: n + 1, [1]) == [2]
