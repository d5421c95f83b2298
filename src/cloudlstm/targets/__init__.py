"""Runs jobs: on this machine, or on the cloud resources that a target document names.

A target turns a job into a request (plain JSON, shown by `--dry-run`), starts it, and reports the job's state.
It does not know about bars or models; a job gets only the run's URI.
"""

from __future__ import annotations

import importlib
from typing import cast

from cloudlstm.targets.base import JobState, Plan, Request, Restart, RunningJob, Target

__all__ = ["TARGETS", "JobState", "Plan", "Request", "Restart", "RunningJob", "Target", "open_target"]

TARGETS = {"local": ("cloudlstm.targets.local.target", "LocalTarget")}
"""name -> module, class; a target's SDK is imported when the target is first used."""


def open_target(name: str | None, *, wait: bool = False, trust_endpoints: bool = False) -> Target:
    """Returns the target `name`; this machine if no name is given.

    Args:
        name: "local", a Terraform directory, a saved output of it, or a bucket's URI.
        wait: Whether to wait while another run holds the trainer group.
        trust_endpoints: Whether the document may name endpoints on other machines.
    """
    name = name or "local"
    if name in TARGETS:
        module, kind = TARGETS[name]
        return cast(Target, getattr(importlib.import_module(module), kind)())
    from cloudlstm.targets.cloud import open_cloud

    return open_cloud(name, wait=wait, trust_endpoints=trust_endpoints)
