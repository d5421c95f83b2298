"""`make setup` and `make demo` install what the lock files pin, and say how far they are."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def install(lock: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(REPO / "requirements" / "install.py"), str(lock), "nothing to fetch"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_it_says_what_it_costs_and_how_long_it_took(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"pytest=={importlib.metadata.version('pytest')} --hash=sha256:{'0' * 64}\n")
    done = install(lock)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"installing 1 packages? into \S+: nothing to fetch\ninstalled in \d+ s\n", done.stderr)
    assert not done.stdout, "a shell evaluates what `make cloud-up` prints"


def test_a_failure_shows_what_pip_said(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("= not a requirement =\n")
    done = install(lock)
    assert done.returncode != 0
    assert "Invalid requirement" in done.stderr


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==(\S+)", (REPO / "requirements" / name).read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def test_users_get_the_versions_of_developers_without_their_tools() -> None:
    user, developer = pins("run.txt"), pins("dev.txt")
    assert user.items() <= developer.items()
    assert {"tensorflow", "pyspark", "yfinance", "boto3", "google-cloud-dataproc", "hatchling"} <= user.keys()
    assert not {"pytest", "mypy", "ruff", "moto"} & user.keys()


def test_no_lock_names_an_index() -> None:
    for lock in (REPO / "requirements").glob("*.txt"):
        assert not re.search(r"^\s*--(?:extra-)?index-url|^\s*--find-links|://", lock.read_text(), re.MULTILINE), (
            lock.name
        )
