"""Where a run's jobs are carried out: on this machine, or on what a cloud's target document names.

A target turns a job into a request (plain JSON, shown by `--dry-run`), starts a request, and tells how the job fares.
It knows nothing of bars or models: job and target meet in a run's URI.
"""

from __future__ import annotations

import importlib
from typing import cast

from cloudlstm.targets.base import JobState, Plan, Request, Restart, RunningJob, Target

__all__ = ["TARGETS", "JobState", "Plan", "Request", "Restart", "RunningJob", "Target", "open_target"]

TARGETS = {"local": ("cloudlstm.targets.local.target", "LocalTarget")}
"""name -> module, class; a target's SDK is imported when the target is first used."""


def open_target(name: str | None, *, wait: bool = False, trust_endpoints: bool = False) -> Target:
    """The target called `name`, or whose document it names; this machine when there is no name.

    Args:
        name: "local", a Terraform directory, a saved output of it, or a bucket's URI.
        wait: Whether to wait while another run has what the target can lend only once.
        trust_endpoints: Whether a target's document may name services on other machines.
    """
    name = name or "local"
    if name in TARGETS:
        module, kind = TARGETS[name]
        return cast(Target, getattr(importlib.import_module(module), kind)())
    from cloudlstm.targets.cloud import open_cloud

    return open_cloud(name, wait=wait, trust_endpoints=trust_endpoints)
