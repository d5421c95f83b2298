"""REST client of Google Cloud APIs that translates errors: transient ones can be retried, the others get a hint."""

from __future__ import annotations

import importlib
import re
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any, TypeVar

from cloudlstm.errors import CloudLSTMError, MissingExtraError, TargetError, TargetUnavailableError
from cloudlstm.targets.quotas import Place

Result = TypeVar("Result")

_SERVICES = {
    "dataproc": ("google.cloud.dataproc_v1", "{region}-dataproc.googleapis.com"),
    "compute": ("google.cloud.compute_v1", "compute.googleapis.com"),
}
"""Service -> SDK package and host."""

_TRANSIENT = {"backendError", "rateLimitExceeded", "resourceNotReady", "userRateLimitExceeded"}
"""Transient error reasons; Compute Engine uses them with HTTP statuses such as 400 and 403."""

_CREDENTIALS = "run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"
_BY_STATUS = {
    401: _CREDENTIALS,
    403: "give the credentials' account the rights of {name}-submitter, or impersonate that one",
}

_TIMEOUT_S = 20.0
_RETRY_LIMIT_S = 12.0
"""How long a call with a transient error is retried."""

_URL = re.compile(r"^[A-Z]+ \S+: ")
"""Prefix of the SDK's error messages."""


class GcpApi:
    """One client of a service in a target's region; it is created at first use.

    It uses REST: Compute Engine has nothing else, it works with real services and emulators, and gRPC's threads do not
    survive a fork. Every call made here is safe to retry.

    Args:
        service: "dataproc" or "compute".
        client: Its name in the SDK without "Client", such as "JobController".
        target: The target document, or settings that are not yet applied.
    """

    def __init__(self, service: str, client: str, target: Place) -> None:
        self.service, self._name, self._target = service, client, target
        self._guard = threading.Lock()
        self._client: Any = None

    def call(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Calls a method such as "get_job"; returns the answer with the SDK's names of fields and enum values.

        Raises:
            TargetUnavailableError: the service was unreachable or throttled the call, after retries.
            TargetError: the service rejected the call; `status_of` gives the HTTP status.
        """
        return self._send(action, lambda method: _plain(method(arguments)))

    def begin(self, action: str, **arguments: Any) -> None:
        """Calls a method that begins a long operation, such as "create_cluster", and does not wait for its end."""
        self._send(action, lambda method: method(arguments))

    def each(self, action: str, **arguments: Any) -> list[dict[str, Any]]:
        """Returns all items of a paginated list; for an aggregated list one item per zone, empty ones included."""
        return self._send(action, lambda method: [_plain(item) for item in method(arguments)])

    def _send(self, action: str, ask: Callable[[Callable[[Any], Any]], Result]) -> Result:
        client = self._connected()
        import requests
        from google.api_core import exceptions as sdk
        from google.api_core.retry import Retry
        from google.auth import exceptions as auth
        from google.protobuf.json_format import ParseError

        lost = (requests.ConnectionError, requests.Timeout)
        retry = Retry(
            lambda error: isinstance(error, lost) or _passes(error),
            initial=0.25,
            maximum=4.0,
            multiplier=2.0,
            timeout=_RETRY_LIMIT_S,
        )
        doing = f"call {action} of {self.service}"
        try:
            return ask(lambda request: getattr(client, action)(request=request, retry=retry, timeout=_TIMEOUT_S))
        except sdk.RetryError as error:
            raise _unavailable(doing, error.cause or error) from error
        except sdk.GoogleAPICallError as error:
            raise self._to_target_error(doing, error) from error
        except (auth.TransportError, requests.RequestException) as error:
            raise _unavailable(doing, error) from error
        except auth.GoogleAuthError as error:
            if error.retryable:  # the token service did not answer
                raise _unavailable(doing, error) from error
            raise TargetError(f"cannot {doing}: {_reason(error)}", hint=_CREDENTIALS) from error
        except ParseError as error:  # a proxy's page, or a truncated answer
            raise _unavailable(doing, error) from error

    def _connected(self) -> Any:
        with self._guard:
            if self._client is None:
                package, host = _SERVICES[self.service]
                try:
                    sdk = importlib.import_module(package)
                    from google.auth import exceptions as auth
                    from google.auth.credentials import AnonymousCredentials
                except ImportError:
                    raise MissingExtraError(
                        f"a target on Google Cloud needs google-cloud-{self.service}",
                        hint="pip install 'cloudlstm[gcp]'",
                    ) from None
                kind = getattr(sdk, f"{self._name}Client")
                settings: dict[str, Any] = {"host": host.format(region=self._target.region)}
                if endpoint := self._target.endpoints.get(self.service):
                    url = urllib.parse.urlsplit(endpoint)
                    place = url.netloc + url.path.rstrip("/")  # with the path: an emulator's path contains a secret
                    settings = {"host": place, "url_scheme": url.scheme, "credentials": AnonymousCredentials()}
                try:
                    self._client = kind(transport=kind.get_transport_class("rest")(**settings))
                except auth.GoogleAuthError as error:
                    raise TargetError(f"cannot use {self.service}: {_reason(error)}", hint=_CREDENTIALS) from error
            return self._client

    def _to_target_error(self, doing: str, error: Any) -> CloudLSTMError:
        if error.code is None or _passes(error):
            return _unavailable(doing, error)
        hint = _BY_STATUS.get(int(error.code), "").format(name=self._target.name)
        return TargetError(f"cannot {doing}: {_reason(error)}", hint=hint)


def _passes(error: BaseException) -> bool:
    """True if the error is transient."""
    status, reasons = int(getattr(error, "code", None) or 0), getattr(error, "errors", ())
    reasons_found = {each.get("reason") for each in reasons if isinstance(each, dict)}
    return status >= 500 or status == 429 or not reasons_found.isdisjoint(_TRANSIENT)


def status_of(error: TargetError) -> int:
    """Returns the HTTP status of a rejected call; 0 if there was none."""
    return int(getattr(error.__cause__, "code", None) or 0)


def _unavailable(doing: str, error: BaseException) -> TargetUnavailableError:
    return TargetUnavailableError(f"cannot {doing}: {_reason(error)}", hint="check the network, then try again")


def _reason(error: BaseException) -> str:
    message = _URL.sub("", " ".join(str(getattr(error, "message", None) or error).split())) or type(error).__name__
    status = getattr(error, "code", None)
    return f"{message} ({int(status)})" if status else message


def _plain(answer: Any) -> dict[str, Any]:
    """Converts an SDK message to plain values; for an item of an aggregated list its second part."""
    if isinstance(answer, tuple):
        answer = answer[1]
    plain: dict[str, Any] = type(answer).to_dict(answer, use_integers_for_enums=False)
    return plain
