"""The time limits for waiting on peers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudlstm.training import waiting
from cloudlstm.training.waiting import Limit, Watchdog
from cloudlstm.workers.restarts import NO_PEER, PEER_LOST, describe_exit, is_retryable
from training.runs import make_default_run, network_for, workers


def test_the_limit_follows_the_measured_times() -> None:
    limit = Limit(3.0)
    assert limit.seconds == 60.0, "nothing is known yet"
    limit.record(0.1)
    assert limit.seconds == 3.0
    for seconds in (2.0, 0.5):
        limit.record(seconds)
        assert limit.seconds == 20.0, "the longest counts"


def test_a_worker_ends_when_its_peer_hangs(folder: Path) -> None:
    """Only the other worker can notice it, as in a network that drops packets."""
    paths = make_default_run(folder, "still", **{"train.collective_timeout_s": 1.0})
    with workers(paths, 2, devices=1, signals={1: "SIGSTOP 60"}) as [(survivor, console), _]:
        assert survivor.wait(timeout=300) not in (0, 143)
    assert "worker 0 lost a peer" in console.read_text()
    assert "while training a few steps for" in console.read_text()


def test_a_process_that_ignores_the_abort_is_killed(tmp_path: Path) -> None:
    code = (
        "import time\nfrom cloudlstm.training import waiting\n"
        "waiting._ABORT_GRACE_S = 0.1\nwaiting.Watchdog._abort = lambda *_: None\n"
        "with waiting.Watchdog(lambda: print('flushed', flush=True)).bounded('sleeping', 0.1): time.sleep(600)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (PEER_LOST, "flushed\n")


def test_a_block_within_its_limit_is_not_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(Watchdog, "_abort", lambda _, doing: ended.append(doing))
    dog = Watchdog(lambda: None)
    for _ in range(20):
        with dog.bounded("working", 5.0):
            pass
    with dog.bounded("waiting", 0.01):
        deadline = time.monotonic() + 60
        while not ended and time.monotonic() < deadline:
            time.sleep(0.01)
    assert ended == ["waiting for 0 s"]


@pytest.mark.parametrize("environment", [{}, {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}])
def test_a_worker_ends_when_its_peers_never_connect(environment: dict[str, str]) -> None:
    with socket.socket() as first, socket.socket() as second:
        for opened in (first, second):
            opened.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{opened.getsockname()[1]}" for opened in (first, second)]
    code = (
        "from cloudlstm.training import cluster, waiting\nfrom cloudlstm.training.membership import Membership\n"
        "waiting.START_S = 2.0\ncluster.Cluster.start(Membership.from_environment(), 60.0)"
    )
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 1}}
    command, network = [sys.executable, "-c", code], network_for(2)
    done = subprocess.run(
        network.command(command) if network else command, capture_output=True, check=False, timeout=300,
        env=os.environ | {"TF_CONFIG": json.dumps(config)} | environment,
    )  # fmt: skip
    if network:
        network.close()
    assert done.returncode == NO_PEER == -signal.SIGALRM


def test_peers_that_never_connect_cause_no_restart() -> None:
    assert not is_retryable([NO_PEER, PEER_LOST])
    assert "could not reach the other workers" in describe_exit("worker-1", NO_PEER)
    assert waiting.START_S >= 120, "a busy machine takes a minute to import TensorFlow"
