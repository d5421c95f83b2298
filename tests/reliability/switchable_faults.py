"""A fault proxy whose faults can be changed while the tested processes run."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from fault_proxy import Answer, Request, Responder, cut, lose, run_fault_proxy

TIMEOUT_S = 180.0
"""How long a test waits for an event that must happen."""


@dataclass(frozen=True)
class Rule:
    """Answers the requests to which it applies."""

    applies: Callable[[Request], bool]
    respond: Responder


class SwitchableFaultProxy:
    """Forwards each request to which no rule applies. If several rules apply, the newest one answers."""

    def __init__(self) -> None:
        self.url = ""
        self._rules: list[Rule] = []

    def answer(self, request: Request) -> Answer | None:
        for rule in reversed(list(self._rules)):
            if rule.applies(request):
                try:
                    return rule.respond(request)
                except NotApplicable as skipped:
                    return skipped.answer
        return request.forward()

    @contextmanager
    def rule(self, applies: Callable[[Request], bool], respond: Responder) -> Iterator[None]:
        """Has a rule during the block."""
        added = Rule(applies, respond)
        self._rules.append(added)
        try:
            yield
        finally:
            self._rules.remove(added)


@contextmanager
def switchable_fault_proxy(upstream: str) -> Iterator[SwitchableFaultProxy]:
    """Runs a switchable proxy in front of the service at this URL."""
    server = SwitchableFaultProxy()
    with run_fault_proxy(upstream, server.answer) as server.url:
        yield server


class Stall:
    """Holds the first matching request until it is released; later ones pass."""

    def __init__(self, method: str, *parts: str) -> None:
        self.method, self.parts = method, parts
        self.reached, self.released = threading.Event(), threading.Event()
        self._first = threading.Lock()

    def applies(self, request: Request) -> bool:
        fits = request.method == self.method and all(part in request.path for part in self.parts)
        return fits and self._first.acquire(blocking=False)

    def respond(self, request: Request) -> Answer | None:
        """Forwards the request after its release; its sender may have ended by then."""
        self.reached.set()
        self.released.wait(TIMEOUT_S)
        return request.forward()


class NotApplicable(Exception):  # noqa: N818
    """The fault is not possible for this request; its answer stays unchanged."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def busy(_: Request) -> Answer:
    body = b"<Error><Code>SlowDown</Code><Message>please reduce your request rate</Message></Error>"
    return Answer(503, body, {"Content-Type": "application/xml"})


def broken(_: Request) -> Answer:
    return Answer(500, b"<Error><Code>InternalError</Code><Message>we are sorry</Message></Error>")


def too_many(_: Request) -> Answer:
    return Answer(429, b"<Error><Code>TooManyRequests</Code><Message>not so fast</Message></Error>")


def silent(_: Request) -> None:
    """Closes the connection without an answer."""


def slow(request: Request) -> Answer:
    time.sleep(0.5)
    return request.forward()


def _without_checksums(answer: Answer) -> dict[str, str]:
    """Returns the headers without the service's checksums: then only our own checksums show a wrong body."""
    gone = ("checksum", "x-goog-hash", "x-goog-stored")  # the ETag stays: every answer of the service has one
    return {name: value for name, value in answer.headers.items() if not any(word in name.lower() for word in gone)}


def _is_data(request: Request) -> bool:
    """True if the request reads a data object. Listings do not count: they carry no checksum of their own."""
    path = request.path.replace("%2F", "/")
    return request.method == "GET" and "/data/" in path and "prefix=" not in path


def flip(request: Request) -> Answer:
    """Changes one bit of a data object and removes its checksum."""
    answer = request.forward()
    if not _is_data(request) or len(answer.body) < 100:
        raise NotApplicable(answer)
    changed = bytearray(answer.body)
    changed[len(changed) // 2] ^= 1
    return replace(answer, body=bytes(changed), headers=_without_checksums(answer))


def flip_beside_checksum(request: Request) -> Answer:
    """Changes one bit of any object and keeps the service's checksum."""
    answer = request.forward()
    named = any("checksum" in name.lower() or "goog-hash" in name.lower() for name in answer.headers)
    if request.method != "GET" or not named or not answer.body:
        raise NotApplicable(answer)
    return replace(answer, body=bytes([answer.body[0] ^ 1]) + answer.body[1:])


def shorten(request: Request) -> Answer:
    """Removes the end of a data object and sets Content-Length to what remains."""
    answer = request.forward()
    if not _is_data(request) or len(answer.body) < 100:
        raise NotApplicable(answer)
    return replace(answer, body=answer.body[:-7], headers=_without_checksums(answer))


FAULTS: tuple[Responder, ...] = (busy, broken, too_many, silent, lose, cut, slow, flip, flip_beside_checksum, shorten)


class RandomFaults:
    """Adds faults to a share of all requests, chosen at random by `seed`; the rarest fault so far comes next."""

    def __init__(self, share: float, seed: int, faults: tuple[Responder, ...] = FAULTS) -> None:
        self._share = share
        self._chance = random.Random(seed)
        self._guard = threading.Lock()
        self._tried = dict.fromkeys(faults, 0)
        self.changed = {fault.__name__: 0 for fault in faults}
        """The number of injections of each fault."""

    def respond(self, request: Request) -> Answer | None:
        with self._guard:
            if self._chance.random() >= self._share:
                return request.forward()
            fault = min(self._tried, key=lambda each: (self.changed[each.__name__], self._tried[each]))
            self._tried[fault] += 1
        try:
            changed = fault(request)
        except NotApplicable as skipped:
            return skipped.answer
        with self._guard:
            self.changed[fault.__name__] += 1
        return changed
