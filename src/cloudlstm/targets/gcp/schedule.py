"""The schedule on Google Cloud: a job of Cloud Scheduler, which resizes the launchers' group.

One request by REST: the SDK's package would be needed for nothing else.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from cloudlstm.errors import MissingExtraError, TargetError, TargetUnavailableError
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.schedule import Timetable
from cloudlstm.targets.schedule_config import Schedule

_HOST = "https://cloudscheduler.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT_S = 20.0
_TRIES = 4


class SchedulerJob:
    """The job of a target.

    Args:
        target: The target document; an emulator has its URL in `endpoints` as "scheduler".
        schedule: Its schedule.
    """

    def __init__(self, target: TargetConfig, schedule: Schedule) -> None:
        self._target, self._schedule = target, schedule

    def look(self) -> Timetable:
        job = self._get()
        when = str(job.get("scheduleTime") or "")
        state = str(job.get("state", ""))
        return Timetable(
            str(job.get("schedule", "")),
            str(job.get("timeZone", "")),
            dt.datetime.fromisoformat(when).astimezone(dt.UTC) if when else None,
            "" if state == "ENABLED" else f"the job {self._schedule.job} is {state}",
        )

    def _get(self) -> dict[str, Any]:
        place = f"projects/{self._target.account}/locations/{self._target.region}/jobs/{self._schedule.job}"
        emulated = self._target.endpoints.get("scheduler")
        try:
            import requests
            from google.auth import exceptions as auth
        except ImportError:
            raise MissingExtraError(
                "a target on Google Cloud needs google-auth", hint="pip install 'cloudlstm[gcp]'"
            ) from None
        doing = f"read the job {self._schedule.job} of Cloud Scheduler"
        try:
            session = requests.Session() if emulated else _authorized()
            session.mount("https://", requests.adapters.HTTPAdapter(max_retries=_TRIES))
            answer = session.get(f"{emulated or _HOST}/v1/{place}", timeout=_TIMEOUT_S)
        except auth.GoogleAuthError as error:
            raise TargetError(
                f"cannot {doing}: {error}",
                hint="run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS",
            ) from error
        except requests.RequestException as error:
            raise TargetUnavailableError(
                f"cannot {doing}: {error}", hint="check the network, then try again"
            ) from error
        status = answer.status_code
        if status >= 500 or status == 429:
            raise TargetUnavailableError(f"cannot {doing}: status {status}", hint="try again in some minutes")
        if not answer.ok:
            hint = "terraform apply" if status == 404 else f"the rights of {self._target.name}-submitter"
            raise TargetError(f"cannot {doing}: {_message(answer)}", hint=hint)
        found: dict[str, Any] = answer.json()
        return found


def _authorized() -> Any:
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=[_SCOPE])
    return AuthorizedSession(credentials)


def _message(answer: Any) -> str:
    try:
        return f"{answer.json()['error']['message']} ({answer.status_code})"
    except (ValueError, LookupError, TypeError):
        return f"status {answer.status_code}"
