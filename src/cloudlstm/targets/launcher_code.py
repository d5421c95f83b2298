"""Sends the code of a target's launchers: their own, and that of the trainings which they submit.

A launcher machine has neither pip nor the right to write code, so all that a submit would send is sent beforehand. The
launcher packs the same bytes again, and finds them in the bucket (bundle/package.py).
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from cloudlstm.targets.bundle.package import Bundle, pack_launcher
from cloudlstm.targets.bundle.wheelhouse import LAUNCHER, Report
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.schedule import schedule_of

_OF_TRAININGS = ("package", "dependencies", "prepare", "agent", "train")


def send_code(config: TargetConfig, report: Report = lambda _: None) -> dict[str, dict[str, str]]:
    """Sends every part that the bucket lacks.

    Args:
        config: The target; it has a schedule.
        report: Receives what is being done.

    Returns:
        URI and sha256 of each part of the launchers' assignment.

    Raises:
        MachineError: a part cannot be built here.
    """
    trainings, launcher = _bundle(config, config.accelerator), _bundle(config, LAUNCHER)
    for name in _OF_TRAININGS:
        trainings[name]
    if not config.trainer_python:
        trainings.send_wheelhouse(report)
    names = ["launcher", "launch"]
    if not schedule_of(config).python:
        launcher.send_wheelhouse(report)
        names.append("wheelhouse")
    return {name: {"uri": launcher[name].uri, "sha256": launcher[name].sha256} for name in names}


def code_here() -> str:
    """Returns the sha256 of the launchers' package as this machine would send it."""
    with tempfile.TemporaryDirectory(prefix="cloudlstm-bundle-") as folder:
        return hashlib.sha256(pack_launcher(Path(folder)).read_bytes()).hexdigest()


def _bundle(config: TargetConfig, accelerator: str) -> Bundle:
    return Bundle(
        config.bucket_uri,
        python=config.spark_python,
        architecture=config.spark_architecture,
        accelerator=accelerator,
    )
