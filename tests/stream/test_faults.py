"""What goes wrong around a stream is told in one line, and the stream goes on or the same command continues it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.market.bars import from_parquet
from cloudlstm.stream import local
from cloudlstm.stream.batch import ALWAYS_OPEN, BatchWork
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import client
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.publish import FolderPublisher, by_minute
from cloudlstm.stream.serve import open_source
from reliability.test_full_disks import SmallDisk, small_disk  # noqa: F401  # small_disk is a fixture
from stream.conftest import Broker
from stream.market import INTERVAL, RandomModels, bar, table
from stream.test_kafka import publish
from stream.test_killed_streams import ROWS

Captured = pytest.CaptureFixture[str]
SECRET = "pa55-w0rd-of-a-test"
ALWAYS = "--calendar=none"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLOUDLSTM_ROOT", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def paths_of(root: Path) -> StreamPaths:
    return StreamPaths.of(f"file://{root}", "live")


def bars_in(root: Path) -> list[tuple[str, int]]:
    """Ticker and minute of every row of features that the journal names."""
    found: list[tuple[str, int]] = []
    for batch in Journal(paths_of(root)).batches():
        if batch.outputs["features"]["rows"]:
            rows = from_parquet(storage.read(paths_of(root).output("features", batch.number)))
            found += zip(rows["ticker"].to_pylist(), rows["minute"].to_pylist(), strict=True)
    return sorted(found)


def child() -> dict[str, str]:
    """The environment of a process that finds the same packages."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


ALL = sorted((row["ticker"], row["minute"]) for row in ROWS)


def test_a_full_disk_ends_the_stream_and_the_same_command_continues_it(
    small_disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    disk = small_disk("200k")
    monkeypatch.setenv("CLOUDLSTM_ROOT", str(disk))
    landed = FolderPublisher(f"file://{tmp_path}/landed")
    for bars in by_minute(table(ROWS)):
        landed.send(bars)
    words = ["stream", "live", f"--source={tmp_path}/landed", ALWAYS, "--with-features", "--batch-bars=25",
             "--available-now"]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "cloudlstm", *words], capture_output=True, text=True, env=child())
    assert done.returncode == 1, done.stderr  # a process of its own: its attempt ends with it
    lines = [line for line in done.stderr.splitlines() if not line.startswith("live: ")]
    *page, error = lines
    assert [line.startswith("the page was not written: ") for line in page] in ([], [True]), lines
    assert "No space left on device (try: free some space there" in error
    assert "stream.html" not in error, "the error is that of the batch"
    assert 0 < Journal(paths_of(disk)).newest < len(ROWS) // 25
    small_disk("64m")
    assert main(words) == 0
    assert bars_in(disk) == ALL


def test_a_poisoned_message_and_a_schema_of_tomorrow_stop_nothing(
    root: Path, tansu_broker: Broker, capsys: Captured
) -> None:
    topic = tansu_broker.topic()
    publish(topic, ROWS[:100])
    tomorrow = {k: v for k, v in bar("T9", 0, 0).items() if k != "sent"} | {"schema": 2, "shape": "new"}
    producer = client("Producer", topic, {}, {})
    for value in (b"\xff\xfe{", json.dumps(tomorrow).encode()):
        producer.produce(topic.name, key=b"T9", value=value)
    producer.flush(10)
    publish(topic, ROWS[100:])
    assert main(["stream", "live", f"--source={topic.uri}", ALWAYS, "--with-features", "--available-now"]) == 0
    assert "2 refused" in capsys.readouterr().err
    assert bars_in(root) == ALL
    refused: list[dict[str, Any]] = []
    for batch in Journal(paths_of(root)).batches():
        if batch.outputs["refused"]["rows"]:
            refused += from_parquet(storage.read(paths_of(root).output("refused", batch.number))).to_pylist()
    assert all(topic.name in row["where"] for row in refused)
    reasons = sorted(row["reason"] for row in refused)
    assert reasons[0].startswith("it is no JSON")
    assert reasons[1] == "its schema is 2, and this version of cloudlstm reads up to 1"


def test_an_offset_that_is_gone_ends_the_stream_until_it_is_skipped(
    root: Path, mock_broker: Broker, capsys: Captured
) -> None:
    topic = mock_broker.topic()
    publish(topic, ROWS[:100])
    words = ["stream", "live", f"--source={topic.uri}", ALWAYS, "--available-now"]
    assert main(words) == 0
    capsys.readouterr()
    newest = paths_of(root).batch(Journal(paths_of(root)).newest)
    document = storage.read_json(newest)  # as if the broker had lost its newest messages
    busy = next(name for name, end in document["end"].items() if end)
    storage.write_json(newest, document | {"end": document["end"] | {busy: document["end"][busy] + 5_000}})
    assert main(words) == 1
    error = capsys.readouterr().err.splitlines()
    assert len([line for line in error if f"of partition {busy} of {topic.name} is gone" in line]) == 1
    assert "--on-gap=skip" in error[-1]
    assert main([*words, "--on-gap=skip"]) == 0
    assert "the next bars are gone; the stream goes on without" in capsys.readouterr().err


class SlowSink:
    """A sink that is not ready before it is told; notes how much the source had ready meanwhile."""

    name = "slow"

    def __init__(self, ready: threading.Event) -> None:
        self._ready = ready

    def position(self) -> None:
        return None

    def write(self, number: int, forecasts: pa.Table, before: Any, *, again: bool) -> Mapping[str, Any]:
        del number, forecasts, before, again
        assert self._ready.wait(30.0)
        return {}

    def close(self) -> None:
        return None


def test_a_slow_sink_slows_the_reading_and_loses_nothing(tansu_broker: Broker, tmp_path: Path) -> None:
    topic = tansu_broker.topic()
    publish(topic, ROWS[:50])
    paths = StreamPaths.of(f"file://{tmp_path}/runs", "live")
    journal, ready, begun = Journal(paths), threading.Event(), threading.Event()
    settings = journal.open(StreamSettings(topic.uri, calendar=ALWAYS_OPEN, interval_s=INTERVAL, features=True))

    def publish_while_it_waits() -> None:
        assert begun.wait(30.0)
        publish(topic, ROWS[50:])
        ready.set()

    thread = threading.Thread(target=publish_while_it_waits)
    thread.start()
    used: list[int] = []

    def watch(document: Any) -> None:
        if document is not None:
            used.append(document.counts["used"])

    class Begun(BatchWork):
        def finish(self, *words: Any, **named: Any) -> Any:
            begun.set()
            return super().finish(*words, **named)

    options = local.LocalOptions(most_bars=120, stop=lambda: sum(used) >= len(ROWS))
    with closing(open_source(settings, {}, lambda _: None)) as source:
        local.run(source, Begun(journal, settings, RandomModels(), [SlowSink(ready)]), journal, options, watch, print)
    thread.join()
    assert used[0] <= 50, "nothing was read while the sink was not ready"
    assert max(used) <= 120, "then batches are as large as they may be, and no larger"
    assert bars_in(tmp_path / "runs") == ALL


def command_lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """The command line of a process, as `ps` shows it, while it runs."""
    while process.poll() is None:
        try:
            yield Path(f"/proc/{process.pid}/cmdline").read_text()
        except OSError:
            return


def test_a_password_is_in_no_object_no_line_and_no_command_line(root: Path, tansu_broker: Broker) -> None:
    topic, out = tansu_broker.topic(), tansu_broker.topic()
    publish(topic, ROWS[:100])
    secrets = root.parent / "client.properties"
    # The broker asks for no login, so the client takes the settings and does not send them.
    secrets.write_text(f"security.protocol=PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=me\nsasl.password={SECRET}\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    shown = ""
    for more in (["--available-now"], ["--available-now", "--interval=5m"]):  # the second ends with an error
        words = [sys.executable, "-m", "cloudlstm", "stream", "live", f"--source={topic.uri}", ALWAYS,
                 f"--to=parquet,{out.uri}", f"--kafka={secrets}", *more]  # fmt: skip
        process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=root.parent
        )
        lines = {next(command_lines(process), "")}
        text, _ = process.communicate(timeout=60)
        shown += text + "".join(lines)
    assert "100 bars" in shown
    assert "stream live has interval_s 60, not 300" in shown
    assert SECRET not in shown
    objects = [path for path in root.rglob("*") if path.is_file()]
    assert any(path.name == "stream.html" for path in objects)
    assert not [path for path in objects if SECRET.encode() in path.read_bytes()]


def test_a_file_of_settings_that_is_no_text_is_told(root: Path, capsys: Captured) -> None:
    (root.parent / "client.properties").write_bytes(b"\xff\xfe\x00" + SECRET.encode())
    assert main(["stream", "live", "--source=kafka://127.0.0.1:1/bars", "--kafka=client.properties"]) == 2
    error = capsys.readouterr().err
    assert "--kafka: cannot read client.properties: it is no text" in error
    assert SECRET not in error
