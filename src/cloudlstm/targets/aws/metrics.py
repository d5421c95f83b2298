"""Figures of models in CloudWatch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from cloudlstm.targets.aws.client import AwsApi
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.services import METRICS, require_endpoint

_UNITS = {"seconds": "Seconds", "skill": "None", "usd": "None", "usd_month": "None"}
"""Units of CloudWatch, which has none of money; the other figures are counts."""


class CloudWatch:
    """Custom metrics of a target: namespace `cloudlstm`, dimensions Target and Model.

    Args:
        target: The target document.
    """

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def put(self, model: str, figures: Mapping[str, float], at: float) -> None:
        """Sends one point of each figure of a model, all in one call.

        CloudWatch takes times from two weeks ago to two hours ahead, and bills a figure by the hour in which it has
        points: one a day costs a twenty-fourth of one that is sent all the time.
        """
        require_endpoint(self._target, "cloudwatch")
        dimensions = [{"Name": "Target", "Value": self._target.name}, {"Name": "Model", "Value": model}]
        when = dt.datetime.fromtimestamp(at, dt.UTC)
        data = [
            {"MetricName": name, "Dimensions": dimensions, "Timestamp": when, "Value": value,
             "Unit": _UNITS.get(name, "Count")}
            for name, value in figures.items()
        ]  # fmt: skip
        AwsApi("cloudwatch", self._target).call("PutMetricData", Namespace=METRICS, MetricData=data)
