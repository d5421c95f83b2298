"""Yahoo's live ticks as provisional bars of a minute, for a stream: in a topic, or as files that land in a folder.

    pip install 'cloudlstm[market,kafka]'
    python examples/yahoo_ticks.py --tickers=AAPL,MSFT --to=kafka://127.0.0.1:9092/bars.1m
    cloudlstm stream live --source=kafka://127.0.0.1:9092/bars.1m --model=minutes

Yahoo sends ticks and no bars, without a guarantee that all of them come: prices have 7 digits, and volumes are sums
since the open. So the bars are not final (`final` is false), and `cloudlstm stream --final-only` would wait for others.
After the close, Yahoo's history of minutes has the bars that count.

The loop is our own, on `websockets`, which yfinance needs as well: the one of yfinance 1.7 does not connect again after
a connection was lost. This one connects again after a close, an error, and a minute of silence, with growing pauses,
and subscribes again each time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from google.protobuf.message import DecodeError
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from cloudlstm import storage
from cloudlstm.errors import CloudLSTMError
from cloudlstm.stream.bars import BARS
from cloudlstm.stream.kafka_client import SCHEME, Topic, read_properties
from cloudlstm.stream.publish import FolderPublisher, Publisher, TopicPublisher

if TYPE_CHECKING:
    from yfinance.pricing_pb2 import PricingData

URL = "wss://streamer.finance.yahoo.com/?version=2"
SOURCE = "yahoo ticks"
MINUTE_S = 60
REGULAR_HOURS = 1
"""The value of `market_hours` for ticks within the session."""
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """A trade.

    Attributes:
        ticker: The ticker.
        time_s: Its time in seconds since 1970-01-01 UTC.
        price: Its price.
        day_volume: Shares traded since the open.
    """

    ticker: str
    time_s: float
    price: float
    day_volume: int


@dataclass(frozen=True, slots=True)
class Options:
    """How the ticks are received.

    Attributes:
        stale_s: A connection without a tick for so long is given up.
        subscribe_s: Seconds between two subscriptions on one connection; Yahoo forgets old ones.
        pause_s: Pause before the second connection; it doubles until a tick comes.
        most_pause_s: The longest pause.
        grace_s: A bar is sent so long after its minute, so that late ticks are in it.
    """

    stale_s: float = 60.0
    subscribe_s: float = 15.0
    pause_s: float = 1.0
    most_pause_s: float = 60.0
    grace_s: float = 3.0


async def receive(
    url: str, tickers: Sequence[str], options: Options, tell: Callable[[str], None]
) -> AsyncIterator[Tick]:
    """Yields ticks for ever; connects and subscribes again whenever the connection fails or is silent."""
    from yfinance.pricing_pb2 import PricingData  # takes seconds, so before the connection

    pause = options.pause_s
    while True:
        try:
            async with connect(url, close_timeout=1.0) as socket:
                subscribed, last = -options.subscribe_s, time.monotonic()
                while (now := time.monotonic()) - last < options.stale_s:
                    if now - subscribed >= options.subscribe_s:
                        await socket.send(json.dumps({"subscribe": list(tickers)}))
                        subscribed = now
                    wait = min(subscribed + options.subscribe_s, last + options.stale_s) - now
                    with suppress(TimeoutError):
                        message = await asyncio.wait_for(socket.recv(), max(wait, 0.0))
                        if tick := decoded(message, PricingData):
                            pause, last = options.pause_s, time.monotonic()
                            yield tick
            reason = f"no tick for {options.stale_s:g} s"
        except (WebSocketException, OSError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
        tell(f"{reason}; connects again in {pause:g} s")
        await asyncio.sleep(pause)
        pause = min(2 * pause, options.most_pause_s)


def decoded(message: str | bytes, kind: type[PricingData]) -> Tick | None:
    """The tick in a message, which has data of a kind in it; None if it is none of the session."""
    try:
        data = kind.FromString(base64.b64decode(json.loads(message)["message"]))
    except (ValueError, KeyError, TypeError, binascii.Error, DecodeError):
        return None
    if not data.id or data.market_hours != REGULAR_HOURS or not data.price > 0 or data.time <= 0:
        return None
    return Tick(data.id.upper(), data.time / 1e3, round(data.price, DECIMALS), data.day_volume)


class Minutes:
    """Makes bars of ticks. A tick whose minute was sent already changes nothing."""

    def __init__(self) -> None:
        self._bars: dict[tuple[int, str], dict[str, object]] = {}
        self._volume: dict[str, int] = {}
        self._sent = 0

    def add(self, tick: Tick) -> None:
        """Adds a tick."""
        before = self._volume.get(tick.ticker, tick.day_volume)
        # What was traded while the connection was lost counts for the first minute after it; a new day begins at 0.
        traded = tick.day_volume - before if tick.day_volume >= before else tick.day_volume
        minute = int(tick.time_s // MINUTE_S) * MINUTE_S
        if minute < self._sent:
            return
        self._volume[tick.ticker] = tick.day_volume
        price = tick.price
        bar = self._bars.setdefault(
            (minute, tick.ticker),
            {"ticker": tick.ticker, "minute": minute, "open": price, "high": price, "low": price, "volume": 0.0,
             "source": SOURCE, "final": False},
        )  # fmt: skip
        bar |= {"high": max(bar["high"], price), "low": min(bar["low"], price), "close": price}
        bar["volume"] += float(traded)

    def finished(self, until_s: float) -> Iterator[pa.Table]:
        """The bars of each minute that ended before a time, in order; they are forgotten."""
        for minute in sorted({minute for minute, _ in self._bars if minute + MINUTE_S <= until_s}):
            keys = sorted(key for key in self._bars if key[0] == minute)
            rows = [self._bars.pop(key) | {"sent": time.time()} for key in keys]
            self._sent = minute + MINUTE_S
            yield pa.Table.from_pylist(rows, schema=BARS)


async def run(
    url: str, tickers: Sequence[str], publisher: Publisher, options: Options, tell: Callable[[str], None],
    clock: Callable[[], float] = time.time, stop: Callable[[], bool] = lambda: False, look_s: float = 1.0,
) -> None:  # fmt: skip
    """Publishes the bars of ticks until `stop` says so.

    Args:
        url: The address of the ticks.
        tickers: Tickers in Yahoo's spelling.
        publisher: Where bars go.
        options: How ticks are received.
        tell: Shows a line to the user.
        clock: Gives the time.
        stop: Asked after each look.
        look_s: Seconds between two looks for finished minutes.
    """
    minutes = Minutes()

    async def listen() -> None:
        async for tick in receive(url, tickers, options, tell):
            minutes.add(tick)

    listening = asyncio.create_task(listen())
    try:
        while not stop() and not listening.done():
            await asyncio.sleep(look_s)
            for bars in minutes.finished(clock() - options.grace_s):
                await asyncio.to_thread(publisher.send, bars)
                tell(f"{bars.num_rows} bars of {time.strftime('%H:%M', time.gmtime(bars['minute'][0].as_py()))} UTC")
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening  # raises what ended it, if it was not this
        publisher.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tickers", required=True, help="in Yahoo's spelling, with commas")
    parser.add_argument("--to", required=True, help="kafka://ADDRESS/TOPIC, or a folder")
    parser.add_argument("--kafka", help="a properties file with SASL and TLS settings")
    parser.add_argument("--stale", type=float, default=60.0, help="seconds of silence after which it connects again")
    parser.add_argument("--url", default=URL)
    words = parser.parse_args()

    def tell(text: str) -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    try:
        publisher: Publisher
        if words.to.startswith(SCHEME):
            publisher = TopicPublisher(Topic.parse(words.to), read_properties(words.kafka))
        else:
            publisher = FolderPublisher(storage.absolute(words.to))
        tickers = [word.strip() for word in words.tickers.split(",") if word.strip()]
        asyncio.run(run(words.url, tickers, publisher, Options(stale_s=words.stale), tell))
    except CloudLSTMError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
