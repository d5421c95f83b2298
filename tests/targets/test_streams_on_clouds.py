"""A stream on the Spark cluster of each emulated cloud: started, watched, cancelled, and equal to one process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from localstack.cloud import Cloud
from localstack.kafka.broker import tansu

from cloudlstm import storage
from cloudlstm.cli import main
from cloudlstm.runs import attempts
from cloudlstm.runs.paths import RunPaths
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.publish import TopicPublisher
from cloudlstm.targets import JobState
from cloudlstm.targets.cloud import open_cloud
from emulator_fixtures import environment_of
from on_emulators import until
from spark_clusters import own_target
from stream.test_kafka import publish
from stream.test_killed_streams import ROWS, by_key, outputs

SECRET = "hushed-7c1e"
NAME = "killed"  # that of the streams whose objects `outputs` reads
Captured = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Place:
    """A target on an emulated cloud.

    Attributes:
        cloud: The emulator.
        where: The file of the target document.
        root: The root of its runs.
        scratch: A folder that all nodes reach, for Spark's checkpoint.
    """

    cloud: Cloud
    where: str
    root: str
    scratch: Path

    @property
    def bucket(self) -> str:
        return self.root.removesuffix("/runs")


@pytest.fixture(scope="module", params=["aws", "gcp"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    cloud: Cloud = request.getfixturevalue(f"{request.param}_cloud")
    folder = tmp_path_factory.mktemp("stream")
    with environment_of(cloud.environment), own_target(cloud, "streams") as document:
        if request.param == "gcp":
            document |= {"spark_release": "3.0-debian13"}  # what the emulator runs, by its Spark
        where = folder / "target.json"
        where.write_text(json.dumps(document))
        yield Place(cloud, str(where), f"{document['bucket_uri']}/runs", folder)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tansu(tmp_path_factory.mktemp("tansu")) as (address, _):
        yield address


@dataclass(frozen=True)
class Stream:
    """A stream that has read all that was in its topic.

    Attributes:
        paths: Its folder.
        topic: Its topic.
        words: The command that continues it.
        settings: The flags that it was made with.
        used: The number of bars so far.
    """

    paths: StreamPaths
    topic: Topic
    words: tuple[str, ...]
    settings: tuple[str, ...]
    used: int


@pytest.fixture(scope="module")
def stream(place: Place, broker: str) -> Stream:
    topic = Topic(broker, f"bars.{place.root.partition(':')[0]}")
    TopicPublisher(topic, {}, 2).close()
    rows = sent(ROWS[: len(ROWS) // 2])
    publish(topic, rows)
    secrets = f"{place.bucket}/kafka.properties"
    storage.write(secrets, f"client.id={SECRET}\n".encode())
    at = f"--checkpoint=file://{place.scratch}/at"
    words = ("stream", NAME, f"--target={place.where}", f"--kafka={secrets}", at)
    settings = (f"--source={topic.uri}", "--calendar=none", "--with-features")
    command(*words, *settings, "--available-now", "--batch-bars=200")
    return Stream(StreamPaths.of(place.root, NAME), topic, words, settings, len(rows))


def sent(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"sent": time.time()} for row in rows]


def command(*words: str) -> None:
    assert main(list(words)) == 0, words


def texts(prefix: str) -> Iterator[str]:
    return (storage.read(item.uri).decode(errors="replace") for item in storage.list_objects(prefix))


def equals_one_process(stream: Stream, folder: Path) -> bool:
    here = f"file://{folder}/runs"
    command("stream", NAME, *stream.settings, "--available-now", f"--root={here}")
    return by_key(outputs(stream.paths.root, "features")) == by_key(outputs(here, "features"))


def test_all_that_is_there_is_read_as_by_one_process(
    place: Place, stream: Stream, tmp_path: Path, capsys: Captured
) -> None:
    command("status", f"streams/{NAME}", f"--target={place.where}", "--json")
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["attempt"], status["bars"]) == ("done", 1, stream.used)
    assert status["latency_p95_s"] > 0
    assert equals_one_process(stream, tmp_path)
    assert (place.root + "/streams/killed/stream.html") in [each.uri for each in storage.list_objects(stream.paths.uri)]
    require_no_secret(place, stream)


@pytest.mark.parametrize("place", ["aws"], indirect=True, scope="module")
def test_a_stream_lives_without_its_launcher_until_it_is_cancelled(
    place: Place, stream: Stream, tmp_path: Path, capsys: Captured
) -> None:
    """On EMR, whose cancel ends only spark-submit."""
    publish(stream.topic, sent(ROWS[stream.used :]))
    command(*stream.words, "--every=0.5")
    said = capsys.readouterr().out
    assert f"stream {NAME} runs on streams (attempt 2)" in said
    assert f"cloudlstm cancel --target={place.where} streams/{NAME}" in said
    paths, folder = stream.paths, RunPaths(stream.paths.uri)
    until(lambda: (last := Journal(paths).last()) and last.totals["used"] == len(ROWS), "the later bars")
    assert main([*stream.words, "--every=0.5"]) == 1
    assert f"stream {NAME} is run already, by process" in capsys.readouterr().err
    command("status", f"streams/{NAME}", f"--root={place.root}")
    assert "attempt 2, at work" in (said := capsys.readouterr().out)
    assert f"{NAME}: batch {Journal(paths).newest}; {len(ROWS):,} bars" in said

    command("cancel", paths.uri)
    assert f"asked attempt 2 of stream {NAME} to stop" in capsys.readouterr().out
    until(lambda: not attempts.is_alive(folder, 2), "the end of the driver")
    service = open_cloud(place.where).spark
    until(lambda: all(each.state is not JobState.RUNNING for each in service.find(paths.uri)), "the end of the job")
    command("status", f"streams/{NAME}", f"--root={place.root}")
    assert "attempt 2, cancelled" in capsys.readouterr().out
    command("logs", f"streams/{NAME}", f"--root={place.root}")
    logged = capsys.readouterr().out
    assert "stream/driver" in logged
    assert f"{len(ROWS)} bars" in logged
    assert "the run was cancelled" in logged
    assert equals_one_process(stream, tmp_path)
    require_no_secret(place, stream)


def require_no_secret(place: Place, stream: Stream) -> None:
    """Checks that no value of the properties is in the stream's folder, the code, the checkpoint, or a log of Spark."""
    files = [path for path in place.cloud.folder.rglob("*") if _is_log(path)]
    files += [path for path in (place.scratch / "at").rglob("*") if path.is_file()]
    assert {"stdout", "stderr", "settings.json", "metadata"} <= {path.name for path in files}
    assert [path for path in files if "events" in path.parts]
    seen = [*texts(f"{stream.paths.uri}/"), *(path.read_text(errors="replace") for path in files)]
    assert not [text for text in seen if SECRET in text]


def _is_log(path: Path) -> bool:
    return path.is_file() and ("events" in path.parts or path.name in ("stdout", "stderr", "settings.json"))
