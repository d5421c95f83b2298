"""Client of AWS APIs that translates errors: transient ones can be retried, the others get a hint."""

from __future__ import annotations

import difflib
import re
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
_CREDENTIALS = "aws configure sso, then AWS_PROFILE; or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_EMULATED = 'the variables of the emulated cloud are missing here: eval "$(python -m localstack env)"'
_RENEW = "renew the credentials: aws sso login, or where you have them from"
_BY_CODE = {
    "AccessDenied": _RIGHTS,
    "AccessDeniedException": _RIGHTS,
    "UnauthorizedOperation": _RIGHTS,
    "AuthFailure": _CREDENTIALS,
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "InvalidClientTokenId": _CREDENTIALS,
    "UnrecognizedClientException": _CREDENTIALS,
}

_PAGE = re.compile(r"(b['\"])?<(!doctype html|html|head)\b", re.IGNORECASE)

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

        doing = f"call {action} of {self.service}"
        try:
            answer: dict[str, Any] = getattr(self._connected(), xform_name(action))(**arguments)
        except sdk.ClientError as error:
            raise self._to_target_error(doing, error.response) from error
        except (
            sdk.ConnectionError, sdk.HTTPClientError, sdk.IncompleteReadError, ForeignAnswerError, ResponseParserError
        ) as error:  # fmt: skip
            raise TargetUnavailableError(
                f"cannot {doing}: {_without_page(one_line(error))}", hint="check the network, then try again"
            ) from error
        except sdk.BotoCoreError as error:
            hint = _EMULATED if self._target.endpoints else _CREDENTIALS
            raise TargetError(f"cannot {doing}: {one_line(error)}", hint=hint) from error
        return answer

    def _connected(self) -> Any:
        with self._guard:
            if self._client is None:
                session = _session()
                from botocore.config import Config

                retries = {"mode": "standard", "total_max_attempts": _MAX_ATTEMPTS}
                self._client = session.client(
                    self.service,
                    region_name=self._target.region,
                    endpoint_url=self._target.endpoints.get(self.service),
                    config=Config(retries=retries, connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S),
                )
                watch_aws(self._client)
            return self._client

    def _to_target_error(self, doing: str, response: dict[str, Any]) -> CloudLSTMError:
        code = response.get("Error", {}).get("Code", "no code")
        reason = _without_page(str(response.get("Error", {}).get("Message") or "no reason given"))
        message = f"cannot {doing}: {reason} ({code})"
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _TRANSIENT or status >= 500 or status == 429:
            return TargetUnavailableError(message, hint="try again in some minutes")
        return TargetError(message, hint=_BY_CODE.get(code, "").format(name=self._target.name))


def _session() -> Any:
    try:
        import boto3
    except ImportError:
        raise MissingExtraError("a target on AWS needs boto3", hint="pip install 'cloudlstm[aws]'") from None
    return boto3.session.Session()


def _without_page(text: str) -> str:
    """Returns a message without the page of a proxy or of a captive portal in it."""
    page = _PAGE.search(text)
    return f"{text[: page.start()]}the answer is a page that does not come from AWS" if page else text


def require_region(name: str) -> None:
    """Raises TargetError for a region that the SDK does not know."""
    session = _session()
    parts = session.get_available_partitions()
    known = {region for part in parts for region in session.get_available_regions("ec2", partition_name=part)}
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=1)
        raise TargetError(
            f"boto3 knows no region {name}",
            hint=f"region={near[0] if near else 'NAME'}; if it is new: pip install -U boto3",
        )
