"""Runs one step as a cluster does: fetches its files, gives driver and executors their environment, runs spark-submit.

Usage: python -m localstack.spark.step ORDER.json. The order names the words of spark-submit, the Spark cluster and the
environment of its nodes. Standard output and error are those of the client that submits; the driver's own go to
`driver/stdout` and `driver/stderr`. Ends with the status of the client.
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
from localstack.spark.submission import Submission, SubmitError, archive_name, is_remote, parse, standalone_words

# Where EMR's and Dataproc's images have their interpreters.
_NODE_PYTHON = re.compile(r"(/usr/bin/|/usr/local/bin/|/opt/conda/[^/]+/bin/|)python3?(\.\d+)?")


class StepError(Exception):
    """The cluster manager could not start the driver; the text is the one of its exception."""


def main(order: dict[str, Any], folder: Path) -> int:
    """Runs the step in `folder` and returns the client's exit status."""
    try:
        submission = parse(order["words"])
        submission.conf = order["defaults"] | submission.conf
        command, environment = _prepare(submission, order, folder / "driver")
    except SubmitError as error:
        _print(f"Error: {error}")
        return 1
    except StepError as error:
        _print(f'Exception in thread "main" {error}')
        return 1
    application = order["application"]
    _wait_for_spark(order["web"])
    _say(f"INFO Client: Submitted application {application}")
    where = folder / "driver"
    if not submission.in_cluster:  # what the driver prints is what the client prints
        return subprocess.run(command, cwd=where, env=environment, check=False).returncode
    with (where / "stdout").open("wb") as out, (where / "stderr").open("wb") as err:
        status = subprocess.run(command, cwd=where, env=environment, stdout=out, stderr=err, check=False).returncode
    if status == 0:
        _say(f"INFO Client: Application report for {application} (state: FINISHED)")
        return 0
    _say(f"ERROR Client: Application diagnostics message: User application exited with status {status}")
    _print(
        'Exception in thread "main" org.apache.spark.SparkException: '
        f"Application {application} finished with failed status"
    )
    return 1


def _wait_for_spark(web_url: str) -> None:
    give_up = time.monotonic() + START_S
    while workers(web_url) < WORKERS and time.monotonic() < give_up:
        time.sleep(0.2)


def _prepare(submission: Submission, order: dict[str, Any], driver: Path) -> tuple[list[str], dict[str, str]]:
    """Lays out the driver's folder as YARN would a container's; the command and its environment."""
    driver.mkdir(parents=True)
    main = _localised(submission.main, driver)
    py_files = [_localised(uri, driver) for uri in submission.uris("py-files")]
    files = [_localised(uri, driver) for uri in submission.uris("files")]
    archives = []
    for uri in submission.uris("archives"):
        bare, name = archive_name(uri)
        if is_remote(bare):
            packed, unpacked = _kept(bare, driver.parents[1] / "archives")
            (driver / name).symlink_to(unpacked)
        else:
            packed = _localised(bare, driver)
            _unpack(packed, driver / name)
        archives.append(f"{packed}#{name}")
    environment = order["environment"] | submission.driver_environment
    conf = dict(order["conf"])
    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        if name in environment:
            environment[name] = _python(environment[name], order)
    for setting in ("spark.pyspark.python", "spark.pyspark.driver.python"):
        if setting in submission.conf:
            conf[setting] = _python(submission.conf[setting], order)
    words = standalone_words(
        submission,
        master=order["master"],
        main=main,
        files=[("py-files", py_files), ("files", files), ("archives", archives)],
        conf=conf.items(),
    )
    return [f"{environment['SPARK_HOME']}/bin/spark-submit", *words], environment


def _kept(uri: str, shelf: Path) -> tuple[str, Path]:
    """The paths of an archive and of what is in it; a cluster keeps both for applications to come."""
    try:
        etag = storage.stat(_as_storage_has_it(uri)).etag
    except CloudLSTMError as error:
        raise StepError(f"java.io.FileNotFoundException: No such file or directory: {uri} ({error})") from error
    home = shelf / hashlib.sha256(f"{uri} {etag}".encode()).hexdigest()[:16]
    if not home.exists():
        fresh = shelf / f".{home.name}-{os.getpid()}"
        _unpack(_localised(uri, fresh), fresh / "unpacked")
        try:
            fresh.rename(home)
        except OSError:  # another application was faster
            shutil.rmtree(fresh)
    return str(home / uri.rpartition("/")[2]), home / "unpacked"


def _as_storage_has_it(uri: str) -> str:
    return re.sub(r"^s3[an]:", "s3:", uri)


def _localised(uri: str, folder: Path) -> str:
    """The path of a file that was fetched into `folder` under its own name."""
    if not is_remote(uri):
        path = Path(uri.removeprefix("file://"))
        if not path.is_absolute() or not path.exists():
            raise StepError(f"java.io.FileNotFoundException: File {uri} does not exist on this node")
        return str(path)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / uri.rpartition("/")[2]
    began = time.monotonic()
    try:
        storage.download(_as_storage_has_it(uri), path)
    except CloudLSTMError as error:
        raise StepError(f"java.io.FileNotFoundException: No such file or directory: {uri} ({error})") from error
    _say(f"INFO Client: Uploading resource {uri} ({path.stat().st_size} bytes, {time.monotonic() - began:.1f} s)")
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


def _python(named: str, order: dict[str, Any]) -> str:
    """The interpreter that stands for a node's; other paths are left as they are, such as one in an archive.

    Raises:
        StepError: for a Python version that the nodes do not have.
    """
    found = _NODE_PYTHON.fullmatch(named)
    if not found:
        return named
    version: str = order["python_version"]
    if found[2] not in (None, f".{version.partition('.')[2]}"):
        raise StepError(f'java.io.IOException: Cannot run program "{named}": the nodes have Python {version}')
    return str(order["python"])


def _say(line: str) -> None:
    _print(f"{time.strftime('%y/%m/%d %H:%M:%S')} {line}")


def _print(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    path = Path(sys.argv[1])
    sys.exit(main(json.loads(path.read_text()), path.parent))
