"""What Python objects answer to the emulators' JVM stays alive until the JVM has it."""

from __future__ import annotations

import gc
import weakref

from localstack.yarn.hadoop import KeptAnswers


class Response:
    """Stands for a Java object, which Py4J frees when nothing refers to it."""


class Protocol:
    """A protocol with one call."""

    class Java:
        implements = ("protocol",)

    def call(self, _request: object) -> Response:
        return Response()


def test_an_answer_outlives_its_call() -> None:
    kept = KeptAnswers(Protocol())
    assert kept.Java.implements == ("protocol",)
    answer = weakref.ref(kept.call(None))
    gc.collect()
    assert answer() is not None
