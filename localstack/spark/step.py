"""Runs one step as a cluster does: downloads its files, sets the nodes' environment, and runs spark-submit.

Usage: python -m localstack.spark.step SETTINGS.json. The settings hold the arguments of spark-submit, the Spark cluster
and the environment of its nodes. Standard output and error are those of the submitting client; the driver's own are in
`driver/stdout` and `driver/stderr`. The exit status is that of the client.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CloudLSTMError
from localstack.processes import START_S
from localstack.spark.cluster import WORKERS, workers
from localstack.spark.submission import Submission, SubmitError, archive_name, is_remote, parse, standalone_arguments

# The paths of interpreters on EMR's and Dataproc's images.
_NODE_PYTHON = re.compile(r"(/usr/bin/|/usr/local/bin/|/opt/conda/[^/]+/bin/|)python3?(\.\d+)?")


class StepError(Exception):
    """The cluster manager could not start the driver; the message is that of its exception."""


def main(settings: dict[str, Any], folder: Path) -> int:
    """Runs the step in `folder` and returns the client's exit status."""
    try:
        submission = parse(settings["arguments"])
        submission.conf = settings["defaults"] | submission.conf
        command, environment = _prepare(submission, settings, folder / "driver")
    except SubmitError as error:
        _print(f"Error: {error}")
        return 1
    except StepError as error:
        _print(f'Exception in thread "main" {error}')
        return 1
    application = settings["application"]
    _wait_for_spark(settings["web"])
    _log(f"INFO Client: Submitted application {application}")
    driver = folder / "driver"
    if not submission.in_cluster:  # the driver writes to the client's output
        return subprocess.run(command, cwd=driver, env=environment, check=False).returncode
    with (driver / "stdout").open("wb") as out, (driver / "stderr").open("wb") as err:
        status = subprocess.run(command, cwd=driver, env=environment, stdout=out, stderr=err, check=False).returncode
    if status == 0:
        _log(f"INFO Client: Application report for {application} (state: FINISHED)")
        return 0
    _log(f"ERROR Client: Application diagnostics message: User application exited with status {status}")
    _print(
        'Exception in thread "main" org.apache.spark.SparkException: '
        f"Application {application} finished with failed status"
    )
    return 1


def _wait_for_spark(web_url: str) -> None:
    give_up = time.monotonic() + START_S
    while workers(web_url) < WORKERS and time.monotonic() < give_up:
        time.sleep(0.2)


def _prepare(submission: Submission, settings: dict[str, Any], driver: Path) -> tuple[list[str], dict[str, str]]:
    """Fills the driver's folder as YARN fills a container's; returns the command and its environment."""
    driver.mkdir(parents=True)
    main = _local_path(submission.main, driver)
    py_files = [_local_path(uri, driver) for uri in submission.uris("py-files")]
    files = [_local_path(uri, driver) for uri in submission.uris("files")]
    archives = []
    for uri in submission.uris("archives"):
        bare, name = archive_name(uri)
        if is_remote(bare):
            packed, unpacked = _cached_archive(bare, driver.parents[1] / "archives")
            (driver / name).symlink_to(unpacked)
        else:
            packed = _local_path(bare, driver)
            _unpack(packed, driver / name)
        archives.append(f"{packed}#{name}")
    environment = settings["environment"] | submission.driver_environment
    conf = dict(settings["conf"])
    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        if name in environment:
            environment[name] = _python(environment[name], settings)
    for setting in ("spark.pyspark.python", "spark.pyspark.driver.python"):
        if setting in submission.conf:
            conf[setting] = _python(submission.conf[setting], settings)
    arguments = standalone_arguments(
        submission,
        master=settings["master"],
        main=main,
        files=[("py-files", py_files), ("files", files), ("archives", archives)],
        conf=conf.items(),
    )
    return [f"{environment['SPARK_HOME']}/bin/spark-submit", *arguments], environment


def _cached_archive(uri: str, cache: Path) -> tuple[str, Path]:
    """Returns the paths of an archive and of its unpacked content; later applications use both again."""
    try:
        etag = storage.stat(_storage_uri(uri)).etag
    except CloudLSTMError as error:
        raise StepError(f"java.io.FileNotFoundException: No such file or directory: {uri} ({error})") from error
    home = cache / hashlib.sha256(f"{uri} {etag}".encode()).hexdigest()[:16]
    if not home.exists():
        fresh = cache / f".{home.name}-{os.getpid()}"
        _unpack(_local_path(uri, fresh), fresh / "unpacked")
        try:
            fresh.rename(home)
        except OSError:  # another application was faster
            shutil.rmtree(fresh)
    return str(home / uri.rpartition("/")[2]), home / "unpacked"


def _storage_uri(uri: str) -> str:
    return re.sub(r"^s3[an]:", "s3:", uri)


def _local_path(uri: str, folder: Path) -> str:
    """Returns the path of a file; downloads it into `folder` if it is remote."""
    if not is_remote(uri):
        path = Path(uri.removeprefix("file://"))
        if not path.is_absolute() or not path.exists():
            raise StepError(f"java.io.FileNotFoundException: File {uri} does not exist on this node")
        return str(path)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / uri.rpartition("/")[2]
    began = time.monotonic()
    try:
        storage.download(_storage_uri(uri), path)
    except CloudLSTMError as error:
        raise StepError(f"java.io.FileNotFoundException: No such file or directory: {uri} ({error})") from error
    _log(f"INFO Client: Uploading resource {uri} ({path.stat().st_size} bytes, {time.monotonic() - began:.1f} s)")
    return str(path)


def _unpack(packed: str, folder: Path) -> None:
    try:
        if packed.endswith((".zip", ".jar", ".whl")):
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(folder)
        else:
            shutil.unpack_archive(packed, folder, filter="data")
    except (shutil.ReadError, zipfile.BadZipFile, OSError) as error:
        raise StepError(f"java.io.IOException: cannot unpack {packed}: {error}") from error


def _python(named: str, settings: dict[str, Any]) -> str:
    """Returns the local interpreter for a path on a node; other paths, such as one in an archive, stay unchanged.

    Raises:
        StepError: if the nodes do not have this Python version.
    """
    found = _NODE_PYTHON.fullmatch(named)
    if not found:
        return named
    version: str = settings["python_version"]
    if found[2] not in (None, f".{version.partition('.')[2]}"):
        raise StepError(f'java.io.IOException: Cannot run program "{named}": the nodes have Python {version}')
    return str(settings["python"])


def _log(line: str) -> None:
    _print(f"{time.strftime('%y/%m/%d %H:%M:%S')} {line}")


def _print(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    path = Path(sys.argv[1])
    sys.exit(main(json.loads(path.read_text()), path.parent))
