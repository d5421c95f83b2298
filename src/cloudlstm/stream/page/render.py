"""The page of a stream: one HTML file without network access, scripts or fonts; a browser reads it again by itself."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cloudlstm.report.html import page_environment
from cloudlstm.stream.page.charts import draw_all
from cloudlstm.stream.page.live import Live
from cloudlstm.text.numbers import DASH, amount, count, duration, percent, signed_percent
from cloudlstm.text.printable import printable

_READ_AGAIN_S = 5


@dataclass(frozen=True, slots=True)
class Tile:
    """A key figure: its name, its value, and its unit or what to compare it with."""

    name: str
    value: str
    note: str


def to_html(live: Live, *, ended: str = "") -> str:
    """The page.

    Args:
        live: The facts.
        ended: Why the stream has ended; empty while it runs. A page of a stream that runs is read again by itself.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    environment = page_environment("the page of a stream", "stream.page", "report")
    environment.finalize = lambda value: printable(value) if type(value) is str else value
    page: str = environment.get_template("stream.html.j2").render(
        name=live.name,
        headline=headline(live, ended),
        ended=ended,
        read_again=0 if ended else _READ_AGAIN_S,
        tiles=tiles(live),
        facts=facts(live),
        plots=draw_all(live),
        direction=shares(live),
        outcomes=live.scores.outcomes,
        synthetic=count(live.synthetic) if live.synthetic else "",
        counts=[
            (_WORDS.get(name, name), count(live.last.counts.get(name, 0)), count(total))
            for name, total in live.last.totals.items()
            if name != "synthetic"
        ]
        if live.last
        else [],
    )
    return page


def headline(live: Live, ended: str) -> str:
    """What the stream does, in one or two sentences; its reader sees from the last batch how old the page is."""
    last = live.last
    if last is None:
        return f"{ended or 'The stream waits for its first bar'}."
    state = ended or "The stream runs"
    newest = (
        "no bar has been used yet" if last.last_minute is None else f"its newest bar is of {_moment(last.last_minute)}"
    )
    then = "" if ended else " This page is written again after the next batch."
    return f"{state}; {newest}; the last batch was finished at {_moment(last.finished)}.{then}"


def tiles(live: Live) -> list[Tile]:
    """The key figures."""
    last, both = live.last, live.latency
    waits = "not known" if last and last.lag is None else live.waiting
    return [
        Tile("Rate", DASH if live.rate is None else amount(live.rate), "bars a second"),
        Tile("Lag", DASH if last is None or last.lag is None else count(last.lag), waits),
        Tile("Latency", duration(both[1]) if both else DASH, f"p95; p50 {duration(both[0])}" if both else "p95"),
        Tile(
            "Skill", DASH if live.skill is None else signed_percent(live.skill),
            f"of naive's squared error saved; {count(live.scores.outcomes)} outcomes",
        ),
    ]  # fmt: skip


def facts(live: Live) -> list[tuple[str, str]]:
    """What the stream reads and what forecasts."""
    settings, made = live.settings, live.last is not None and live.last.totals["forecasts"] > 0
    model = f"champion of {settings.model}" if settings.model else settings.run or "none: features only"
    if made and not settings.model and not settings.run:
        model = live.last.model if live.last else ""  # of the program that runs the stream
    return [
        ("Source", settings.source),
        ("Forecasts", model),
        ("Bars", f"of {settings.interval_s} s, sessions of {settings.calendar}"),
    ]


def _moment(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


_WORDS = {
    "used": "Bars used",
    "filled": "Missing bars filled",
    "doubled": "Bars that came again, equal to the one used",
    "replaced": "Bars replaced by a later one of their batch",
    "corrections": "Bars that came too late or with other values: not used, listed in corrections",
    "waiting": "Bars that are not final yet and were not used",
    "refused": "Messages and bars that cannot be used, listed in refused",
    "forecasts": "Forecasts",
}


def shares(live: Live) -> str:
    """The share of outcomes whose direction was right, in words."""
    share = live.right_direction
    return "" if share is None else f"{percent(share)} of the outcomes that moved had the direction that was forecast."
