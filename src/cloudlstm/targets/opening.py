"""Opens a target on a cloud: reads its document, and makes the classes of the cloud's services."""

from __future__ import annotations

import importlib
from typing import Any

from cloudlstm.errors import ConfigError, UsageError
from cloudlstm.targets.cloud import CloudTarget
from cloudlstm.targets.document import TargetConfig

_CLOUDS = {
    "aws": (
        "aws.spark.EmrSpark",
        "aws.trainers.AutoScalingTrainers",
        "aws.account.AwsAccount",
        "aws.metrics.CloudWatch",
    ),
    "gcp": (
        "gcp.spark.DataprocSpark",
        "gcp.trainers.ManagedTrainers",
        "gcp.account.GcpAccount",
        "gcp.metrics.CloudMonitoring",
    ),
}
"""Cloud -> classes of its services, imported when a target is opened; each takes the target document."""


def open_cloud(where: str, *, wait: bool = False, trust_endpoints: bool = False) -> CloudTarget:
    """Opens the target `where`: a Terraform directory, a saved output of it, or a bucket's URI.

    Args:
        where: Name of the target.
        wait: Whether to wait while another run holds the trainer group.
        trust_endpoints: Whether the document may name endpoints on other machines, which get the user's credentials.
    """
    from cloudlstm.targets import document

    config = document.load(where)
    if config.cloud not in _CLOUDS:
        raise ConfigError(f"{where} is a target on {config.cloud}", hint=f"known clouds are {', '.join(_CLOUDS)}")
    if (hosts := config.foreign_hosts()) and not trust_endpoints:
        raise UsageError(
            f"the endpoints of {where} would send your requests and credentials to {', '.join(hosts)}",
            hint="--trust-endpoints if these hosts are yours; the document of a real cloud has no endpoints",
        )
    spark, group, account, metrics = (_create(name, config) for name in _CLOUDS[config.cloud])
    return CloudTarget(config, spark, group, account, wait=wait, metrics=metrics)


def _create(name: str, config: TargetConfig) -> Any:
    module, _, kind = name.rpartition(".")
    return getattr(importlib.import_module(f"cloudlstm.targets.{module}"), kind)(config)
