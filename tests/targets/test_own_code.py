"""The user's packages travel with a run: by content, and no other package."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.errors import UserCodeError
from cloudlstm.targets import JobState, open_target
from cloudlstm.targets.bundle import package
from cloudlstm.targets.local.job import LocalJob
from targets.test_requests import AWS, GCP, requests, written

NAMED = ('features.extra=["mypkg.features:MOMENTUM"]', 'model.build="single:build"')


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with two packages that the settings name, and one that they do not."""
    for name, text in {
        "mypkg/__init__.py": "",
        "mypkg/features.py": "MOMENTUM = 7\n",
        "single.py": "build = 1\n",
        "unnamed/__init__.py": "",
    }.items():
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def bundle(folder: Path) -> package.Bundle:
    return package.Bundle(f"file://{folder}/bucket", python="3.11", architecture="x86_64", accelerator="cpu")


def test_the_archive_has_the_named_packages_and_its_name_is_its_content(folder: Path, tmp_path: Path) -> None:
    packages = [str(folder / "mypkg"), str(folder / "single.py")]
    part = bundle(tmp_path).own(packages)
    content = storage.read(part.uri)
    assert part.uri == f"file://{tmp_path}/bucket/code/{part.sha256}/own.zip"
    assert part.sha256 == hashlib.sha256(content).hexdigest()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.namelist() == ["mypkg/__init__.py", "mypkg/features.py", "single.py"]
    (folder / "mypkg/features.py").touch()
    (folder / "mypkg/__pycache__").mkdir()
    (folder / "mypkg/__pycache__/features.pyc").touch()
    again = bundle(tmp_path).own(packages)
    assert (again.uri, again.sent_bytes) == (part.uri, 0)
    (folder / "mypkg/features.py").write_text("MOMENTUM = 8\n")
    assert bundle(tmp_path).own(packages).sha256 != part.sha256


def work(found: tuple[dict[str, Any], ...], job: str) -> dict[str, Any]:
    (request,) = [each for each in found if each.get("job") == job]
    return request


def test_spark_gets_the_packages_on_its_path(tmp_path: Path, folder: Path) -> None:
    emr = work(requests(written(AWS, tmp_path), *NAMED), "prepare")
    words = emr["submit"]["arguments"]["Steps"][0]["HadoopJarStep"]["Args"]
    assert words[words.index("--py-files") + 1] == "${package.uri},${own.uri}"
    dataproc = work(requests(written(GCP, tmp_path), *NAMED), "prepare")
    assert dataproc["submit"]["arguments"]["job"]["pyspark_job"]["python_file_uris"] == ["${package.uri}", "${own.uri}"]
    assert emr["packages"] == dataproc["packages"] == [str(folder / "mypkg"), str(folder / "single.py")]


def test_trainers_get_the_packages_in_their_assignment(tmp_path: Path) -> None:
    place = written(AWS, tmp_path)
    named = work(requests(place, *NAMED), "train")["assignment"]["document"]
    assert named["own"] == {"uri": "${own.uri}", "sha256": "${own.sha256}"}
    assert "own" not in work(requests(place), "train")["assignment"]["document"]


def test_placeholders_are_filled_with_the_uploaded_archive(tmp_path: Path, folder: Path) -> None:
    made = bundle(tmp_path).filled(
        {"own": "${own.uri}", "other": "${opened}"}, {"opened": "1a"}, [str(folder / "mypkg")]
    )
    assert storage.exists(made["own"])
    assert made["other"] == "1a"


def test_a_package_that_is_not_there_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserCodeError, match="no package nopkg in"):
        requests(written(AWS, tmp_path), 'model.build="nopkg:build"')


PROGRAM = """
import json, sys
from cloudlstm.runs import user_code
value = user_code.load_object("mypkg.features:MOMENTUM")
json.dump([value, user_code.identity(["mypkg.features:MOMENTUM"])], open(sys.argv[1], "a"))
try:
    import unnamed
except ModuleNotFoundError:
    sys.exit(0)
sys.exit(1)
"""


def test_a_job_of_this_machine_runs_the_code_of_the_moment_when_it_started(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for its turn here, as the job train waits for the job prepare; meanwhile the user edits the package."""
    from cloudlstm.runs import user_code

    before = user_code.identity(["mypkg.features:MOMENTUM"])
    result = tmp_path / "result.json"
    waiting = f"import sys\nsys.stdin.buffer.raw.read(1)\n{PROGRAM}"
    request = {
        "job": "tested",
        "packages": [str(folder / "mypkg")],
        "processes": [{"worker": "driver", "argv": [sys.executable, "-P", "-c", waiting, str(result)], "env": {}}],
    }
    monkeypatch.chdir(tmp_path)
    job = LocalJob(request, waits=True)
    try:
        (folder / "mypkg/features.py").write_text("raise RuntimeError('half an edit')")
        assert job.begin(request)
        while job.state() is JobState.RUNNING:
            job.wait(0.1)
        assert job.state() is JobState.DONE, job.explain()
    finally:
        job.cancel()
    assert json.loads(result.read_text()) == [7, before]


def test_a_local_job_without_own_code_names_no_packages(tmp_path: Path) -> None:
    from cloudlstm.config import parse
    from cloudlstm.runs.paths import RunPaths

    target, paths = open_target(None), RunPaths(f"file://{tmp_path}/run")
    named = parse({"model": {"build": "single:build"}})
    assert [target.request(job, named, paths)["packages"] for job in ("prepare", "train")] == [
        [str(Path.cwd() / "single.py")]
    ] * 2
    assert all("packages" not in target.request(job, parse({}), paths) for job in ("prepare", "train"))
