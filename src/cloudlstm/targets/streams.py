"""The job "stream" on the Spark cluster of a cloud: its request, and what is refused before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudlstm import storage
from cloudlstm.costs.usage import as_json
from cloudlstm.errors import UsageError
from cloudlstm.targets import costs
from cloudlstm.targets.base import Request, StreamWork
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import retry_unavailable
from cloudlstm.targets.services import SparkService, SparkWork
from cloudlstm.targets.spark_job import STREAM_DEPENDENCIES

if TYPE_CHECKING:
    from cloudlstm.targets.cloud import CloudTarget

CHECKS = ("credentials", "bucket", "cluster", "interpreter")
"""Of the checks of a target, those that a stream needs; it has no trainers."""

_EMR_JARS = "/usr/lib/spark/connector/lib"
_IMAGE_JARS = {
    "aws": (f"{_EMR_JARS}/spark-sql-kafka-0-10.jar", f"{_EMR_JARS}/spark-token-provider-kafka-0-10.jar"),
    "gcp": (),
}
"""The connector's archives on the image of each cloud."""

_FIRST_WITH_PYTHON = 4
_NEWER = {"aws": "emr-spark-8.1.0", "gcp": "3.0-debian13"}
"""A release of each cloud whose Spark has sources in Python."""


def request(target: TargetConfig, spark: SparkService, work: StreamWork) -> Request:
    """The request of the job "stream".

    Args:
        target: The target document.
        spark: Its Spark service.
        work: The stream.

    Raises:
        UsageError: The cluster lacks what the stream needs.
    """
    require_connector(target, work.connector, work.jars)
    jars = (*_IMAGE_JARS[target.cloud], *work.jars) if work.connector == "kafka" else ()
    files = ("${package.uri}", *(("${own.uri}",) if work.own else ()))
    submitted = SparkWork(
        "stream", work.paths, work.driver_memory_mib, files, STREAM_DEPENDENCIES, work.words, jars
    )  # fmt: skip
    return {
        "job": "stream",
        "run": work.paths.uri,
        "attempt": "${attempt}",
        **work.own,
        "hours": work.hours,
        "rate": as_json(costs.spark_rate(target)),
        "submit": spark.request(submitted),
    }


def check(target: CloudTarget, root: str) -> None:
    """Raises the error of the first check of a target that fails for a stream in `root`."""
    found = target.checks(None, root)
    for name in CHECKS:
        retry_unavailable(found[name])


def require_connector(target: TargetConfig, connector: str, jars: Sequence[str]) -> None:
    """Raises UsageError if the cluster's Spark cannot read Kafka in this way, by what the target document says."""
    release = target.spark_release
    if connector == "python" and (major := _spark_of(release)) is not None and major < _FIRST_WITH_PYTHON:
        raise UsageError(
            f"a stream needs Spark 4.0 or newer for its source in Python, and {release} has Spark {major}",
            hint=f"--connector=kafka with the connector's --jars, or spark_release = "
            f'"{_NEWER[target.cloud]}" in Terraform',
        )
    if connector == "kafka" and not _IMAGE_JARS[target.cloud] and not jars:
        raise UsageError(
            f"{release} brings no connector for Kafka",
            hint=f"--jars={target.bucket_uri}/jars/spark-sql-kafka-0-10.jar,… with all archives that it needs",
        )


def require_reach(target: TargetConfig, uri: str, what: str, hint: str) -> None:
    """Raises UsageError if the machines of a target cannot read or write at `uri`.

    Args:
        target: The target document.
        uri: A place.
        what: What is there, at the beginning of the error.
        hint: What to do.
    """
    if storage.scheme_of(storage.absolute(uri)) != storage.scheme_of(target.bucket_uri):
        raise UsageError(f"{what} {uri} is where the machines of {target.name} cannot reach it", hint=hint)


def _spark_of(release: str) -> int | None:
    """Spark's major version in a release: of EMR such as emr-7.14.0, of Dataproc such as 2.3-debian12.

    None if the release has another form.
    """
    if release.startswith("emr-spark-"):
        return 4
    first = release.removeprefix("emr-").partition(".")[0]
    if not first.isdecimal():
        return None
    return 3 if release.startswith("emr-") or int(first) < 3 else 4
