"""The clock of schedules. It is this machine's until a test moves it; then it stands still until it is moved again.

Schedules, the launchers that they start, metrics and alarms follow it. Deadlines, leases and quotas keep to real time.
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FIELD = r"[0-9A-Za-z*,/-]+"
_CRON = re.compile(rf"{_FIELD}( {_FIELD}){{4}}")


class Clock:
    """A clock. Thread-safe.

    Attributes:
        era: Number of times that it was taken from this machine's time, or given back to it. What lies between two
            eras never happens.
    """

    def __init__(self) -> None:
        self._moved: datetime | None = None
        self._group = "*"
        self.era = 0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Returns its time, in UTC."""
        with self._lock:
            return self._moved or datetime.now(UTC)

    @property
    def moved(self) -> bool:
        """True if a test has moved it."""
        with self._lock:
            return self._moved is not None

    def follows(self, group: str) -> bool:
        """True if the schedules of a group are carried out: a test may have moved the clock for one group only."""
        with self._lock:
            return self._moved is None or fnmatchcase(group, self._group)

    def move(self, text: str, group: str = "*") -> datetime:
        """Moves the clock to a time, ISO 8601 with a zone; an empty text lets it go with this machine's again.

        Returns its time. Schedules of groups whose name the pattern `group` does not match stand still meanwhile.

        Raises:
            ValueError: the text is no such time, or the time is before that of an earlier move.
        """
        if not text:
            with self._lock:
                self.era += self._moved is not None
                self._moved = None
            return self.now()
        when = datetime.fromisoformat(text)
        if when.tzinfo is None:
            raise ValueError(f"the time {text} has no zone")
        with self._lock:
            if self._moved and when < self._moved:
                raise ValueError(f"{text} is before {self._moved.isoformat()}: the clock only goes forward")
            self.era += self._moved is None
            self._moved, self._group = when.astimezone(UTC), group
            return self._moved


class Recurrence:
    """The times of a cron expression in a time zone, after the moment at which it was set up.

    Args:
        cron: Five fields.
        zone: An IANA time zone.
        clock: The clock; no time up to now counts, nor any time before the present era.

    Raises:
        ValueError: one of the first two is invalid; the message says which.
    """

    def __init__(self, cron: str, zone: str, clock: Clock) -> None:
        from croniter import croniter

        if not _CRON.fullmatch(cron) or not croniter.is_valid(cron):
            raise ValueError(f"{cron} is no cron expression of five fields")
        try:
            self._zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{zone} is no time zone") from None
        self._cron, self._clock, self._era = cron, clock, clock.era
        self.next = self._after(clock.now())

    def due(self) -> datetime | None:
        """Returns the next time, and goes on to the one after it, if it has come; None if it has not."""
        now = self._clock.now()
        if self._era != self._clock.era:
            self._era, self.next = self._clock.era, self._after(now)
        if self.next > now:
            return None
        came = self.next
        self.next = self._after(came)
        return came

    def _after(self, moment: datetime) -> datetime:
        from croniter import croniter

        found: datetime = croniter(self._cron, moment.astimezone(self._zone)).get_next(datetime)
        return found.astimezone(UTC)
