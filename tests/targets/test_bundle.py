"""The bundle of a cloud: equal bytes from every build, complete, and uploaded once."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.errors import MachineError
from cloudlstm.targets.bundle import dependencies, package
from cloudlstm.targets.bundle.archive import write_zip

REPO = Path(__file__).resolve().parents[2]
PACK = """
import hashlib, os, sys
from pathlib import Path
os.umask(int(sys.argv[1], 8))
from cloudlstm.targets.bundle.package import pack
print(hashlib.sha256(pack(Path(sys.argv[2])).read_bytes()).hexdigest())
"""


def test_two_processes_build_equal_packages(tmp_path: Path) -> None:
    prints = []
    for umask, seed, zone in (("022", "1", "UTC"), ("077", "2", "Asia/Taipei")):
        folder = tmp_path / umask
        folder.mkdir()
        env = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone}
        done = subprocess.run(
            [sys.executable, "-c", PACK, umask, folder], env=env, capture_output=True, text=True, check=True
        )
        prints.append(done.stdout)
    assert prints[0] == prints[1]


def test_an_archive_does_not_depend_on_times_permissions_and_order(tmp_path: Path) -> None:
    packed = []
    for number, names in enumerate((["a.py", "b/c.py"], ["b/c.py", "a.py"])):
        root = tmp_path / str(number)
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {name}\n" * 100)
            path.chmod(0o600 if number else 0o755)
            os.utime(path, (1e9 + number * 1e6,) * 2)
        file = BytesIO()
        write_zip(file, root, [root / name for name in names], compress=True)
        packed.append(file.getvalue())
    assert packed[0] == packed[1]
    with zipfile.ZipFile(BytesIO(packed[0])) as archive:
        assert archive.namelist() == ["a.py", "b/c.py"]
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


def test_the_package_is_complete_and_runs_from_its_archive(tmp_path: Path) -> None:
    path = package.pack(tmp_path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert {"cloudlstm/py.typed", "cloudlstm/report/models.py", "cloudlstm/workers/agent.py"} <= set(names)
    assert any(name.endswith(".j2") for name in names)
    assert not [name for name in names if name.endswith(".pyc") or "_assets" in name]
    modules = "cloudlstm, cloudlstm.workers.agent, cloudlstm.report.html as h"
    code = f"import {modules}; h.__loader__; print(cloudlstm.__file__)"
    env = os.environ | {"PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(path))


def wheel(folder: Path, name: str, files: dict[str, str], tag: str) -> str:
    """Writes a wheel into the folder; returns its line for a requirements file."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-1.0.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        lines = []
        for inside, text in files.items():
            archive.writestr(inside, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{inside},sha256={digest},{len(text)}")
        archive.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,"]) + "\n")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages of the test; one has wheels for another platform only."""
    folder = tmp_path / "wheels"
    files = {"plain/__init__.py": "x = 1\n", "plain/x.pyi": "x: int\n", "plain/tests/test_x.py": "assert 0\n"}
    lines = wheel(folder, "plain", files, "py3-none-any")
    lines += wheel(folder, "built", {"built.py": "built = 'elsewhere'\n"}, "cp311-cp311-manylinux_2_28_aarch64")
    requirements = tmp_path / "spark.txt"
    requirements.write_text(lines)
    monkeypatch.setattr(dependencies, "asset", lambda *_: requirements)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return requirements


def test_dependencies_are_built_once_for_another_platform(wheels: Path, tmp_path: Path) -> None:
    path = dependencies.dependencies("3.11", "aarch64")
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == {
            "built.py", "built-1.0.dist-info/METADATA", "plain/__init__.py", "plain-1.0.dist-info/METADATA",
        }  # fmt: skip
    before = path.stat().st_mtime_ns
    assert dependencies.dependencies("3.11", "aarch64") == path
    assert path.stat().st_mtime_ns == before
    first = path.read_bytes()
    path.unlink()
    assert dependencies.dependencies("3.11", "aarch64").read_bytes() == first


def test_a_wheel_that_does_not_exist_or_does_not_match_is_an_error(wheels: Path) -> None:
    with pytest.raises(MachineError, match="No matching distribution found for built"):
        dependencies.dependencies("3.11", "x86_64")
    wheels.write_text(wheels.read_text().replace("sha256:", "sha256:0000", 1).replace("\n", "0000\n", 0))
    with pytest.raises(MachineError, match="could not fetch"):
        dependencies.dependencies("3.11", "aarch64")


def test_an_existing_part_is_not_uploaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    upload = storage.upload
    monkeypatch.setattr(storage, "upload", lambda path, uri: (sent.append(uri), upload(path, uri))[1])
    for _ in range(2):
        parts = package.Bundle(f"file://{tmp_path}/bucket", python="3.11", architecture="x86_64", accelerator="cpu")
        uris = [parts[name].uri for name in ("package", "agent", "train")]
        for name in ("package", "agent"):
            content = storage.read(parts[name].uri)
            assert parts[name].uri.split("/")[-2] == parts[name].sha256 == hashlib.sha256(content).hexdigest()
    assert sent == uris
    assert parts.sent_bytes == 0


def test_dependencies_that_the_bucket_has_are_not_built_where_they_never_were(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bundle() -> package.Bundle:
        return package.Bundle(f"file://{tmp_path}/bucket", python="3.11", architecture="aarch64", accelerator="cpu")

    first = bundle()["dependencies"]
    assert first.sent_bytes > 0
    (pointer,) = (tmp_path / "bucket/code/dependencies").iterdir()
    written = pointer.stat().st_mtime_ns
    dependencies.dependencies("3.11", "aarch64").unlink()
    monkeypatch.setattr(dependencies, "run_pip", lambda *_: pytest.fail("there is no pip"))
    again = bundle()["dependencies"]
    assert (again.uri, again.sha256, again.sent_bytes) == (first.uri, first.sha256, 0)
    assert pointer.stat().st_mtime_ns == written
    pointer.unlink()
    with pytest.raises(pytest.fail.Exception, match="there is no pip"):
        bundle()["dependencies"]


def test_requirements_are_pinned_and_name_no_index() -> None:
    for name in ("launcher", "spark", "stream", "trainer-cpu", "trainer-cuda", "uv"):
        text = dependencies.asset("requirements", f"{name}.txt").read_text()
        assert "://" not in text
        lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert lines
        assert all("==" in line and line.endswith("\\") for line in lines)
    text = dependencies.asset("requirements", "stream.txt").read_text()
    stream = {line.split("==")[0] for line in text.splitlines()}
    settings = tomllib.loads((REPO / "pyproject.toml").read_text())
    assert settings["dependency-groups"]["stream"] == settings["project"]["optional-dependencies"]["kafka"]
    assert {"confluent-kafka", "jinja2"} <= stream
    for name in ("launcher", "spark"):
        text = dependencies.asset("requirements", f"{name}.txt").read_text()
        assert not {"pyspark", "tensorflow"} & {line.split("==")[0] for line in text.splitlines()}
