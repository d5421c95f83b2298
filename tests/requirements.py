"""Tests that need something of the machine: skipped with a reason where it is missing, failed where it was promised."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRED = os.environ.get("CLOUDLSTM_REQUIRE", "").split()
"""What must be there, such as "terraform checkov root namespaces browser"."""


def without(needed: str, reason: str) -> NoReturn:
    """Ends a test that lacks what it needs: skipped, or failed where CLOUDLSTM_REQUIRE names it."""
    if needed in REQUIRED:
        pytest.fail(f"{reason}, although CLOUDLSTM_REQUIRE names {needed}")
    pytest.skip(reason)
