"""Figures of models in Cloud Monitoring.

One call of its REST API with google-auth, which the other services need anyway; so no further SDK is installed.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from cloudlstm.errors import MissingExtraError, TargetError, TargetUnavailableError
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.services import METRICS, require_endpoint

_URL = "https://monitoring.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/monitoring.write"
_TIMEOUT_S = 20.0
_TOO_MANY = 429


class CloudMonitoring:
    """Custom metrics of a target: `custom.googleapis.com/cloudlstm/<name>`, labels target and model."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def put(self, model: str, figures: Mapping[str, float], at: float) -> None:
        require_endpoint(self._target, "monitoring")
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
        self._post(f"/v3/projects/{target.account}/timeSeries", {"timeSeries": series})

    def _post(self, path: str, document: Mapping[str, Any]) -> None:
        try:
            import google.auth
            import requests
            from google.auth import exceptions as auth
            from google.auth.transport.requests import AuthorizedSession
        except ImportError:
            raise MissingExtraError(
                "metrics on Google Cloud need google-auth", hint="pip install 'cloudlstm[gcp]'"
            ) from None
        doing = "send metrics to Cloud Monitoring"
        try:
            endpoint = self._target.endpoints.get("monitoring")
            if endpoint:  # an emulator, whose path has a secret and which takes no credentials
                session: Any = requests.Session()
            else:
                session = AuthorizedSession(google.auth.default(scopes=[_SCOPE])[0])
            with session:
                answer = session.post((endpoint or _URL) + path, json=document, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise TargetUnavailableError(f"cannot {doing}: {error}", hint="check the network") from error
        except auth.GoogleAuthError as error:
            raise TargetError(f"cannot {doing}: {error}", hint="run gcloud auth application-default login") from error
        if answer.ok:
            return
        reason = _reason(answer.text)
        if answer.status_code >= 500 or answer.status_code == _TOO_MANY:
            raise TargetUnavailableError(f"cannot {doing}: {reason} ({answer.status_code})", hint="try again later")
        raise TargetError(
            f"cannot {doing}: {reason} ({answer.status_code})",
            hint=f"give the credentials' account the rights of {self._target.name}-submitter",
        )


def _reason(text: str) -> str:
    """The message of an error answer; a proxy's page is not shown."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "the answer does not come from Cloud Monitoring"
