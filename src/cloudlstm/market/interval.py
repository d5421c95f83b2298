"""The interval of bars, and their dates as numbers, as text and as types of Arrow and NumPy.

Everywhere inside, the date of a bar is an int32: days since 1970-01-01 for daily bars, and for bars within a day the
minutes since 1970-01-01 UTC at which the bar starts.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.market.columns import MOMENT

MINUTES_A_DAY = 1440
_SESSION_MINUTES = 390
"""Length of a usual session, for limits that are given per session. It is the same for all exchanges and dates, so that
no limit depends on where reading began."""
INTERVALS = {"1d": MINUTES_A_DAY, "1m": 1, "5m": 5, "15m": 15, "1h": 60}
"""The values of `market.interval`, with their minutes."""
WITHIN_A_DAY = tuple(name for name in INTERVALS if name != "1d")
"""The intervals shorter than a day."""
_WORDS = {"1d": "daily", "1m": "1-minute", "5m": "5-minute", "15m": "15-minute", "1h": "hourly"}


@dataclass(frozen=True, slots=True)
class Interval:
    """The time of one bar.

    Attributes:
        name: As in `market.interval`: 1d, 1m, 5m, 15m or 1h.
    """

    name: str = "1d"

    @property
    def daily(self) -> bool:
        """True for daily bars."""
        return self.name == "1d"

    @property
    def minutes(self) -> int:
        """Minutes from the start of a bar to its end; the last bar before a break or a close may be shorter."""
        return INTERVALS[self.name]

    @property
    def seconds(self) -> int:
        """Seconds from the start of a bar to its end."""
        return 60 * self.minutes

    @classmethod
    def of_seconds(cls, seconds: int) -> Self:
        """The interval within a day of so many seconds.

        Raises:
            ValueError: There is none.
        """
        for name, minutes in INTERVALS.items():
            if name != "1d" and 60 * minutes == seconds:
                return cls(name)
        raise ValueError(f"no interval within a day has {seconds} seconds")

    @property
    def word(self) -> str:
        """The kind of bars for people, such as daily or 5-minute."""
        return _WORDS[self.name]

    @property
    def bars_a_session(self) -> int:
        """Bars of a usual session: 1 daily bar, 390, 78, 26 or 7 bars within a day."""
        return 1 if self.daily else -(-_SESSION_MINUTES // self.minutes)

    @property
    def arrow(self) -> pa.DataType:
        """The type of a column of dates."""
        return pa.date32() if self.daily else MOMENT

    @property
    def unit(self) -> str:
        """The unit of dates as of NumPy's datetime64: D or m."""
        return "D" if self.daily else "m"

    def text(self, date: int) -> str:
        """A date as ISO 8601: 2024-12-31, or 2024-12-31T20:59Z for bars within a day."""
        return texts_of(np.array([date]), self.unit)[0]

    def number(self, text: str) -> int:
        """A date in ISO 8601 as a number; the inverse of `text`, with any offset from UTC."""
        if self.daily:
            return (dt.date.fromisoformat(text[:10]) - dt.date(1970, 1, 1)).days
        return int(dt.datetime.fromisoformat(text).timestamp() // 60)

    def read(self, text: str) -> dt.date:
        """A date in ISO 8601 as a date; for bars within a day as a datetime in UTC."""
        return self.date(self.number(text))

    def number_of(self, date: dt.date) -> int:
        """A date as a number; for bars within a day it is a datetime with a time zone. The inverse of `date`."""
        return self.number(date.isoformat())

    def date(self, number: int) -> dt.date:
        """A number as a date; for bars within a day as a datetime in UTC."""
        if self.daily:
            return dt.date(1970, 1, 1) + dt.timedelta(days=number)
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=number)


DAILY = Interval()
"""The interval of daily bars."""


def iso(date: dt.date) -> str:
    """A date as ISO 8601, a datetime in UTC as in `Interval.text`."""
    return date.strftime("%Y-%m-%dT%H:%MZ") if isinstance(date, dt.datetime) else date.isoformat()


def texts_of(dates: NDArray[np.integer], unit: str) -> tuple[str, ...]:
    """Dates as ISO 8601.

    Args:
        dates: Days since 1970-01-01, or minutes.
        unit: D or m, as of `Interval.unit`.
    """
    ending = "" if unit == "D" else "Z"
    return tuple(f"{each}{ending}" for each in np.asarray(dates).astype(np.int64).astype(f"datetime64[{unit}]"))
