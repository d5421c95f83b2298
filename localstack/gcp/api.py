"""Handles each request: checks the secret, finds the method, applies faults, takes the lock, formats errors."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from localstack.server.faults import Fault
from localstack.server.world import World

Document = dict[str, Any]

_STATUSES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_REASONS = {
    400: "invalid",
    403: "forbidden",
    404: "notFound",
    409: "alreadyExists",
    412: "conditionNotMet",
    500: "backendError",
    503: "backendError",
}


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An error answer of a service.

    Attributes:
        code: HTTP status.
        message: The service's message.
        reason: The service's reason; empty for the usual one of the code.
    """

    def __init__(self, code: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.reason = code, message, reason

    def document(self, service: str) -> Document:
        """Returns the body of the answer: Compute Engine lists errors with a reason, others give a status."""
        error: Document = {"code": self.code, "message": self.message}
        if service == "compute":
            kind = {"reason": self.reason or _REASONS.get(self.code, "backendError"), "domain": "global"}
            error["errors"] = [{"message": self.message, **kind}]
        else:
            error["status"] = self.reason or _STATUSES.get(self.code, "UNKNOWN")
        return {"error": error}


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        path: The named parts of its URL, such as project and region.
        query: Its parameters; the last value of each.
        body: Its JSON object; empty if there is none.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Document

    def __getitem__(self, name: str) -> str:
        return self.path[name]


@dataclass(frozen=True)
class Method:
    """A method of a service.

    Attributes:
        service: The SDK's name of the service: "dataproc", "compute", "scheduler" or "monitoring".
        action: Its name, such as "SubmitJob" or "Instances.Get".
        verb: The HTTP method.
        url: The URL, with named parts in angle brackets.
        answer: Returns the answer to a call.
    """

    service: str
    action: str
    verb: str
    url: str
    answer: Callable[[Call], Document]


class Service(Protocol):
    """A service with methods."""

    def methods(self) -> Iterable[Method]:
        """Returns all methods."""
        ...


class Api:
    """The WSGI application of all services."""

    def __init__(self, world: World, services: Sequence[Service]) -> None:
        self._world = world
        self._begin = urlsplit(world.url).path
        rules = [
            Rule(method.url, methods=[method.verb], endpoint=method)
            for service in services
            for method in service.methods()
        ]
        self._urls = Map(rules, strict_slashes=False, merge_slashes=False)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        service = _service(environ["PATH_INFO"])
        try:
            self._take_secret(environ)
            code, document = 200, self._answer(Request(environ), environ)
        except Refusal as refusal:
            code, document = refusal.code, refusal.document(service)
        except HTTPException as error:
            code = error.code or 500
            document = Refusal(code, f"{error.name}: {environ['REQUEST_METHOD']} {environ['PATH_INFO']}").document(
                service
            )
        except Exception as error:
            self._world.problems.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {error!r}")
            raise
        body = Response(json.dumps(document), status=code, content_type="application/json; charset=UTF-8")
        return body(environ, start_response)

    def _take_secret(self, environ: dict[str, Any]) -> None:
        """Removes the secret from the path; raises Refusal if it is missing."""
        path: str = environ["PATH_INFO"]
        if not hmac.compare_digest(path[: len(self._begin)].encode(), self._begin.encode()):
            raise Refusal(403, "The path does not begin with the emulator's secret.")
        environ["PATH_INFO"] = path[len(self._begin) :]

    def _answer(self, request: Request, environ: dict[str, Any]) -> Document:
        method, path = self._urls.bind_to_environ(environ).match()
        assert isinstance(method, Method)
        fault = self._world.faults.take("throttled", "api-error", service=method.service, action=method.action)
        if fault:
            raise _fault_error(fault, method.service)
        try:
            body = json.loads(request.get_data() or b"{}")
        except ValueError:
            raise Refusal(400, "Invalid JSON payload received.") from None
        call = Call(path, request.args.to_dict(), body)
        with self._world.lock:
            return method.answer(call)


def _service(path: str) -> str:
    """The service of a URL's path, as it formats errors."""
    services = {"/compute/": "compute", "/v3/": "monitoring", "/locations/": "scheduler"}
    return next((service for part, service in services.items() if part in path), "dataproc")


def _fault_error(fault: Fault, service: str) -> Refusal:
    """Returns the error of a fault."""
    if fault.kind == "api-error":
        return Refusal(fault.status, fault.message or "Internal error encountered.", fault.reason)
    if service == "compute":
        return Refusal(403, fault.message or "Rate Limit Exceeded", fault.reason or "rateLimitExceeded")
    return Refusal(429, fault.message or "Quota exceeded for quota metric 'Requests' of service dataproc", fault.reason)


def page(items: Sequence[Document], call: Call, size_name: str, limit: int) -> tuple[list[Document], str]:
    """Returns a page of a list, and the token of the next page; empty at the end.

    Args:
        items: The whole list.
        call: The request for the page.
        size_name: The parameter with the maximum number of items.
        limit: The default, and the upper limit, of that number.

    Raises:
        Refusal: if token or size is not a number or is negative.
    """
    try:
        begin = int(call.query.get("pageToken") or 0)
        size = int(call.query.get(size_name) or 0)
    except ValueError:
        raise Refusal(400, "Invalid value for page token or page size") from None
    if begin < 0 or size < 0:
        raise Refusal(400, f"Invalid value for field '{size_name}'")
    end = begin + min(size or limit, limit)
    return list(items[begin:end]), str(end) if end < len(items) else ""
