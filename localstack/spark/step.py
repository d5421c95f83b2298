"""Runs one step as a cluster does: downloads its files and runs spark-submit, which submits it to YARN.

Usage: python -m localstack.spark.step SETTINGS.json. The settings hold the arguments of spark-submit, the environment
of the cluster's first machine and the folder of its daemons. Standard output, standard error and exit status are those
of spark-submit. Spark on a cluster reads s3:// and gs:// itself, by a connector that is not among Spark's own jars.
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
from pathlib import Path
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import CloudLSTMError
from localstack.processes import START_S
from localstack.spark.cluster import FAILED, READY
from localstack.spark.submission import Submission, SubmitError, is_remote, parse, yarn_arguments

# The paths of interpreters on EMR's and Dataproc's images.
_NODE_PYTHON = re.compile(r"(/usr/bin/|/usr/local/bin/|/opt/conda/[^/]+/bin/|)python3?(\.\d+)?")
_INTERPRETERS = (
    "spark.pyspark.python",
    "spark.pyspark.driver.python",
    "spark.yarn.appMasterEnv.PYSPARK_PYTHON",
    "spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON",
    "spark.executorEnv.PYSPARK_PYTHON",
)


class StepError(Exception):
    """The cluster manager could not start the driver; the message is that of its exception."""


def main(settings: dict[str, Any], folder: Path) -> int:
    """Runs the step in `folder` and returns the client's exit status."""
    try:
        submission = parse(settings["arguments"])
        submission.conf = settings["defaults"] | submission.conf
        command = _command(submission, settings, folder / "files", folder.parent / "archives")
        _wait_for_daemons(Path(settings["daemons"]))
    except SubmitError as error:
        _print(f"Error: {error}")
        return 1
    except StepError as error:
        _print(f'Exception in thread "main" {error}')
        return 1
    client = folder / "client"
    client.mkdir()
    return subprocess.run(command, cwd=client, env=settings["environment"], check=False).returncode


def _wait_for_daemons(folder: Path) -> None:
    give_up = time.monotonic() + START_S
    while not (folder / READY).exists():
        if (folder / FAILED).exists():
            raise StepError((folder / FAILED).read_text())
        if time.monotonic() > give_up:
            raise StepError("java.net.ConnectException: YARN's daemons do not answer")
        time.sleep(0.1)


def _command(submission: Submission, settings: dict[str, Any], files: Path, archives: Path) -> list[str]:
    """Downloads the files and returns the command with their local paths and the local interpreters."""
    conf = dict(settings["conf"])
    if tags := submission.conf.get("spark.yarn.tags"):
        conf["spark.yarn.tags"] = f"{tags},{conf['spark.yarn.tags']}"
    for name in _INTERPRETERS:
        if name in submission.conf:
            conf[name] = _python(submission.conf[name], settings)
    arguments = yarn_arguments(
        submission,
        main=_local_path(submission.main, files),
        files={
            "py-files": [_local_path(uri, files) for uri in submission.uris("py-files")],
            "files": [_local_path(uri, files) for uri in submission.uris("files")],
            "jars": [_local_path(uri, files) for uri in submission.uris("jars")],
            "archives": [_local_path(uri, archives) for uri in submission.uris("archives")],
        },
        conf=conf,
    )
    return [f"{settings['environment']['SPARK_HOME']}/bin/spark-submit", *arguments]


def _local_path(uri: str, folder: Path) -> str:
    """Returns the path of a file, with the URI's `#name`; downloads it into `folder` if it is remote and not there.

    Each remote file gets a folder of its own, so that its name stays the same.
    """
    bare, mark, name = uri.partition("#")
    if not is_remote(bare):
        path = Path(bare.removeprefix("file://"))
        if not path.is_absolute() or not path.exists():
            raise StepError(f"java.io.FileNotFoundException: File {bare} does not exist on this node")
        return f"{path}{mark}{name}"
    remote = re.sub(r"^s3[an]:", "s3:", bare)
    began = time.monotonic()
    try:
        etag = storage.stat(remote).etag
        home = folder / hashlib.sha256(f"{remote} {etag}".encode()).hexdigest()[:16]
        if not home.exists():
            fresh = folder / f".{home.name}-{os.getpid()}"
            fresh.mkdir(parents=True)
            storage.download(remote, fresh / bare.rpartition("/")[2])
            try:
                fresh.rename(home)
            except OSError:  # another application was faster
                shutil.rmtree(fresh)
            _log(f"INFO Client: downloaded {bare} in {time.monotonic() - began:.1f} s")
    except CloudLSTMError as error:
        raise StepError(f"java.io.FileNotFoundException: No such file or directory: {bare} ({error})") from error
    return f"{home / bare.rpartition('/')[2]}{mark}{name}"


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
