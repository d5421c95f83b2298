"""A server between the SDK and the emulator whose faults can be changed while everything runs."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from fault_proxy import Answer, Meddle, Request, cut, lose, meddler

PATIENCE_S = 180.0
"""How long a test waits for what must come."""


@dataclass(frozen=True)
class Rule:
    """What becomes of the requests that it concerns."""

    concerns: Callable[[Request], bool]
    meddle: Meddle


class Between:
    """Forwards every request that no rule concerns; of those that do, the one that was added last decides."""

    def __init__(self) -> None:
        self.url = ""
        self._rules: list[Rule] = []

    def answer(self, request: Request) -> Answer | None:
        for rule in reversed(list(self._rules)):
            if rule.concerns(request):
                try:
                    return rule.meddle(request)
                except NotThisOne as passed:
                    return passed.answer
        return request.forward()

    @contextmanager
    def rule(self, concerns: Callable[[Request], bool], meddle: Meddle) -> Iterator[None]:
        added = Rule(concerns, meddle)
        self._rules.append(added)
        try:
            yield
        finally:
            self._rules.remove(added)


@contextmanager
def between(behind: str) -> Iterator[Between]:
    server = Between()
    with meddler(behind, server.answer) as server.url:
        yield server


class Stall:
    """Holds the first of the requests that it concerns until it is released; all later ones pass."""

    def __init__(self, method: str, *parts: str) -> None:
        self.method, self.parts = method, parts
        self.reached, self.released = threading.Event(), threading.Event()
        self._first = threading.Lock()

    def concerns(self, request: Request) -> bool:
        fits = request.method == self.method and all(part in request.path for part in self.parts)
        return fits and self._first.acquire(blocking=False)

    def meddle(self, request: Request) -> Answer | None:
        """The request goes through when it is released, although its sender may be long dead."""
        self.reached.set()
        self.released.wait(PATIENCE_S)
        return request.forward()


class NotThisOne(Exception):  # noqa: N818
    """The fault cannot happen to this request, whose answer is given unchanged."""

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
    """Hangs up without a word."""


def slow(request: Request) -> Answer:
    time.sleep(0.5)
    return request.forward()


def _without_checksums(answer: Answer) -> dict[str, str]:
    """So that nothing but what we wrote down ourselves can tell that a body is wrong."""
    gone = ("checksum", "x-goog-hash", "x-goog-stored")  # an answer without its ETag would not be the service's
    return {name: value for name, value in answer.headers.items() if not any(word in name.lower() for word in gone)}


def _is_data(request: Request) -> bool:
    """Whether a data object is read; a listing of them carries nothing by which a wrong name could be told."""
    path = request.path.replace("%2F", "/")
    return request.method == "GET" and "/data/" in path and "prefix=" not in path


def flip(request: Request) -> Answer:
    """One bit of a data object is wrong, and no checksum comes with it; other bodies are left alone."""
    answer = request.forward()
    if not _is_data(request) or len(answer.body) < 100:
        raise NotThisOne(answer)
    spoilt = bytearray(answer.body)
    spoilt[len(spoilt) // 2] ^= 1
    return replace(answer, body=bytes(spoilt), headers=_without_checksums(answer))


def flip_beside_checksum(request: Request) -> Answer:
    """One bit of any object is wrong; the service's checksum is that of the object."""
    answer = request.forward()
    named = any("checksum" in name.lower() or "goog-hash" in name.lower() for name in answer.headers)
    if request.method != "GET" or not named or not answer.body:
        raise NotThisOne(answer)
    return replace(answer, body=bytes([answer.body[0] ^ 1]) + answer.body[1:])


def shorten(request: Request) -> Answer:
    """A data object's end is missing, and Content-Length says that this is all."""
    answer = request.forward()
    if not _is_data(request) or len(answer.body) < 100:
        raise NotThisOne(answer)
    return replace(answer, body=answer.body[:-7], headers=_without_checksums(answer))


FAULTS: tuple[Meddle, ...] = (busy, broken, too_many, silent, lose, cut, slow, flip, flip_beside_checksum, shorten)


class Weather:
    """Spoils a share of all requests, chosen by `seed`; the fault that has happened least comes next."""

    def __init__(self, share: float, seed: int, faults: tuple[Meddle, ...] = FAULTS) -> None:
        self._share = share
        self._chance = random.Random(seed)
        self._guard = threading.Lock()
        self._tried = dict.fromkeys(faults, 0)
        self.spoilt = {fault.__name__: 0 for fault in faults}
        """How often each fault has happened."""

    def meddle(self, request: Request) -> Answer | None:
        with self._guard:
            if self._chance.random() >= self._share:
                return request.forward()
            fault = min(self._tried, key=lambda each: (self.spoilt[each.__name__], self._tried[each]))
            self._tried[fault] += 1
        try:
            spoilt = fault(request)
        except NotThisOne as passed:
            return passed.answer
        with self._guard:
            self.spoilt[fault.__name__] += 1
        return spoilt
