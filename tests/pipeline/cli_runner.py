"""Runs the command line in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cloudlstm import storage
from open_ports import watch_open_ports

SMALL = """
name = "small"
[market]
source = "synthetic"
start = 2019-01-01
end = 2023-12-31
tickers_per_shard = 2
[market.synthetic]
tickers = 5
[dataset]
window_bars = 10
train_end = 2021-12-31
validation_end = 2022-12-31
[model]
units = 8
[train]
epochs = 2
batch_windows = 512
"""
"""A configuration that runs in seconds."""


def write_config(folder: Path, text: str = SMALL) -> Path:
    path = folder / "small.toml"
    path.write_text(text)
    return path


def cloudlstm(
    *words: str, env: dict[str, str] | None = None, timeout_s: float = 300, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command and returns its status and output; checks that it opens no port to other machines."""
    with subprocess.Popen(
        [sys.executable, "-m", "cloudlstm", *words],
        env=os.environ | (env or {}),
        cwd=cwd,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            with watch_open_ports(process.pid) as doors:
                printed, complained = process.communicate(timeout=timeout_s)
        except BaseException:
            process.kill()
            raise
    assert doors == set()
    return subprocess.CompletedProcess(process.args, process.returncode, printed, complained)


def submit(config: Path, root: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return cloudlstm("submit", f"--config={config}", f"--root={root}", *words, **options)


def one_run(root: str) -> str:
    """The URI of the only run below a root."""
    prefix = f"{root.rstrip('/')}/index/"
    (found,) = list(storage.list_objects(prefix))
    return f"{root.rstrip('/')}/{found.uri.removeprefix(prefix)}"


def data_objects(run: str) -> dict[str, str]:
    """Every object in the run's manifests, with its checksum."""
    found = {}
    for item in storage.list_objects(f"{run}/manifests/"):
        for row in json.loads(storage.read(item.uri))["objects"]:
            found[row["uri"]] = row["sha256"]
    return found


def report(run: str) -> dict[str, Any]:
    document: dict[str, Any] = storage.read_json(f"{run}/report/report.json")
    return document


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The command's error, which must be one line."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("cloudlstm: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return lines[0]
