"""Handles each request before moto: checks its signature, applies faults, takes the lock shared with the engine."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from werkzeug.test import run_wsgi_app

from localstack.aws.signatures import NotAllowedError, Signatures
from localstack.aws.storage import Buckets
from localstack.server.engine import Application
from localstack.server.faults import Fault
from localstack.server.world import World

_SDK_NAMES = {"elasticmapreduce": "emr"}
_LOCKED = {"autoscaling", "ec2", "emr"}
_JSON = "application/x-amz-json-1.1"
_KEPT_ANSWERS = 200

# The error codes of JSON services and of S3, by those of query services.
_JSON_CODES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}
_S3_CODES = {"InvalidClientTokenId": "InvalidAccessKeyId", "MissingAuthenticationToken": "AccessDenied"}

StartResponse = Callable[..., Any]


class FaultMiddleware:
    """A WSGI application in front of moto and S3."""

    def __init__(self, behind: Application, world: World) -> None:
        self._behind = behind
        self._buckets = Buckets(behind, world.services)
        self._signatures = Signatures(world.services)
        self._world = world
        self._answers: dict[str, tuple[str, list[tuple[str, str]], bytes]] = {}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            self._signatures.check(environ)
        except NotAllowedError as error:
            return _answer(start_response, _not_allowed(environ, error))
        service, action = _service_and_action(environ)
        _log_repetition(environ, service, action)
        fault = self._world.faults.take("throttled", "api-error", service=service, action=action)
        if fault:
            return _answer(start_response, _fault_error(fault, service))
        if service == "s3":
            return self._buckets(environ, start_response)
        if service not in _LOCKED:
            return self._behind(environ, start_response)
        with self._world.lock:
            call = environ.get("HTTP_AMZ_SDK_INVOCATION_ID")
            if call and service == "ec2":
                return self._once(call, environ, start_response)
            return self._behind(environ, start_response)

    def _once(self, call: str, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answers a call of EC2 as before if the SDK repeats it: on a busy machine an answer may get lost."""
        answer = self._answers.get(call)
        if answer is None:
            parts, status, headers = run_wsgi_app(self._behind, environ, buffered=True)
            answer = (status, headers.to_wsgi_list(), b"".join(parts))
            if status.startswith("2"):
                self._answers[call] = answer
                if len(self._answers) > _KEPT_ANSWERS:
                    del self._answers[next(iter(self._answers))]
        start_response(*answer[:2])
        return [answer[2]]


def _log_repetition(environ: dict[str, Any], service: str, action: str) -> None:
    """Logs a request that an SDK repeats: its first answer was an error, or was lost on the way."""
    attempt = re.search(r"attempt=(\d+)", environ.get("HTTP_AMZ_SDK_REQUEST", ""))
    if attempt and int(attempt[1]) > 1:
        sys.stderr.write(f"repeated by the SDK: {service} {action}, {attempt[0]}\n")


def _answer(start_response: StartResponse, answer: tuple[str, str, bytes]) -> Iterable[bytes]:
    status, kind, body = answer
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def _service_and_action(environ: dict[str, Any]) -> tuple[str, str]:
    """Returns the service, as SDKs name it, and the action of a request; empty if unknown."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    service = _SDK_NAMES.get(scope[1], scope[1]) if scope else ""
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return service, target.rpartition(".")[2]
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        return service, parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
    return service, ""


def _fault_error(fault: Fault, service: str) -> tuple[str, str, bytes]:
    """Returns status line, content type and body of a fault's error."""
    if fault.kind == "throttled":
        status, message = "400 Bad Request", fault.message or "Rate exceeded"
        code = {"emr": "ThrottlingException", "ec2": "RequestLimitExceeded"}.get(service, "Throttling")
        if service == "ec2":
            status = "503 Service Unavailable"
    else:
        status, message = f"{fault.status} Error", fault.message or "An internal error occurred"
        code = fault.reason or ("InternalServerException" if service == "emr" else "InternalFailure")
    return status, *_error(service, code, message, json_like=service == "emr")


def _not_allowed(environ: dict[str, Any], error: NotAllowedError) -> tuple[str, str, bytes]:
    """Returns status line, content type and body of the error for a wrong signature."""
    service = _service_and_action(environ)[0]
    if "HTTP_X_AMZ_TARGET" in environ:
        return "400 Bad Request", *_error(service, _JSON_CODES[error.code], str(error), json_like=True)
    code, status = error.code, "403 Forbidden"
    if service == "s3":
        code = _S3_CODES.get(code, code)
    elif service == "ec2":
        code, status = "AuthFailure", "401 Unauthorized"
    return status, *_error(service, code, str(error))


def _error(service: str, code: str, message: str, *, json_like: bool = False) -> tuple[str, bytes]:
    """Returns content type and body of an error in the service's format."""
    if json_like:
        return _JSON, json.dumps({"__type": code, "message": message}).encode()
    inner = f"<Code>{code}</Code><Message>{message}</Message>"
    if service == "ec2":
        text = f"<Response><Errors><Error>{inner}</Error></Errors></Response>"
    elif service == "s3":
        text = f"<Error>{inner}</Error>"
    else:
        inner = f"<Error><Type>Receiver</Type>{inner}</Error>"
        text = f"<ErrorResponse>{inner}<RequestId>emulated</RequestId></ErrorResponse>"
    return "text/xml", text.encode()
