"""Figures of models in Cloud Monitoring."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp import rest
from cloudlstm.targets.services import METRICS


class CloudMonitoring:
    """Custom metrics of a target: `custom.googleapis.com/cloudlstm/<name>`, labels target and model."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def put(self, model: str, figures: Mapping[str, float], at: float) -> None:
        target = self._target
        resource = {
            "type": "generic_task",
            "labels": {"project_id": target.account, "location": target.region, "namespace": METRICS,
                       "job": target.name, "task_id": model},
        }  # fmt: skip
        point_at = dt.datetime.fromtimestamp(at, dt.UTC).isoformat().replace("+00:00", "Z")
        series = [
            {
                "metric": {
                    "type": f"custom.googleapis.com/{METRICS}/{name}",
                    "labels": {"target": target.name, "model": model},
                },
                "resource": resource,
                "metricKind": "GAUGE",
                "valueType": "DOUBLE",
                "points": [{"interval": {"endTime": point_at}, "value": {"doubleValue": value}}],
            }
            for name, value in figures.items()
        ]
        rest.call(
            target, "monitoring", f"/v3/projects/{target.account}/timeSeries", scope="monitoring.write",
            doing="send metrics to Cloud Monitoring", document={"timeSeries": series},
        )  # fmt: skip
