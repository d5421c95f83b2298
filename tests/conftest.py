"""Fixtures for all tests, and their order."""

from __future__ import annotations

import pytest

pytest_plugins = ["emulators"]

_LONGEST_FIRST = ("pipeline", "training", "reliability", "infra", "cloud", "localstack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: where files run side by side, the last one to begin should be short."""
    places = {folder: place for place, folder in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(places)))
