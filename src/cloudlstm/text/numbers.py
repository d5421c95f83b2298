"""Numbers as the report writes them, in tables and figures: a real minus sign, a dash for what is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DASH = "–"


def minus(text: str) -> str:
    """The text with hyphens for minus signs turned into real ones."""
    return text.replace("-", "−")


def dollars(value: float | None, digits: int = 4) -> str:
    return DASH if value is None else minus(f"{value:,.{digits if abs(value) < 1000 else 2}f}")


def price(value: float | None, coarse_from: float = 1.0) -> str:
    """A price or a part of one in cents; below `coarse_from` dollars with four decimals."""
    return DASH if value is None else minus(f"{value:,.2f}" if abs(value) >= coarse_from else f"{value:,.4f}")


def percent(value: float | None, digits: int = 1) -> str:
    return DASH if value is None else minus(f"{value:,.{digits}%}")


def signed_percent(value: float | None) -> str:
    """A share as a percentage with its sign; whole percents where the size leaves no room for more."""
    return DASH if value is None else signed(100.0 * value, ".2f" if abs(value) < 10 else ".0f")


def signed(value: float, digits: str = ".2f") -> str:
    """A percentage with its sign, as in +0.41% or +3%; zero bears none, and what would not fit is given in k or M."""
    if abs(value) >= 1e5:
        return minus(f"{'+' if value > 0 else ''}{amount(value)}%")
    text = f"{value:+,{digits}}"
    return minus(f"{text if float(text.replace(',', '')) else text[1:]}%")


def p_value(value: float | None) -> str:
    return DASH if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float | None) -> str:
    return DASH if value is None else minus(f"{value:,.0f}")


def amount(value: float | None) -> str:
    """A count in few characters: 950, 12.3 k, 3.77 M."""
    if value is None:
        return DASH
    for limit, divisor, suffix in ((1e3, 1.0, ""), (1e6, 1e3, " k"), (1e9, 1e6, " M")):
        if abs(value) < 0.9995 * limit:
            return minus(f"{value / divisor:.3g}{suffix}")
    return minus(f"{value / 1e9:.3g} G" if abs(value) < 1e12 else f"{value:.1e}")


def seconds(value: float | None) -> str:
    """Seconds as 0.3 s, 42 s, 7 min 05 s or 2 h 10 min."""
    if value is None:
        return DASH
    if value < 9.95:
        return f"{value:.1f} s" if value else "0 s"
    if value < 89.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def optional(value: Any) -> str:
    """A fact that may be unknown."""
    return DASH if value is None or value == "" else f"{value:.6g}" if isinstance(value, float) else str(value)


def typeset(text: str) -> str:
    """Plain text with real minus and times signs, and with spaces that do not break around an equals sign."""
    text = re.sub(r"(?<![\w.])-(?=[\d$])", "−", text).replace(" - ", " − ").replace(" x ", " × ")
    return re.sub(r" ([=<]) ", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", text)


def figure(value: float | None, metric: Mapping[str, Any]) -> str:
    """A metric's value as text; a dash where there is none."""
    if value is None:
        return DASH
    match metric["unit"]:
        case "dollar":
            return dollars(value)
        case "return":
            return percent(value, 3)
        case "share":
            return signed_percent(value) if metric["name"] in ("skill", "r2_oos") else percent(value)
        case "count":
            return count(value) if value < 1e5 else amount(value)
        case "p":
            return p_value(value)
        case "t":
            return minus(f"{value:+.2f}")
        case _:
            return minus(f"{value:.3f}")
