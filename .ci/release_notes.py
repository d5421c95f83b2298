"""Prints the section of CHANGELOG.md of a release, if tag, package and changelog agree; else says what does not.

    python .ci/release_notes.py v0.11.0

It needs nothing but Python: it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(tag: str, root: Path = ROOT) -> str:
    """The text of a release.

    Args:
        tag: The tag, such as "v0.11.0".
        root: The project.

    Raises:
        ValueError: Tag, version and changelog do not agree.
    """
    version = tag.removeprefix("v")
    if not re.fullmatch(r"v\d+\.\d+\.\d+", tag):
        raise ValueError(f"the tag {tag} is no version such as v0.11.0")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    package = (root / "src/cloudlstm/__init__.py").read_text(encoding="utf-8")
    (own,) = re.findall(r'^__version__ = "([^"]+)"', package, re.MULTILINE)
    for name, found in (("pyproject.toml", project), ("src/cloudlstm/__init__.py", own)):
        if found != version:
            raise ValueError(f"{name} says {found}, and the tag is {tag}")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if re.search(r"^## \[?unreleased", changelog, re.MULTILINE | re.IGNORECASE):
        raise ValueError("CHANGELOG.md still has a section Unreleased")
    sections = re.split(r"^## \[", changelog, flags=re.MULTILINE)[1:]
    if not sections or not re.match(rf"{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}\n", sections[0]):
        raise ValueError(f"the first section of CHANGELOG.md is not [{version}] with its date")
    text = sections[0].partition("\n")[2].partition("\n[")[0].strip()
    if not text:
        raise ValueError(f"CHANGELOG.md says nothing about {version}")
    return text + "\n"


if __name__ == "__main__":
    try:
        sys.stdout.write(notes(sys.argv[1]))
    except ValueError as error:
        sys.exit(f"no release: {error}")
