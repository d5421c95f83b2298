"""What every request passes: the way to the service that answers it, the faults, the lock, and Google's errors."""

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
    """A service's error.

    Attributes:
        code: HTTP status.
        message: What the service says.
        reason: Its word for the kind of error; empty for the one that goes with the code.
    """

    def __init__(self, code: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.reason = code, message, reason

    def document(self, service: str) -> Document:
        """The body: Compute Engine lists its errors with a reason, the others have a status."""
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
        path: The parts of its URL that have a name, such as project and region.
        query: Its parameters; the last of a repeated one.
        body: The JSON object that it brings; empty without one.
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
        service: As the SDK names it: "dataproc" or "compute".
        action: Its name, such as "SubmitJob" or "Instances.Get".
        verb: HTTP's.
        url: With the named parts in angle brackets.
        answer: What answers it.
    """

    service: str
    action: str
    verb: str
    url: str
    answer: Callable[[Call], Document]


class Service(Protocol):
    """Something that answers requests."""

    def methods(self) -> Iterable[Method]:
        """All that it answers."""
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
        service = "compute" if "/compute/" in environ["PATH_INFO"] else "dataproc"
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
        """Takes the secret off the path; Refusal where it does not begin with it."""
        path: str = environ["PATH_INFO"]
        if not hmac.compare_digest(path[: len(self._begin)].encode(), self._begin.encode()):
            raise Refusal(403, "The path does not begin with the emulator's secret.")
        environ["PATH_INFO"] = path[len(self._begin) :]

    def _answer(self, request: Request, environ: dict[str, Any]) -> Document:
        method, path = self._urls.bind_to_environ(environ).match()
        assert isinstance(method, Method)
        fault = self._world.faults.take("throttled", "api-error", service=method.service, action=method.action)
        if fault:
            raise _refusal(fault, method.service)
        try:
            body = json.loads(request.get_data() or b"{}")
        except ValueError:
            raise Refusal(400, "Invalid JSON payload received.") from None
        call = Call(path, request.args.to_dict(), body)
        with self._world.lock:
            return method.answer(call)


def _refusal(fault: Fault, service: str) -> Refusal:
    """What the service says when it is made to fail."""
    if fault.kind == "api-error":
        return Refusal(fault.status, fault.message or "Internal error encountered.", fault.reason)
    if service == "compute":
        return Refusal(403, fault.message or "Rate Limit Exceeded", fault.reason or "rateLimitExceeded")
    return Refusal(429, fault.message or "Quota exceeded for quota metric 'Requests' of service dataproc", fault.reason)


def page(items: Sequence[Document], call: Call, size_name: str, most: int) -> tuple[list[Document], str]:
    """A page of a list, and the token of the next one; empty at the end.

    Args:
        items: All of the list.
        call: Asks for the page.
        size_name: The parameter that says how many items it may have.
        most: How many it has otherwise, and at the most.

    Raises:
        Refusal: for a token or a size that is none.
    """
    try:
        begin = int(call.query.get("pageToken") or 0)
        size = int(call.query.get(size_name) or 0)
    except ValueError:
        raise Refusal(400, "Invalid value for page token or page size") from None
    if begin < 0 or size < 0:
        raise Refusal(400, f"Invalid value for field '{size_name}'")
    end = begin + min(size or most, most)
    return list(items[begin:end]), str(end) if end < len(items) else ""
