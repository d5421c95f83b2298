"""A configuration as one level of names."""

from __future__ import annotations

from typing import Any


def flat(config: dict[str, Any], before: str = "") -> dict[str, Any]:
    """A configuration as `section.key` -> value."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[before + key] = value
    return found
