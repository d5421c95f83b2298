"""Measures the job of a stream on Spark, in life mode; `python benchmarks/stream.py --spark` calls it."""

from __future__ import annotations

import os
import runpy
import shlex
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from localstack.kafka.broker import tansu
from stream_parts import WINDOW, Untrained, minutes_of, published, send, show

from cloudlstm.stream import serve
from cloudlstm.stream.batch import ALWAYS_OPEN
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.targets.local.java import find_java
from cloudlstm.workers import jvm

JOB = Path(__file__).resolve().parents[1] / "jobs" / "stream.py"


def latency_on_spark(tickers: int, minutes: int, units: int, trigger_s: float) -> None:
    """The same on Spark in life mode, with a micro-batch every `trigger_s` and bars somewhat more often."""
    with TemporaryDirectory() as folder, tansu(Path(folder) / "broker") as (address, _):
        tables = minutes_of(tickers, WINDOW + 30 + minutes)
        topic, root = published(address, tables[: WINDOW + 30]), f"file://{folder}/runs"
        journal = Journal(StreamPaths.of(root, "measured"))
        journal.open(StreamSettings(topic.uri, calendar=ALWAYS_OPEN, forecasts="newest"))
        options = shlex.quote(" ".join(jvm.start_options()))
        environment = os.environ | {
            "JAVA_HOME": str(find_java().home), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYSPARK_SUBMIT_ARGS": f"--conf spark.ui.enabled=false --driver-java-options {options} pyspark-shell",
        }  # fmt: skip
        words = [sys.executable, __file__, str(units), f"--root={root}", "--name=measured", f"--every={trigger_s:g}"]
        with (Path(folder) / "log.txt").open("wb") as log:
            began = time.monotonic()
            job = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
            wait_for(journal, tickers * (WINDOW + 30), job)
            print(f"  {time.monotonic() - began:.1f} s from the start of the job to the end of a backlog of "
                  f"{tickers * (WINDOW + 30)} bars")  # fmt: skip
            try:
                send(topic, tables[WINDOW + 30 :], trigger_s * 0.7)
                wait_for(journal, tickers * len(tables), job)
            finally:
                job.terminate()
                job.wait()
        show(tickers, minutes, list(journal.batches()))


def wait_for(journal: Journal, bars: int, job: subprocess.Popen[bytes]) -> None:
    """Waits until a job has used so many bars."""
    deadline = time.monotonic() + 300.0
    while sum(each.counts["used"] for each in journal.batches()) < bars:
        if job.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the job on Spark does not come on; its status is {job.poll()}")
        time.sleep(0.2)


def run_job(units: int, words: list[str]) -> None:
    """Runs the job of the repository with an untrained network, in this process."""
    serve.open_models = lambda *_: Untrained(units)
    sys.argv = [str(JOB), *words]
    runpy.run_path(str(JOB), run_name="__main__")


if __name__ == "__main__":
    run_job(int(sys.argv[1]), sys.argv[2:])
