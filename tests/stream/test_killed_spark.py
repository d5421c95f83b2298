"""kill -9 of a job on Spark at seeded moments, with its JVM and its Python workers: nothing is lost or there twice.

`make soak` does the same at CLOUDLSTM_SPARK_KILLS=20 moments.
"""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudlstm.stream.bars import empty
from cloudlstm.stream.batch import BatchWork
from cloudlstm.stream.forecasting import NoModel
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.sources.base import Taken
from cloudlstm.stream.state import State
from cloudlstm.targets.local.java import find_java
from cloudlstm.workers import jvm
from cloudlstm.workers.restarts import TERMINATED
from stream.conftest import Broker
from stream.test_kafka import publish
from stream.test_killed_streams import ROWS, by_key, expected, outputs, returns
from stream.test_spark import opened

PROGRAM = Path(__file__).with_name("killed_spark.py")
KILLS = int(os.environ.get("CLOUDLSTM_SPARK_KILLS", "4"))
BATCH_BARS = 640 // KILLS
"""Bars of a micro-batch: a killed job finishes one at most, so the stream is not at its end before the last kill."""
MOST_STEPS = 7
"""Steps of the driver for one micro-batch."""
SECRET = "pa55-w0rd-of-a-test"
CONF = {
    "spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
    "spark.python.authenticate.socketTimeout": "120s",
}  # fmt: skip


def moments() -> list[str]:
    """The seeded moments of the kills; each kind is among them."""
    chance = random.Random(KILLS)
    kinds = ["offsets", "commits", "before", "after"]
    kinds += chance.choices(kinds, [1, 1, 2, 2], k=KILLS - len(kinds))
    found = [kind if kind in kinds[:2] else f"{kind}:{chance.randint(1, MOST_STEPS)}" for kind in kinds]
    chance.shuffle(found)
    return found


def command(moment: str, root: str, *flags: str) -> tuple[list[str], dict[str, str]]:
    """The command line of the job and its environment, with settings of a login that the broker does not ask for."""
    secrets = Path(root.removeprefix("file://")).parent / "client.properties"
    secrets.write_text(f"security.protocol=PLAINTEXT\nsasl.username=me\nsasl.password={SECRET}\n")
    options = shlex.quote(" ".join(jvm.start_options()))
    confs = " ".join(f"--conf {name}={value}" for name, value in CONF.items())
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "JAVA_HOME": str(find_java().home),
        "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_SUBMIT_ARGS": f"--master local[2] {confs} --driver-java-options {options} pyspark-shell",
        "SPARK_LAUNCHER_OPTS": " ".join(jvm.sparing_options()),
    }  # fmt: skip
    words = [sys.executable, str(PROGRAM), moment, f"--root={root}", "--name=killed",
             f"--batch-bars={BATCH_BARS}", f"--kafka={secrets}", *flags]  # fmt: skip
    return words, environment


def job(moment: str, root: str) -> subprocess.CompletedProcess[str]:
    """Runs the job to its end."""
    words, environment = command(moment, root, "--available-now")
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert SECRET not in done.stdout + done.stderr, "also the command lines of its processes are there"
    return done


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture(scope="module")
def topic(tansu_broker: Broker) -> Topic:
    made = tansu_broker.topic()
    publish(made, ROWS)
    return made


@pytest.fixture(scope="module")
def undisturbed(topic: Topic, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The root of a stream that ran to its end without a kill."""
    root = f"file://{tmp_path_factory.mktemp('undisturbed')}/runs"
    opened(root, topic.uri)
    done = job("never", root)
    assert done.returncode == 0, done.stderr[-3000:]
    return root


def test_a_job_gives_the_bits_of_the_batch(undisturbed: str) -> None:
    features, forecasts = expected()
    assert Journal(StreamPaths.of(undisturbed, "killed")).newest >= 4, f"a batch has at most about {BATCH_BARS} bars"
    assert by_key(outputs(undisturbed, "features")) == features
    found = returns(outputs(undisturbed, "forecasts"))
    folder = Path(undisturbed.removeprefix("file://"))
    assert not [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert found.keys() == forecasts.keys()
    assert max(abs(found[key] - forecasts[key]) for key in found) < 1e-6


def test_a_job_that_is_killed_with_all_its_processes_goes_on(topic: Topic, undisturbed: str, tmp_path: Path) -> None:
    root = f"file://{tmp_path}/runs"
    opened(root, topic.uri)
    for moment in moments():
        done = job(moment, root)
        assert done.returncode == -signal.SIGKILL, (moment, done.stderr[-3000:])
        killed = dict(each.split(":", 1) for each in done.stdout.splitlines()[-1].split())
        assert "java" in killed.values(), moment
        deadline = time.monotonic() + 10.0  # a JVM needs a moment to give its memory back
        while any(is_alive(int(pid)) for pid in killed):
            assert time.monotonic() < deadline, moment
            time.sleep(0.02)
    done = job("never", root)
    assert done.returncode == 0, done.stderr[-3000:]
    assert by_key(outputs(root, "features")) == by_key(outputs(undisturbed, "features"))
    assert returns(outputs(root, "forecasts")) == returns(outputs(undisturbed, "forecasts"))


def test_an_offset_that_is_gone_ends_the_job_with_one_line(mock_broker: Broker, tmp_path: Path) -> None:
    root, topic = f"file://{tmp_path}/runs", mock_broker.topic()
    publish(topic, ROWS[:100])
    _, journal, settings = opened(root, topic.uri)
    work = BatchWork(journal, settings, NoModel(), [])
    start, end = {"0": 0, "1": 0, "2": 0, "3": 0}, {"0": 5000, "1": 0, "2": 0, "3": 0}
    work.finish(work.begin(1, start, end), Taken(empty(), [], start, end), State.empty())
    done = job("never", root)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "of partition 0" in line and "<<cloudlstm" not in line]
    assert len(lines) == 1, "besides what Spark itself logs"
    assert f"offset 5000 of partition 0 of {topic.name} is gone; it has 0 on (try: " in lines[0]
    assert "--on-gap=skip" in lines[0]


def test_a_job_that_lives_on_ends_when_it_is_told_to(topic: Topic, tmp_path: Path) -> None:
    root = f"file://{tmp_path}/runs"
    _, journal, _ = opened(root, topic.uri)
    words, environment = command("never", root, "--every=1")
    log = tmp_path / "log.txt"
    with log.open("wb") as file, subprocess.Popen(words, env=environment, stdout=file, stderr=file) as process:
        try:
            deadline = time.monotonic() + 120
            while Journal(journal.paths).newest < 2 and time.monotonic() < deadline:
                assert process.poll() is None, log.read_text()[-3000:]
                time.sleep(0.2)
            process.terminate()
            assert process.wait(timeout=60) == TERMINATED
        finally:
            process.kill()
