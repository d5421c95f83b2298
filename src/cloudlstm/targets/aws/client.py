"""Client of AWS APIs that translates errors: transient ones can be retried, the others get a hint."""

from __future__ import annotations

import threading
from typing import Any

from cloudlstm.errors import CloudLSTMError, MissingExtraError, TargetError, TargetUnavailableError
from cloudlstm.storage.answers import ForeignAnswerError, watch_aws
from cloudlstm.storage.buckets import one_line
from cloudlstm.targets.quotas import Place

_TRANSIENT = {
    "InternalError", "InternalFailure", "InternalServerError", "InternalServerException", "PriorRequestNotComplete",
    "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "ResourceContention", "ServiceUnavailable",
    "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException",
}  # fmt: skip
"""Codes of transient errors, also with HTTP status 400."""

_RIGHTS = "give the credentials the rights of the role {name}-submitter, or assume it"
_CREDENTIALS = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_BY_CODE = {
    "AccessDenied": _RIGHTS,
    "AccessDeniedException": _RIGHTS,
    "UnauthorizedOperation": _RIGHTS,
    "AuthFailure": _CREDENTIALS,
    "ExpiredToken": "renew the credentials",
    "ExpiredTokenException": "renew the credentials",
    "InvalidClientTokenId": _CREDENTIALS,
    "UnrecognizedClientException": _CREDENTIALS,
}

_MAX_ATTEMPTS = 4
_TIMEOUT_S = 20


class AwsApi:
    """One AWS service in a target's region, through boto3; the client is created at first use.

    Args:
        service: Its name in the SDK, such as "emr".
        target: The target document, or settings that are not yet applied.
    """

    def __init__(self, service: str, target: Place) -> None:
        self.service, self._target = service, target
        self._guard = threading.Lock()
        self._client: Any = None

    def call(self, action: str, **arguments: Any) -> dict[str, Any]:
        """Calls an action by its API name, such as "DescribeStep".

        Raises:
            TargetUnavailableError: the service was unreachable or throttled the call, after the SDK's retries.
            TargetError: the service rejected the call.
        """
        import botocore.exceptions as sdk
        from botocore import xform_name
        from botocore.parsers import ResponseParserError

        doing = f"{self.service} {action}"
        try:
            answer: dict[str, Any] = getattr(self._connected(), xform_name(action))(**arguments)
        except sdk.ClientError as error:
            raise self._to_target_error(doing, error.response) from error
        except (
            sdk.ConnectionError, sdk.HTTPClientError, sdk.IncompleteReadError, ForeignAnswerError, ResponseParserError
        ) as error:  # fmt: skip
            raise TargetUnavailableError(
                f"cannot {doing}: {one_line(error)}", hint="check the network, then try again"
            ) from error
        except sdk.BotoCoreError as error:
            raise TargetError(f"cannot {doing}: {one_line(error)}", hint=_CREDENTIALS) from error
        return answer

    def _connected(self) -> Any:
        with self._guard:
            if self._client is None:
                try:
                    import boto3
                    from botocore.config import Config
                except ImportError:
                    raise MissingExtraError(
                        "a target on AWS needs boto3", hint="pip install 'cloudlstm[aws]'"
                    ) from None
                retries = {"mode": "standard", "total_max_attempts": _MAX_ATTEMPTS}
                self._client = boto3.session.Session().client(
                    self.service,
                    region_name=self._target.region,
                    endpoint_url=self._target.endpoints.get(self.service),
                    config=Config(retries=retries, connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S),
                )
                watch_aws(self._client)
            return self._client

    def _to_target_error(self, doing: str, response: dict[str, Any]) -> CloudLSTMError:
        code = response.get("Error", {}).get("Code", "no code")
        message = f"cannot {doing}: {response.get('Error', {}).get('Message') or 'no reason given'} ({code})"
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _TRANSIENT or status >= 500 or status == 429:
            return TargetUnavailableError(message, hint="try again in some minutes")
        return TargetError(message, hint=_BY_CODE.get(code, "").format(name=self._target.name))
