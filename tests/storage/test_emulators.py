"""The emulators end with the tests, and say why when they do not start."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from localstack import processes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from localstack.fake_gcs import fake_gcs\n"
        "with fake_gcs(Path(sys.argv[1])) as environment:\n"
        "    print(environment['STORAGE_EMULATOR_HOST'], flush=True); time.sleep(60)"
    )
    folder = Path(processes.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=folder
    ) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        assert answers(url)
        starter.send_signal(signal.SIGKILL)
    give_up = time.monotonic() + 30
    while answers(url) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not answers(url)


def answers(url: str) -> bool:
    """Whether somebody listens there."""
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname, address.port)) == 0


def test_the_log_of_a_server_that_does_not_start_is_shown(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('the port is taken', file=sys.stderr); sys.exit(3)"]
    with (
        pytest.raises(RuntimeError, match=r"ended with 3; its log ends:\n.*the port is taken"),
        processes.serving(command, tmp_path, lambda: False),
    ):
        pass
