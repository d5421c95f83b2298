"""A drawing as inline SVG: shapes coloured by the page's CSS classes, and text whose width is estimated.

The font that a browser uses is unknown. Text widths are those of DejaVu Sans, the widest font in the page's list, so
text that fits by this estimate fits on every machine.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal

from cloudlstm.text.printable import printable, shortened

TICK_PX, LABEL_PX = 11.0, 12.0

Marker = Literal["circle", "diamond", "triangle"]

_MARKERS = {"diamond": "M0-6L6 0 0 6-6 0Z", "triangle": "M0-6L6 5H-6Z"}

_WIDTHS = {
    0.32: " .,:;'|ijlI!·/()[]f-t",
    0.39: "r°",
    0.64: "0123456789$abcdeghknopqsuvxyzLF–—_±²E",
    0.70: "ABCDGHKNOPQRSTUVXYZJ&…?",
    0.84: "−+<>=wm%×→←↑±~",
    0.98: "MW@",
}
_WIDTH = {character: width for width, characters in _WIDTHS.items() for character in characters}


def text_width(text: str, px: float, *, bold: bool = False) -> float:
    """Upper bound of the width of text in pixels."""
    return sum(map(_width, text)) * px * (1.12 if bold else 1.0)


def _width(character: str) -> float:
    return _WIDTH.get(character) or (1.0 if unicodedata.east_asian_width(character) in "WF" else 0.84)


def fit_text(text: str, px: float, width: float, *, bold: bool = False) -> str:
    """The text, or as much of its beginning as fits into `width` pixels, with an ellipsis."""
    text = printable(text)
    if text_width(text, px, bold=bold) <= width:
        return text
    most = len(text)
    while most > 1 and text_width(shortened(text, most), px, bold=bold) > width:
        most = min(most - 1, max(int(most * 0.9), 1))
    return shortened(text, most)


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


class Drawing:
    """Shapes on a canvas of `width` x `height` pixels, in the order in which they are drawn.

    A colour is the name of a CSS class of the page, without its prefix `c-`.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str, px: float = 1.0, dash: str = "") -> None:
        """A straight line."""
        at = " ".join(
            f'{name}="{number(v)}"' for name, v in zip(("x1", "y1", "x2", "y2"), (x1, y1, x2, y2), strict=True)
        )
        self._parts.append(f'<line class="s c-{colour}" {at}{_stroke(px, dash)}/>')

    def path(
        self, xs: Sequence[float], ys: Sequence[float], colour: str, px: float = 1.8, *, dash: str = "",
        stairs: bool = False, opacity: float = 1.0,
    ) -> None:  # fmt: skip
        """A line through points; with `stairs`, a step function."""
        if not len(xs):
            return
        steps = [f"M{number(xs[0])} {number(ys[0])}"]
        for x, y in zip(xs[1:], ys[1:], strict=True):
            steps.append(f"H{number(x)}V{number(y)}" if stairs else f"L{number(x)} {number(y)}")
        faint = f' opacity="{opacity:g}"' if opacity < 1 else ""
        self._parts.append(f'<path class="s c-{colour}" d="{"".join(steps)}"{_stroke(px, dash)}{faint}/>')

    def area(self, xs: Sequence[float], ys: Sequence[float], base: float, colour: str, opacity: float) -> None:
        """The filled area between a step function and a base line."""
        steps = "".join(f"V{number(y)}H{number(x)}" for x, y in zip(xs[1:], ys, strict=True))
        path = f"M{number(xs[0])} {number(base)}{steps}V{number(base)}Z"
        self._parts.append(f'<path class="f c-{colour}" d="{path}" opacity="{opacity:g}"/>')

    def rect(
        self, x: float, y: float, width: float, height: float, colour: str, *, opacity: float = 1.0,
        radius: float = 0.0, title: str = "",
    ) -> None:  # fmt: skip
        """A filled rectangle; `title` shows on hover."""
        box = f'x="{number(x)}" y="{number(y)}" width="{number(max(width, 0.0))}" height="{number(height)}"'
        extra = (f' rx="{number(radius)}"' if radius else "") + (f' opacity="{opacity:g}"' if opacity < 1 else "")
        self._parts.append(f'<rect class="f c-{colour}" {box}{extra}{_titled("rect", title)}')

    def dot(
        self, x: float, y: float, radius: float, colour: str, *, hollow: bool = False, opacity: float = 1.0,
        title: str = "",
    ) -> None:  # fmt: skip
        """A circle, filled or hollow; `title` shows on hover."""
        kind = "s" if hollow else "f"
        faint = f' opacity="{opacity:g}"' if opacity < 1 else ""
        at = f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"'
        self._parts.append(f'<circle class="{kind} c-{colour}" {at}{faint}{_titled("circle", title)}')

    def dots(self, points: Iterable[tuple[float, float]], px: float, colour: str, opacity: float) -> None:
        """Many equal dots as one path of round line caps."""
        path = "".join(f"M{number(x)} {number(y)}h0" for x, y in points)
        self._parts.append(f'<path class="s c-{colour}" d="{path}" stroke-width="{px:g}" opacity="{opacity:g}"/>')

    def bars(
        self, xs: Sequence[float], ys: Sequence[float], base: float, px: float, colour: str, opacity: float
    ) -> None:
        """Many thin vertical bars from a base line as one path."""
        path = "".join(f"M{number(x)} {number(base)}V{number(y)}" for x, y in zip(xs, ys, strict=True))
        self._parts.append(
            f'<path class="s k c-{colour}" d="{path}" stroke-width="{number(px)}" opacity="{opacity:g}"/>'
        )  # fmt: skip

    def marker(self, shape: Marker, x: float, y: float, colour: str, title: str = "") -> None:
        """A marker of one of several shapes, which do not depend on colour vision; `title` shows on hover."""
        if shape == "circle":
            self.dot(x, y, 5.2, colour, title=title)
            return
        place = f'transform="translate({number(x)} {number(y)})"'
        self._parts.append(f'<path class="f c-{colour}" d="{_MARKERS[shape]}" {place}{_titled("path", title)}')

    def text(
        self, x: float, y: float, text: str, colour: str = "muted", *, px: float = TICK_PX, anchor: str = "start",
        bold: bool = False, title: str = "",
    ) -> None:  # fmt: skip
        """Text with its base line at y, shifted to stay on the canvas; `title` shows on hover."""
        text = printable(text)
        wide = text_width(text, px, bold=bold)
        left = x - wide * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        x += max(-left, 0.0) + min(self.width - left - wide, 0.0) if wide <= self.width else 0.0
        style = ("" if px == TICK_PX else " l") + (" b" if bold else "")
        place = f'x="{number(x)}" y="{number(y)}"' + ("" if anchor == "start" else f' text-anchor="{anchor}"')
        self._parts.append(f'<text class="t{style} c-{colour}" {place}>{_escaped(text)}{_title(title)}</text>')

    def markup(self, name: str, title: str, description: str) -> str:
        """The `<svg>` element; `name` must be unique on the page, because the ids begin with it."""
        return (
            f'<svg viewBox="0 0 {number(self.width)} {number(self.height)}" role="img" '
            f'aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{_escaped(title)}</title>'
            f'<desc id="{name}-d">{_escaped(description)}</desc>{"".join(self._parts)}</svg>'
        )


def _stroke(px: float, dash: str) -> str:
    return f' stroke-width="{px:g}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def _titled(tag: str, title: str) -> str:
    return f">{_title(title)}</{tag}>" if title else "/>"


def _title(text: str) -> str:
    return f"<title>{_escaped(text)}</title>" if text else ""


def _escaped(text: str) -> str:
    return escape(printable(text), quote=False)
