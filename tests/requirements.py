"""Skips tests whose requirements this machine lacks; fails them if CLOUDLSTM_REQUIRE names the requirement."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRED = os.environ.get("CLOUDLSTM_REQUIRE", "").split()
"""Requirements that must not be missing, such as "terraform checkov root namespaces browser"."""


def without(needed: str, reason: str) -> NoReturn:
    """Skips a test that lacks a requirement; fails it if CLOUDLSTM_REQUIRE names the requirement."""
    if needed in REQUIRED:
        pytest.fail(f"{reason}, although CLOUDLSTM_REQUIRE names {needed}")
    pytest.skip(reason)
