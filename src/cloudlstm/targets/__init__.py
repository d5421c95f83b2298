"""Where a run's jobs are carried out: on this machine now, on cloud clusters by the same protocol.

A target turns a job into a request (plain JSON, shown by `--dry-run`), starts a request, and tells how the job fares.
It knows nothing of bars or models: job and target meet in a run's URI.
"""

from __future__ import annotations

import importlib
from typing import cast

from cloudlstm.errors import UsageError
from cloudlstm.targets.base import JobState, Plan, Request, Restart, RunningJob, Target

__all__ = ["TARGETS", "JobState", "Plan", "Request", "Restart", "RunningJob", "Target", "open_target"]

TARGETS = {"local": ("cloudlstm.targets.local", "LocalTarget")}
"""name -> module, class; a target's SDK is imported when the target is first used."""


def open_target(name: str | None) -> Target:
    """The target called `name`; this machine when there is no name."""
    name = name or "local"
    if name not in TARGETS:
        raise UsageError(f"no target {name!r}", hint=f"use one of {', '.join(TARGETS)}")
    module, kind = TARGETS[name]
    return cast(Target, getattr(importlib.import_module(module), kind)())
