"""Variables of the user's shell that do not reach the processes of a job."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cloudlstm.workers.child_environment import child_environment, ignored, proxies, worker_environment
from cloudlstm.workers.processes import Process

LEFT = {
    "SPARK_HOME": "/opt/spark", "SPARK_CONF_DIR": "/etc/spark", "HADOOP_CONF_DIR": "/etc/hadoop",
    "PYSPARK_DRIVER_PYTHON": "jupyter", "SPARK_REMOTE": "sc://elsewhere", "TF_CONFIG": "{}", "grpc_proxy": "http://x",
}  # fmt: skip


def test_variables_of_other_installations_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**LEFT, "SPARK_LOCAL_DIRS": "/big/disk", "https_proxy": "http://proxy", "MINE": "1"}.items():
        monkeypatch.setenv(name, value)
    found = child_environment()
    assert not LEFT.keys() & found.keys()
    assert (found["SPARK_LOCAL_DIRS"], found["https_proxy"], found["MINE"]) == ("/big/disk", "http://proxy", "1")
    assert ignored({**LEFT, "SPARK_LOCAL_DIRS": "x", "PATH": "x"}) == sorted(LEFT)
    assert proxies({"https_proxy": "http://proxy", "http_proxy": ""}) == ["https_proxy"]


def test_another_pyspark_on_the_python_path_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", "/opt/spark")
    monkeypatch.setenv("PYTHONPATH", "/opt/spark/python:/mine:/opt/spark/python/lib/py4j-src.zip")
    assert child_environment()["PYTHONPATH"] == "/mine"


def test_a_job_process_gets_the_child_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in LEFT.items():
        monkeypatch.setenv(name, value)
    code = "import os; print(sorted(os.environ))"
    process = Process("worker-0", [sys.executable, "-c", code], {"TF_CONFIG": "ours"}, tmp_path / "console.txt")
    while process.status is None:
        process.poll()
    process.stop(0.0)
    [printed] = process.last_lines()
    assert "'TF_CONFIG'" in printed, "what the job itself sets is set"
    assert "SPARK_HOME" not in printed


def test_workers_use_no_proxy_among_themselves() -> None:
    assert worker_environment(["10.0.0.1:8470", "10.0.0.2:8470"], 1)["no_grpc_proxy"] == "10.0.0.1,10.0.0.2"


def test_a_worker_without_peers_starts_no_server() -> None:
    assert "TF_CONFIG" not in worker_environment(["10.0.0.1:8470"], 0)
