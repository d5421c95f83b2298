"""Replaces functions of `time` in one module only: threads of other modules keep the real ones."""

from __future__ import annotations

import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def replace_time(monkeypatch: pytest.MonkeyPatch, module: ModuleType, **functions: Any) -> None:
    """Gives `module`, which does `import time`, its own copy of the module with these functions.

    `monkeypatch.setattr(module.time, …)` would change the one `time` of the process. A heartbeat that another test left
    would then call the test's function.
    """
    monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), **functions}))
