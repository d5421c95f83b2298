"""The user's own packages: found, imported, hashed, and refused with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudlstm.config import parse
from cloudlstm.errors import UserCodeError
from cloudlstm.runs import own_packages, user_code
from cloudlstm.runs.environment import OWN_CODE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The present folder, with a package of the user's; what a test imports from it is forgotten after it."""
    write(tmp_path, "mypkg/__init__.py")
    write(tmp_path, "mypkg/features.py", "from mypkg.helpers import VALUE\nMOMENTUM = VALUE\n")
    write(tmp_path, "mypkg/helpers.py", "VALUE = 7\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [each for each in sys.modules if each.partition(".")[0] in ("mypkg", "single")]:
        del sys.modules[name]


def write(folder: Path, name: str, text: str = "") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def refused(name: str) -> str:
    with pytest.raises(UserCodeError) as caught:
        user_code.load_object(name)
    return str(caught.value)


def archived(folder: Path, path: Path) -> Path:
    archive = folder / "elsewhere.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name, data in own_packages.files(path):
            opened.writestr(name, data)
    return archive


def test_an_object_of_the_present_folder_is_imported() -> None:
    assert user_code.load_object("mypkg.features:MOMENTUM") == 7


def test_a_single_module_is_a_package_too(folder: Path) -> None:
    write(folder, "single.py", "NAME = 3")
    assert user_code.load_object("single:NAME") == 3
    assert own_packages.files(folder / "single.py") == [("single.py", b"NAME = 3")]


def test_a_package_may_lie_beside_the_file_of_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "other")
    assert "no package mypkg in" in refused("mypkg.features:MOMENTUM")
    own_packages.look_beside(str(folder / "mine.toml"))
    try:
        assert user_code.load_object("mypkg.features:MOMENTUM") == 7
    finally:
        own_packages.look_beside(None)
    own_packages.look_beside("s3://bucket/mine.toml")
    assert own_packages.places() == [str(folder / "other")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nopkg.features:X", "no package nopkg in"),
        ("mypkg.featurs:X", "no module mypkg.featurs in"),
        ("mypkg.features:MOMENTUN", "the module mypkg.features has no MOMENTUN (try: MOMENTUM)"),
        ("json:loads", "json is a part of Python"),
    ],
)
def test_what_is_not_there_is_refused(name: str, message: str) -> None:
    assert message in refused(name)
    with pytest.raises(UserCodeError) as caught:
        user_code.require_there(name)
    assert message in str(caught.value)


def test_the_place_of_the_present_folder_is_told(folder: Path) -> None:
    assert str(folder) in refused("nopkg:X")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "mypkg.broken cannot be imported: ZeroDivisionError: division by zero (mypkg/broken.py, line 2)"),
        ("import sys; sys.exit('no')", "mypkg.broken cannot be imported: SystemExit: no (mypkg/broken.py, line 2)"),
        ("def x(:", "mypkg.broken cannot be imported: SyntaxError: invalid syntax (mypkg/broken.py, line 2)"),
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing' (mypkg/broken.py, line 2)"),
    ],
)
def test_a_failed_import_shows_the_last_line_of_the_users_traceback(folder: Path, source: str, message: str) -> None:
    write(folder, "mypkg/broken.py", f"# a comment\n{source}\n")
    assert message in refused("mypkg.broken:X")


def test_a_name_is_checked_without_running_code(folder: Path) -> None:
    write(folder, "mypkg/loud.py", "raise RuntimeError\ndef build(): ...\n")
    user_code.require_there("mypkg.loud:build")
    with pytest.raises(UserCodeError, match=r"the module mypkg\.loud has no built \(try: build\)"):
        user_code.require_there("mypkg.loud:built")
    assert "mypkg" not in sys.modules


def test_only_named_packages_are_importable_from_the_folder(folder: Path) -> None:
    """The machines of a cloud get no other package."""
    write(folder, "beside.py")
    write(folder, "mypkg/broken.py", "import beside")
    code = "from cloudlstm.runs import user_code; user_code.load_object('mypkg.broken:X')"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert "No module named 'beside' (mypkg/broken.py, line 1)" in done.stderr
    assert "inside its own folder" in done.stderr


def test_a_folder_without_init_is_refused(folder: Path) -> None:
    write(folder, "plain/features.py", "X = 1")
    assert "plain is a folder without __init__.py" in refused("plain.features:X")


def test_a_package_with_the_name_of_an_installed_one_is_refused(folder: Path) -> None:
    write(folder, "pytest/__init__.py")
    assert "two packages are called pytest: " in refused("pytest:X")


def test_an_installed_package_counts_by_its_version_and_does_not_travel() -> None:
    names = ["pytest:approx", "cloudlstm.features:FEATURES"]
    identity = dict(user_code.identity(names))
    assert identity["pytest"] == f"pytest {pytest.__version__}"
    assert identity["cloudlstm"].startswith("cloudlstm ")
    assert all(own_packages.find(name.partition(":")[0].partition(".")[0]).installed for name in names)
    assert user_code.load_object("pytest:approx") is pytest.approx


def test_the_packages_of_a_configuration_are_those_that_it_names(folder: Path) -> None:
    write(folder, "single.py", "build = None")
    write(folder, "unnamed/__init__.py")
    config = parse({"features": {"extra": ["mypkg.features:MOMENTUM"]}, "model": {"build": "single:build"}})
    assert user_code.packages_of(config) == [folder / "mypkg", folder / "single.py"]
    assert user_code.packages_of(parse({})) == []
    scored = parse({"exogenous": {"news": {"source": "synthetic", "scorer": "mypkg.features:MOMENTUM"}}})
    assert user_code.packages_of(scored) == [folder / "mypkg"]


def test_identity_follows_the_content_of_all_files_and_nothing_else(folder: Path) -> None:
    names = ["mypkg.features:MOMENTUM"]
    before = user_code.identity(names)
    user_code.load_object(names[0])  # writes __pycache__
    write(folder, "mypkg/.secret", "x")
    os.utime(folder / "mypkg/helpers.py", (1, 1))
    assert user_code.identity(names) == before
    write(folder, "mypkg/weights.csv", "1")
    with_data = user_code.identity(names)
    (folder / "mypkg/weights.csv").rename(folder / "mypkg/w.csv")
    assert len({before[0][1], with_data[0][1], user_code.identity(names)[0][1]}) == 3


def test_an_archive_has_the_identity_of_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["mypkg.features:MOMENTUM"]
    before = user_code.identity(names)
    monkeypatch.setenv(OWN_CODE, str(archived(folder, folder / "mypkg")))
    write(folder, "mypkg/features.py", "raise RuntimeError('changed after the submit')")
    assert user_code.identity(names) == before
    assert user_code.load_object(names[0]) == 7


def test_a_large_package_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_packages, "_MOST_BYTES", 1 << 20)
    write(folder, "mypkg/data.csv", "x" * (1 << 20))
    with pytest.raises(UserCodeError, match="the package mypkg has more than 1 MB"):
        user_code.identity(["mypkg:X"])


def test_a_changed_package_is_imported_anew(folder: Path) -> None:
    """As in a notebook, where one process submits again and again."""
    assert user_code.load_object("mypkg.features:MOMENTUM") == 7
    write(folder, "mypkg/helpers.py", "VALUE = 800\n")
    assert user_code.load_object("mypkg.features:MOMENTUM") == 800
    same = sys.modules["mypkg.features"]
    user_code.load_object("mypkg.features:MOMENTUM")
    assert sys.modules["mypkg.features"] is same
