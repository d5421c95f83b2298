"""The order of the tests, and which of them are kept together where several run side by side."""

from __future__ import annotations

import pytest

_LONGEST_FIRST = ("clouds", "pipeline", "training", "reliability", "localstack")
_ON_CLOUDS = ("tests/infra/", "tests/cloud/")
_TARGETS = {"applied", "aws", "gcp", "target"}
"""Fixtures that take long to set up."""


def group_of(item: pytest.Item | str) -> str:
    """What a test, or one of this id, is kept together with: its file, or all that has to do with one cloud."""
    nodeid = item if isinstance(item, str) else item.nodeid
    if nodeid.startswith(_ON_CLOUDS):
        return "gcp" if "gcp" in nodeid.lower() else "aws"
    return nodeid.split("::", 1)[0]


def needs_target(item: pytest.Item) -> bool:
    """Whether a test looks at a target on a cloud."""
    return not _TARGETS.isdisjoint(getattr(item, "fixturenames", ()))


def place_of(item: pytest.Item) -> tuple[int, bool]:
    """Sorts long ones first: where they run side by side, the last one to begin should be short.

    What needs no target comes before what does: targets are set up meanwhile.
    """
    folder = "clouds" if group_of(item) in ("aws", "gcp") else item.path.parent.name
    place = _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST)
    return place, folder == "clouds" and needs_target(item)
