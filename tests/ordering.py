"""The order of the tests, and the groups that one worker runs when tests run in parallel."""

from __future__ import annotations

import pytest

_LONGEST_FIRST = ("clouds", "pipeline", "training", "reliability")
_ON_CLOUDS = ("tests/infra/", "tests/targets/", "tests/localstack/")
_OF_GOOGLE = ("gcp", "google", "dataproc")
_OWN_TARGETS = ("clusters", "no_way_out", "schedule_days", "schedule_month", "streams_on_clouds", "watched_days")
"""Files of tests/targets whose tests make their own targets. A second emulated cloud is for them, so that two workers
share the tests on a cloud.
"""
_TARGETS = {"applied", "aws", "gcp", "target"}
"""Fixtures whose set-up takes long."""


def group_of(item: pytest.Item | str) -> str:
    """Returns the group of a test or a test id: its file, or the cloud that it uses."""
    nodeid = item if isinstance(item, str) else item.nodeid
    file = nodeid.split("::", 1)[0]
    if nodeid.startswith(_ON_CLOUDS) and not nodeid.startswith("tests/targets/local/"):
        cloud = "gcp" if any(word in nodeid.lower() for word in _OF_GOOGLE) else "aws"
        own = file in [f"tests/targets/test_{name}.py" for name in _OWN_TARGETS]
        return f"{cloud}, own targets" if own else cloud
    return file


def needs_target(item: pytest.Item) -> bool:
    """True if a test needs a target on a cloud."""
    return not _TARGETS.isdisjoint(getattr(item, "fixturenames", ()))


def place_of(item: pytest.Item) -> tuple[int, int]:
    """Returns a sort key: long tests first, because in parallel runs the last test should be short.

    Tests without a target come before those with one: targets are set up meanwhile. Then come runs on the targets,
    tests that inspect and destroy them, and last the tests of the emulators, whose faults affect all other tests.
    """
    folder = item.path.parent.name
    if (group := group_of(item)).endswith("own targets"):
        return 0, 0
    if group in ("aws", "gcp"):
        late = {"targets": 1, "infra": 2}.get(folder, 3)
        return 0, late if late == 3 or needs_target(item) else 0
    return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST), 0
