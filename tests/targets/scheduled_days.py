"""Days of a target's schedule on an emulated cloud, under its clock: each begins when the schedule says so."""

from __future__ import annotations

import datetime as dt
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

from localstack.cloud import Cloud

from cloudlstm.targets.document import TargetConfig, parse
from cloudlstm.targets.lease import Holder, newest
from cloudlstm.targets.schedule import Launch, coordinates, launches, schedule_of
from on_emulators import until
from pipeline.cli_runner import cloudlstm
from process_tree import descendants
from trainer_groups import compute

NEW_YORK = ZoneInfo("America/New_York")
LONG_S = 240.0


class ScheduledDays:
    """A target with a schedule, whose days pass when the test says so.

    Args:
        cloud: The emulated cloud.
        document: The target document.
    """

    def __init__(self, cloud: Cloud, document: dict[str, Any]) -> None:
        self.cloud, self.document = cloud, document
        self.config: TargetConfig = parse(document, "the target")
        self.root = f"{self.config.bucket_uri}/runs"
        self.group = schedule_of(self.config).group
        self._before: Holder | None = None

    def run(self, verb: str, *words: str) -> Any:
        """Runs a command on the target, named by the URI of its document."""
        return cloudlstm(verb, f"--target={schedule_of(self.config).target}", *words, timeout_s=LONG_S)

    def move(self, day: dt.date, hour: int, minute: int) -> None:
        """Moves the clock to a time of a day in New York."""
        self.cloud.control.move_clock(dt.datetime.combine(day, dt.time(hour, minute), NEW_YORK), self.group)

    def wait_for(self, day: dt.date) -> None:
        """Moves the clock to the morning of the first day, which begins nothing."""
        self.move(day, 8, 0)

    def begin(self, day: dt.date) -> None:
        """Lets a day pass until its launcher comes; nothing has come by five minutes before."""
        self._before = newest(coordinates(self.config))
        self.move(day, 18, 25)
        assert self.machines() == []
        assert self.size == 0
        self.move(day, 18, 30)
        assert self.size == 1

    def at_work(self) -> None:
        """Waits until the launcher of the day has taken its lease, and begins with the first model."""
        known = self._before.number if self._before else 0
        until(lambda: (found := newest(coordinates(self.config))) and found.number > known, "the launcher to work")

    def evening(self, day: dt.date) -> Launch:
        """Lets a day pass, and waits until its launcher has left; returns what that did."""
        self.begin(day)
        return self.left()

    def left(self) -> Launch:
        """Waits until no launcher is there; returns what the last one did."""
        until(lambda: self.size == 0 and not self.machines(), "the launcher to leave")
        return launches(self.root, 1)[0][1]

    @property
    def size(self) -> int:
        """The wanted size of the launchers' group."""
        return int(self.cloud.control.state()["groups"][self.group])

    def machines(self) -> list[Mapping[str, Any]]:
        """The launchers that run."""
        return [each for each in self.cloud.control.state()["machines"] if each["group"] == self.group]

    def empty(self) -> None:
        """Sets the size of the launchers' group to 0, as an operator may."""
        if self.config.cloud == "aws":
            import boto3

            boto3.session.Session(region_name=self.config.region).client("autoscaling").set_desired_capacity(
                AutoScalingGroupName=self.group, DesiredCapacity=0
            )
        else:
            compute(self.document, "RegionInstanceGroupManagersClient").resize_unary(
                size=0, project=self.config.account, region=self.config.region, instance_group_manager=self.group
            )
        until(lambda: not self.machines(), "the launcher to be gone")

    def hold(self) -> None:
        """Stops all processes of the launcher, which then does nothing until it is ended."""
        for machine in self.machines():
            for pid in descendants(int(machine["pid"])):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)

    def kill(self) -> None:
        """Kills the launcher. Its group replaces it."""
        self.cloud.control.fault("preempted", group=self.group)
