"""The command `replay`: publishes recorded or synthetic bars within a day."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cloudlstm.cli import terminal
from cloudlstm.cli.flags import parse_number, parse_switch, parse_text
from cloudlstm.cli.submit import Deferred
from cloudlstm.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from cloudlstm.stream.publish import Publisher

_SYNTHETIC = "synthetic"


def replay(
    bars: str | None = None,
    *,
    to: str | None = None,
    speed: str | None = None,
    tickers: int | None = None,
    sessions: int | None = None,
    start: str | None = None,
    seed: int | None = None,
    calendar: str | None = None,
    partitions: int | None = None,
    kafka: str | None = None,
    dry_run: bool = False,
) -> Deferred:
    """Publishes recorded or synthetic bars within a day to a Kafka topic or a folder, at a chosen speed.

    For tests, demos and load. Each bar gets the present time as the time when it was sent.

    Args:
        bars: A file or folder of bars (JSON lines, CSV or Parquet), or synthetic, which is the default.
        to: kafka://ADDRESS/TOPIC, or a folder for landed files.
        speed: How many times faster than in life; by default 60. 0 is as fast as possible.
        tickers: Number of synthetic tickers; by default 20.
        sessions: Number of synthetic sessions; by default 1.
        start: Date of the first synthetic session; by default 2024-01-02. A stream refuses bars of the future.
        seed: Seed of the synthetic market; by default 1.
        calendar: The exchange of synthetic bars; by default XNYS.
        partitions: Make the topic with so many partitions if it does not exist.
        kafka: A properties file with SASL and TLS settings; its values reach no log.
        dry_run: Print what would be published, and do nothing else.
    """
    source, place = parse_text("bars", bars) or _SYNTHETIC, parse_text("to", to)
    if not place:
        raise UsageError("replay needs a place for the bars", hint="--to=kafka://127.0.0.1:9092/bars.1m, or a folder")
    fast = _speed(parse_text("speed", speed))
    day = _day(parse_text("start", start))
    number, days = parse_number("tickers", tickers) or 20, parse_number("sessions", sessions) or 1
    first, parts = parse_number("seed", seed) or 1, parse_number("partitions", partitions) or 0
    exchange, secret, dry = parse_text("calendar", calendar) or "XNYS", parse_text("kafka", kafka), dry_run

    def work() -> int:
        from cloudlstm.stream.kafka_client import SCHEME, Topic
        from cloudlstm.stream.publish import replay as publish

        if place.startswith(SCHEME):
            Topic.parse(place)  # before anything shows it
        minutes = (
            _synthetic(number, exchange, day, days, first) if source == _SYNTHETIC else _recorded(source)
        )  # fmt: skip
        if parse_switch("dry-run", dry):
            found = [(table.num_rows, int(table["minute"][0].as_py())) for table in minutes]
            span = f", from {_text(found[0][1])} to {_text(found[-1][1])}" if found else ""
            terminal.write(f"{sum(n for n, _ in found)} bars of {len(found)} minutes{span}, to {place}\n")
            return 0
        began, told = time.monotonic(), [time.monotonic()]

        def watch(sent: int) -> None:
            if time.monotonic() - told[0] >= 5.0:
                told[0] = time.monotonic()
                terminal.write_error(f"{sent} bars, {sent / (told[0] - began):.0f} a second\n")

        sent = publish(minutes, _publisher(place, secret, parts), fast, 60, watch)
        took = max(time.monotonic() - began, 1e-9)
        terminal.write(f"{sent} bars in {took:.1f} s, {sent / took:.0f} a second\n")
        return 0

    return Deferred(work)


def _publisher(place: str, secret: str | None, partitions: int) -> Publisher:
    from cloudlstm import storage
    from cloudlstm.stream.kafka_client import SCHEME, Topic, read_properties
    from cloudlstm.stream.publish import FolderPublisher, TopicPublisher

    if place.startswith(SCHEME):
        return TopicPublisher(Topic.parse(place), read_properties(secret), partitions)
    return FolderPublisher(storage.absolute(place))


def _synthetic(tickers: int, exchange: str, day: dt.date, sessions: int, seed: int) -> Iterator[pa.Table]:
    """The bars of each minute of synthetic sessions."""
    import numpy as np

    from cloudlstm.market.calendar import hours, within_bounds
    from cloudlstm.market.grid import Grid
    from cloudlstm.market.interval import Interval
    from cloudlstm.stream.synthetic import session_bars

    found = hours(exchange, *within_bounds(exchange, day, day + dt.timedelta(days=2 * sessions + 14)))
    if len(found.days) < sessions:
        raise UsageError(f"the calendar {exchange} has no {sessions} sessions after {day}", hint="fewer --sessions")
    close = None
    for number in range(sessions):
        starts = Grid(Interval("1m"), found.take(slice(number, number + 1))).starts
        minutes = starts * np.int64(60)
        tables, close = session_bars(tickers, minutes, seed, int(found.days[number]), close)
        yield from tables


def _recorded(source: str) -> Iterator[pa.Table]:
    """The bars of each minute of a file or of all files of a folder, in the order of time within a file."""
    from cloudlstm import storage
    from cloudlstm.stream.publish import by_minute
    from cloudlstm.stream.sources.files import read_files

    tell = lambda text: terminal.write_error(f"{text}\n")  # noqa: E731
    for table in read_files(storage.absolute(source), tell):
        yield from by_minute(table)


def _text(seconds: int) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M} UTC"


def _speed(text: str | None) -> float:
    try:
        found = float(text or "60")
    except ValueError:
        found = -1.0
    if not 0.0 <= found < 1e9:
        raise UsageError(f"--speed is a number from 0, not {text!r}", hint="--speed=60")
    return found


def _day(text: str | None) -> dt.date:
    try:
        return dt.date.fromisoformat(text or "2024-01-02")
    except ValueError:
        raise UsageError(f"--start is no date: {text!r}", hint="--start=2024-01-02") from None
