"""Numbers and durations as text, the same in the report and on the command line.

A missing value is a dash, and a minus sign is the typographic one.
"""

from __future__ import annotations

import re
from typing import Any

DASH = "–"


def minus(text: str) -> str:
    """Replaces hyphens by minus signs."""
    return text.replace("-", "−")


def dollars(value: float | None, digits: int = 4) -> str:
    """A dollar amount without the sign: 12.3456, or 1,234.56 from 1,000 dollars on."""
    return DASH if value is None else minus(f"{value:,.{digits if abs(value) < 1000 else 2}f}")


def price(value: float | None, coarse_from: float = 1.0) -> str:
    """A price with two decimals, or with four if it is below `coarse_from` dollars."""
    return DASH if value is None else minus(f"{value:,.2f}" if abs(value) >= coarse_from else f"{value:,.4f}")


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage: 0.123 is 12.3%."""
    return DASH if value is None else minus(f"{value:,.{digits}%}")


def signed_percent(value: float | None, digits: int = 2) -> str:
    """A fraction as a percentage with its sign; without decimals from 1,000% on."""
    return DASH if value is None else signed(100.0 * value, f".{digits}f" if abs(value) < 10 else ".0f")


def signed(value: float, digits: str = ".2f") -> str:
    """A percentage with its sign, such as +0.41% or +3%. Zero has no sign; from 100,000% on with k or M."""
    if abs(value) >= 1e5:
        return minus(f"{'+' if value > 0 else ''}{amount(value)}%")
    text = f"{value:+,{digits}}"
    return minus(f"{text if float(text.replace(',', '')) else text[1:]}%")


def p_value(value: float | None) -> str:
    """A p-value with three decimals, or <0.001."""
    return DASH if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def decimal(value: float | None, digits: int, sign: str = "") -> str:
    """A number with a fixed number of decimals; with `sign` "+" it has a sign, also above zero."""
    return DASH if value is None else minus(f"{value:{sign},.{digits}f}")


def count(value: float | None) -> str:
    """A whole number with thousands separators: 12,345."""
    return DASH if value is None else minus(f"{value:,.0f}")


def counted(value: int, one: str, several: str = "") -> str:
    """A number of things: 1 object, 2 objects; `several` is the plural where it does not end in s."""
    return f"{count(value)} {one if value == 1 else several or one + 's'}"


def amount(value: float | None) -> str:
    """A number with three significant digits: 4.5, 950, 12.3 k, 3.77 M."""
    if value is None:
        return DASH
    for limit, divisor, suffix in ((1e3, 1.0, ""), (1e6, 1e3, " k"), (1e9, 1e6, " M")):
        if abs(value) < 0.9995 * limit:
            return minus(f"{value / divisor:.3g}{suffix}")
    return minus(f"{value / 1e9:.3g} G" if abs(value) < 1e12 else f"{value:.1e}")


def seconds(value: float | None) -> str:
    """A duration in seconds as 0.3 s, 42 s, 7 min 05 s or 2 h 10 min."""
    if value is None:
        return DASH
    if value < 9.95:
        return f"{value:.1f} s" if value >= 0.05 else "0 s"
    if value < 89.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def duration(value: float | None) -> str:
    """A measured duration with three significant digits, such as 0.0123 s or 8.25 s; longer ones as in `seconds`."""
    return DASH if value is None else f"{value:.3g} s" if value < 89.5 else seconds(value)


def optional(value: Any) -> str:
    """Any value as text; a dash for None and for an empty text."""
    return DASH if value is None or value == "" else f"{value:.6g}" if isinstance(value, float) else str(value)


def typeset(text: str) -> str:
    """Plain text with minus and times signs, and with non-breaking spaces around `=` and `<`."""
    text = re.sub(r"(?<![\w.])-(?=[\d$])", "−", text).replace(" - ", " − ").replace(" x ", " × ")
    return re.sub(r" ([=<]) ", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", text)
