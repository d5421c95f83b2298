"""A step as EMR tells of it: its states, its times, and why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from moto.core.utils import utcnow
from moto.emr.models import Step as MotoStep


class Step(MotoStep):
    """One step; only the engine moves it on.

    Attributes:
        failure: FailureDetails, once it has failed.
        cancelling: How it is to be ended, from the moment that somebody asked for it.
    """

    ENDED: ClassVar = frozenset({"COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED"})

    def __init__(self, **described: Any) -> None:
        known = ("name", "hadoop_jar_step", "action_on_failure")
        super().__init__(state="PENDING", **{name: described[name] for name in known if name in described})
        self.failure: Mapping[str, str] | None = None
        self.cancelling = ""

    @property
    def words(self) -> list[str]:
        """The arguments of its jar."""
        return [str(word) for word in self.hadoop_jar_step.get("Args") or []]

    @property
    def status(self) -> dict[str, Any]:
        """The Status structure."""
        status = super().status
        status["Timeline"]["EndDateTime"] = self.end_date_time
        status["StateChangeReason"] = {}
        if self.failure:
            status["FailureDetails"] = dict(self.failure)
        return status

    def start(self) -> None:
        """Nothing yet: moto says so of a new cluster's first step, which waits for the engine as all others do."""

    def begin(self) -> None:
        """It runs from now on."""
        self.state = "RUNNING"
        self.start_date_time = utcnow()

    def end(self, state: str, failure: Mapping[str, str] | None = None) -> None:
        """It has ended in this state."""
        self.state = state
        self.failure = failure
        self.end_date_time = utcnow()  # type: ignore[assignment]

    def cancel(self, option: str) -> str:
        """Takes a cancellation; the reason when it is refused."""
        if self.state == "PENDING":
            self.end("CANCELLED")
        elif self.state == "RUNNING":
            self.state = "CANCEL_PENDING"
            self.cancelling = option
        else:
            return f"The step cannot be cancelled: it is {self.state}."
        return ""
