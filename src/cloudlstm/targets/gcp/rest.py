"""One request to an API of Google Cloud by REST with google-auth, which the other services need anyway.

Cloud Scheduler and Cloud Monitoring are called so: their SDK packages would be needed for one method each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudlstm.errors import MissingExtraError, TargetError, TargetUnavailableError
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.services import require_endpoint

_HOSTS = {
    "monitoring": "https://monitoring.googleapis.com",
    "scheduler": "https://cloudscheduler.googleapis.com",
}
_TIMEOUT_S = 20.0
_TRIES = 4
"""Tries to connect. A request that may have arrived is not repeated here."""
_TOO_MANY = 429
_LOG_IN = "run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"


def call(
    target: TargetConfig,
    service: str,
    path: str,
    *,
    scope: str,
    doing: str,
    document: Mapping[str, Any] | None = None,
    hints: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Sends one request and returns the answer.

    Args:
        target: The target document; an emulator has its URL in `endpoints`.
        service: "monitoring" or "scheduler".
        path: Path after the host, from its slash on.
        scope: Last part of the OAuth scope, such as "monitoring.write".
        doing: What the request does, for messages: "send metrics to Cloud Monitoring".
        document: Body of a POST; None: a GET.
        hints: HTTP status -> hint of its error; any other one gets a hint about rights.

    Raises:
        MissingExtraError: google-auth is not installed.
        TargetUnavailableError: No connection, or the service asks to try again later.
        TargetError: No credentials, or the service refuses, or the target is an emulated one without this service.
    """
    require_endpoint(target, service)
    try:
        import google.auth
        import requests
        from google.auth import exceptions as auth
        from google.auth.transport.requests import AuthorizedSession
    except ImportError:
        raise MissingExtraError(
            "a target on Google Cloud needs google-auth", hint="pip install 'cloudlstm[gcp]'"
        ) from None
    emulated = target.endpoints.get(service)
    try:
        if emulated:  # its path has a secret, and it takes no credentials
            session: Any = requests.Session()
        else:
            session = AuthorizedSession(google.auth.default(scopes=[f"https://www.googleapis.com/auth/{scope}"])[0])
        session.mount("https://", requests.adapters.HTTPAdapter(max_retries=_TRIES))
        url = (emulated or _HOSTS[service]) + path
        with session:
            answer = session.request("GET" if document is None else "POST", url, json=document, timeout=_TIMEOUT_S)
    except auth.GoogleAuthError as error:
        raise TargetError(f"cannot {doing}: {error}", hint=_LOG_IN) from error
    except requests.RequestException as error:
        raise TargetUnavailableError(f"cannot {doing}: {error}", hint="check the network, then try again") from error
    status = answer.status_code
    found = _document(answer)
    if answer.ok and found is not None:
        return found
    reason = f"{_reason(found)} ({status})"
    if answer.ok or status >= 500 or status == _TOO_MANY:
        raise TargetUnavailableError(f"cannot {doing}: {reason}", hint="try again in some minutes")
    rights = f"give the credentials' account the rights of {target.name}-submitter"
    raise TargetError(f"cannot {doing}: {reason}", hint=({401: _LOG_IN} | dict(hints or {})).get(status, rights))


def _document(answer: Any) -> dict[str, Any] | None:
    """The answer's JSON document; None if it has none."""
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _reason(document: Mapping[str, Any] | None) -> str:
    """The message of an error; a proxy's page is not shown."""
    try:
        return str((document or {})["error"]["message"])
    except (LookupError, TypeError):
        return "the answer does not come from Google Cloud"
