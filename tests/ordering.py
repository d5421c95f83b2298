"""The order of the tests, and which of them are kept together where several run side by side."""

from __future__ import annotations

import pytest

_LONGEST_FIRST = ("clouds", "pipeline", "training", "reliability")
_ON_CLOUDS = ("tests/infra/", "tests/targets/", "tests/localstack/")
_OF_GOOGLE = ("gcp", "google", "dataproc")
_TARGETS = {"applied", "aws", "gcp", "target"}
"""Fixtures that take long to set up."""


def group_of(item: pytest.Item | str) -> str:
    """What a test, or one of this id, is kept together with: its file, or all that has to do with one cloud."""
    nodeid = item if isinstance(item, str) else item.nodeid
    if nodeid.startswith(_ON_CLOUDS) and not nodeid.startswith("tests/targets/local/"):
        return "gcp" if any(word in nodeid.lower() for word in _OF_GOOGLE) else "aws"
    return nodeid.split("::", 1)[0]


def needs_target(item: pytest.Item) -> bool:
    """Whether a test looks at a target on a cloud."""
    return not _TARGETS.isdisjoint(getattr(item, "fixturenames", ()))


def place_of(item: pytest.Item) -> tuple[int, int]:
    """Sorts long ones first: where they run side by side, the last one to begin should be short.

    What needs no target comes before what does: targets are set up meanwhile. Then come runs on the targets, what looks
    at them and destroys them, and last the tests of the emulators themselves, which make them fail for everybody.
    """
    folder = item.path.parent.name
    if group_of(item) in ("aws", "gcp"):
        late = {"targets": 1, "infra": 2}.get(folder, 3)
        return 0, late if late == 3 or needs_target(item) else 0
    return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST), 0
