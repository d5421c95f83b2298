"""The values of the flags of `stream`."""

from __future__ import annotations

import math
from typing import Any

from cloudlstm.cli.flags import parse_text
from cloudlstm.errors import UsageError


def sinks_of(value: object) -> tuple[str, ...] | None:
    """The sinks of --to, or None if it was not given.

    The addresses of a topic may have commas. Fire makes a tuple of words with commas.
    """
    from cloudlstm.stream.kafka_client import SCHEME, Topic, sink_names

    text = ",".join(map(str, value)) if isinstance(value, tuple | list) else parse_text("to", value)
    if text is None:
        return None
    words = tuple(Topic.parse(each).uri if each.startswith(SCHEME) else each for each in sink_names(text))
    if len(set(words)) < len(words) or sum(word.startswith(SCHEME) for word in words) > 1:
        raise UsageError("--to names a sink twice, or two topics", hint="--to=parquet,console")
    return words


def above_0(flag: str, value: object) -> float | None:
    """The number above 0 of a flag; None if it was not given."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UsageError(f"--{flag} needs a number above 0, not {value}", hint=f"--{flag}=10")
    return float(value)


def no_pause() -> UsageError:
    """The error of --every beside --available-now."""
    return UsageError("--available-now has batches as fast as it can, without --every", hint="one of the two")


def jars_of(value: object) -> tuple[str, ...]:
    """The URIs of --jars. Fire makes a tuple of words with commas."""
    text = ",".join(map(str, value)) if isinstance(value, tuple | list) else parse_text("jars", value)
    return tuple(each.strip() for each in (text or "").split(",") if each.strip())


def given_only(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given."""
    return {name: value for name, value in flags.items() if value}


def require_flags(on_spark: bool, spark: dict[str, Any], here: dict[str, bool]) -> None:
    """Raises UsageError for a flag that the chosen runner does not have."""
    if not on_spark and (others := given_only(spark)):
        flag = next(iter(others)).replace("_", "-")
        raise UsageError(f"--{flag} is for a stream on Spark", hint="--target=… or --runner=spark")
    for flag, given in here.items():
        if on_spark and given:
            raise UsageError(f"a stream on Spark has no {flag}", hint=f"leave {flag}, or --target and --runner, out")


def one_of(flag: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    """The value of a flag that has few; None if it was not given."""
    if value is not None and value not in allowed:
        raise UsageError(f"--{flag} is {' or '.join(allowed)}, not {value!r}", hint=f"--{flag}={allowed[0]}")
    return value


def interval_of(text: str | None) -> int | None:
    """The seconds of --interval; None if it was not given."""
    if text is None:
        return None
    from cloudlstm.market.interval import WITHIN_A_DAY, Interval

    if text not in WITHIN_A_DAY:
        raise UsageError(f"--interval is {', '.join(WITHIN_A_DAY)}, not {text!r}", hint="--interval=1m")
    return Interval(text).seconds
