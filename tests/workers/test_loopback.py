"""The network namespace that only the workers of one job can reach."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudlstm.errors import MachineError
from cloudlstm.workers import loopback, namespace
from cloudlstm.workers.loopback import Loopback
from open_ports import open_ports
from requirements import without

LISTEN = """
import socket, sys
server = socket.socket()
server.bind(("0.0.0.0", int(sys.argv[1])))
server.listen()
print("listens", flush=True)
server.accept()[0].sendall(b"let in")
"""
CONNECT = """
import socket, sys
print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10).recv(6).decode())
"""


@pytest.fixture
def network() -> Iterator[Loopback]:
    try:
        made = Loopback()
    except MachineError as error:
        without("namespaces", error.message)
    yield made
    made.close()


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def listening(command: Callable[[list[str]], list[str]], port: int) -> subprocess.Popen[str]:
    """A server at all addresses that lets one client in."""
    server = subprocess.Popen(
        command([sys.executable, "-c", LISTEN, str(port)]), stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "listens\n"
    return server


def test_a_server_at_all_addresses_is_reached_from_inside_alone(network: Loopback) -> None:
    port = free_port()
    server = listening(network.command, port)
    with server:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)
        assert open_ports({server.pid}) == set()
        peer = network.command([sys.executable, "-c", CONNECT, str(port)])
        assert subprocess.run(peer, capture_output=True, text=True, timeout=60, check=True).stdout == "let in\n"


def test_the_same_server_outside_is_an_open_door() -> None:
    port = free_port()
    with listening(list, port) as server:
        assert [door.split(" ")[0] for door in open_ports({server.pid})] == [f"0.0.0.0:{port}"]
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_command_keeps_its_process_id_its_input_and_its_user(network: Loopback, tmp_path: Path) -> None:
    code = "import os, sys; print(os.getpid(), os.geteuid(), sys.stdin.read()); open(sys.argv[1], 'w').close()"
    with subprocess.Popen(
        network.command([sys.executable, "-c", code, str(tmp_path / "made")]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as entered:  # fmt: skip
        reply, _ = entered.communicate("input", timeout=60)
    assert reply.split() == [str(entered.pid), str(os.geteuid()), "input"]
    assert (tmp_path / "made").stat().st_uid == os.geteuid()


WITHOUT_RIGHT = (
    "import ctypes, os, sys\n"
    "libc = ctypes.CDLL(None)\n"
    "[libc.prctl(24, capability, 0, 0, 0) for capability in (12, 21)]\n"  # PR_CAPBSET_DROP of NET_ADMIN, SYS_ADMIN
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def test_without_rights_it_is_created_in_a_user_namespace(network: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid():
        pytest.skip("without root all tests above have done this")
    if ctypes.CDLL(None).prctl(23, 21, 0, 0, 0) != 1:  # PR_CAPBSET_READ
        pytest.skip("this process has no CAP_SYS_ADMIN that it could do without")
    python = (sys.executable, "-c", WITHOUT_RIGHT, "-I", "-S", loopback._SCRIPT)
    monkeypatch.setattr(loopback, "_PYTHON", python)
    made = Loopback()
    try:
        mine, theirs = (Path(f"/proc/{pid}/ns/user").readlink() for pid in ("self", made.pid))
        assert mine != theirs
        test_a_server_at_all_addresses_is_reached_from_inside_alone(made)
    finally:
        made.close()


def test_the_error_gives_the_reason_if_it_cannot_be_created(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = f"import sys; sys.argv = ['', 'keep']; sys.path.insert(0, {str(Path(namespace.__file__).parent)!r})\n"
    refuse += "import namespace\ndef unshare(): raise OSError(28, 'No space left on device')\n"
    refuse += "namespace._unshare = unshare\nsys.exit(namespace.keep())"
    monkeypatch.setattr(loopback, "_PYTHON", (sys.executable, "-c", refuse))
    with pytest.raises(MachineError, match="allows no network namespace: No space left on device"):
        Loopback()


def test_it_ends_with_the_process_that_made_it() -> None:
    code = "from cloudlstm.workers.loopback import Loopback; import os; print(Loopback().pid, flush=True); os._exit(0)"
    pid = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    stat = Path(f"/proc/{pid}/stat")
    deadline = time.monotonic() + 60
    while stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < deadline, "the keeper continues"
        time.sleep(0.05)
