"""The exact requests that start a stream on a cloud, and what is refused before.

CLOUDLSTM_GOLDEN=1 writes the golden files; review them then.
"""

from __future__ import annotations

import json
import os
import runpy
from pathlib import Path
from typing import Any

import pytest

from cloudlstm.cli import main, stream_job
from cloudlstm.cli.stream_job import JobOptions, make_plan
from cloudlstm.config import parse
from cloudlstm.errors import UsageError
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.targets import open_target
from cloudlstm.targets.base import fill_placeholders
from targets.test_requests import AWS, GCP, GOLDEN, written

NEWER = GCP | {"spark_release": "3.0-debian13"}
OLDER = AWS | {"spark_release": "emr-7.14.0"}
SETTINGS = StreamSettings("kafka://broker.internal:9092/bars.1m")
JARS = ("gs://desk-runs/jars/spark-sql-kafka-0-10.jar", "gs://desk-runs/jars/kafka-clients.jar")
JOB = Path(__file__).resolve().parents[2] / "jobs" / "stream.py"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def planned(
    document: dict[str, Any], folder: Path, settings: StreamSettings = SETTINGS, root: str = "", **how: Any
) -> Any:
    target = open_target(written(document, folder))
    paths = StreamPaths.of(root or str(target.root), "live")
    return make_plan(paths, settings, target, JobOptions(**how)).requests


@pytest.mark.parametrize(("document", "name"), [(AWS, "emr-stream"), (NEWER, "dataproc-stream")])
def test_requests_match_the_golden_files(document: dict[str, Any], name: str, tmp_path: Path) -> None:
    wrote, request = planned(document, tmp_path, every_s=5.0, kafka=f"{document['bucket_uri']}/kafka.properties")
    assert wrote["uri"] == f"{document['bucket_uri']}/runs/streams/live/stream.json"
    text = json.dumps(request, indent=1) + "\n"
    path = GOLDEN / f"{name}.json"
    if os.environ.get("CLOUDLSTM_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("document", [AWS, NEWER, None])
def test_packages_that_the_features_name_travel_with_the_stream(
    document: dict[str, Any] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLES)
    config = parse({"features": {"extra": ["own.features:MOMENTUM"]}})
    monkeypatch.setattr(stream_job, "config_of", lambda *_: config)
    target = open_target(written(document, tmp_path) if document else None)
    paths = StreamPaths.of(str(target.root) if document else f"file://{tmp_path}", "live")
    _, request = make_plan(paths, SETTINGS, target, JobOptions()).requests
    assert request["packages"] == [str(EXAMPLES / "own")]
    assert ("${own.uri}" in json.dumps(request.get("submit"))) is bool(document)


def test_sparks_own_connector_comes_from_the_image_or_the_user(tmp_path: Path) -> None:
    own = "s3://desk-runs/jars/kafka-clients.jar"
    _, request = planned(OLDER, tmp_path, connector="kafka", jars=(own,))
    words = request["submit"]["arguments"]["Steps"][0]["HadoopJarStep"]["Args"]
    image = "/usr/lib/spark/connector/lib"
    jars = f"{image}/spark-sql-kafka-0-10.jar,{image}/spark-token-provider-kafka-0-10.jar,{own}"
    assert words[words.index(f"spark.jars={jars}") - 1] == "--conf"
    assert words[-2] == "--connector=kafka"
    _, request = planned(GCP, tmp_path, connector="kafka", jars=JARS)
    assert request["submit"]["arguments"]["job"]["pyspark_job"]["jar_file_uris"] == list(JARS)
    _, request = planned(AWS, tmp_path)
    assert "spark.jars" not in json.dumps(request), "our source needs none"


@pytest.mark.parametrize(
    ("how", "hours"),
    [({}, None), ({"available_now": True}, 6.0), ({"available_now": True, "max_hours": 2.0}, 2.0),
     ({"max_hours": 9.5}, 9.5)],
)  # fmt: skip
def test_a_stream_that_lives_has_no_limit_unless_the_user_sets_one(
    how: dict[str, Any], hours: float | None, tmp_path: Path
) -> None:
    _, request = planned(AWS, tmp_path, **how)
    assert request["hours"] == hours
    words = request["submit"]["arguments"]["Steps"][0]["HadoopJarStep"]["Args"]
    assert [word for word in words if word.startswith("--max-hours")] == ([f"--max-hours={hours:g}"] if hours else [])


def test_the_job_understands_every_word_of_the_launcher(tmp_path: Path) -> None:
    to = ("parquet", "kafka://one:9092,two:9092/forecasts")
    _, request = planned(
        AWS, tmp_path, every_s=0.5, connector="kafka", to=to, kafka="s3://desk-runs/k", batch_bars=7,
        checkpoint="hdfs:///at", max_hours=3.0,
    )  # fmt: skip
    words = request["submit"]["arguments"]["Steps"][0]["HadoopJarStep"]["Args"]
    job = runpy.run_path(str(JOB))
    found = job["parse"](words[words.index("${stream.uri}") + 1 :])
    assert job["_paths"](found).uri == "s3://desk-runs/runs/streams/live"
    assert job["sink_names"](found.to) == to
    assert (found.every, found.connector, found.kafka, found.batch_bars) == (0.5, "kafka", "s3://desk-runs/k", 7)
    assert (found.checkpoint, found.max_hours, found.available_now) == ("hdfs:///at", 3.0, False)
    by_hand = job["parse"](["--root=s3://desk-runs/runs/", "--name=live", "--available-now"])
    assert job["_paths"](by_hand).uri == "s3://desk-runs/runs/streams/live"


@pytest.mark.parametrize(
    ("document", "how", "message", "hint"),
    [
        (OLDER, {}, "needs Spark 4.0 or newer for its source in Python, and emr-7.14.0 has Spark 3",
         'spark_release = "emr-spark-8.1.0"'),
        (GCP, {}, "and 2.3-debian12 has Spark 3", 'spark_release = "3.0-debian13"'),
        (GCP, {"connector": "kafka"}, "2.3-debian12 brings no connector for Kafka", "--jars=gs://desk-runs/jars/"),
        (AWS, {"kafka": "kafka.properties"}, "--kafka: kafka.properties is where the machines of desk cannot reach it",
         "--kafka=s3://desk-runs/kafka.properties, which only the cluster may read"),
        (AWS, {"settings": StreamSettings("s3://desk-runs/landed")}, "landed files are read by one process", "a topic"),
        (AWS, {"settings": StreamSettings(SETTINGS.source, run="file:///runs/a")}, "the run file:///runs/a is where",
         "root of the target"),
        (AWS, {"root": "file:///runs"}, "the root of file:///runs/streams/live is where", "leave --root out"),
        (AWS, {"to": ("parquet", "console")}, "the sink console shows forecasts here", "--to=parquet"),
        (AWS, {"every_s": 1.0, "available_now": True}, "without --every", "one of the two"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told_before_anything_starts(
    document: dict[str, Any], how: dict[str, Any], message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        planned(document, tmp_path, **how)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--every=3", "--available-now"], "--available-now has batches as fast as it can, without --every"),
        (["--max-hours=3"], "--max-hours is for a stream on Spark"),
        (["--runner=spark", "--every=0"], "--every needs a number above 0, not 0"),
        (["--runner=spark", "--connector=jvm"], "--connector is python or kafka, not 'jvm'"),
        (["--runner=flink"], "--runner is spark, not 'flink'"),
        (["--runner=spark", "--on-gap=skip"], "a stream on Spark has no --on-gap"),
        (["--runner=spark", "--json"], "a stream on Spark has no --json"),
        (["--runner=spark"], "landed files are read by one process"),
    ],
)
def test_flags_of_the_other_runner_are_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", "live", "--source=landed", f"--root={tmp_path}", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--source=kafka://127.0.0.1:1/bars", "--runner=spark", f"--root={tmp_path}", "--dry-run"]
    assert main(["stream", "live", *words]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["verb"] == "stream"
    (process,) = plan["requests"][1]["processes"]
    assert process["argv"][-1] == f"file://{tmp_path}/streams/live"
    assert fill_placeholders(process["env"], {"attempt": "3"}.get)["CLOUDLSTM_ATTEMPT"] == "3"
    assert not list(tmp_path.iterdir())
