"""Turns a matplotlib figure into SVG that lives inside the report: it follows the page's colours, dark or light.

Figures are drawn in sentinel colours that stand for names; in the SVG each becomes the CSS variable of that name. Text
stays text and takes the page's font. Nothing in it depends on when or where it was drawn.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("ink", "muted", "grid", "surface", "naive", "drift", "ridge", "lstm", "truth", "good", "bad")
COLOURS = {name: f"#{number:02x}fe{number:02x}" for number, name in enumerate(NAMES, start=1)}
"""Colour name -> the sentinel with which to draw it."""

FONT_PX = 12.0


@contextmanager
def style() -> Iterator[None]:
    """The look of all figures: no box, light grid, text in the page's ink."""
    import matplotlib as mpl

    ink, muted, grid = COLOURS["ink"], COLOURS["muted"], COLOURS["grid"]
    settings: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "cloudlstm",
        "font.family": "DejaVu Sans",
        "font.size": FONT_PX,
        "axes.labelsize": FONT_PX,
        "axes.titlesize": FONT_PX,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.titlecolor": ink,
        "axes.labelcolor": muted,
        "axes.edgecolor": grid,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "grid.color": grid,
        "grid.linewidth": 1.0,
        "xtick.color": muted,
        "ytick.color": muted,
        "xtick.labelsize": FONT_PX - 1.0,
        "ytick.labelsize": FONT_PX - 1.0,
        "xtick.major.size": 0.0,
        "ytick.major.size": 0.0,
        "xtick.major.pad": 6.0,
        "ytick.major.pad": 6.0,
        "text.color": ink,
        "legend.frameon": False,
        "legend.fontsize": FONT_PX - 1.0,
        "lines.linewidth": 1.8,
        "lines.solid_capstyle": "round",
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "timezone": "UTC",
    }
    with mpl.rc_context(settings):
        yield


def figure(width_px: float, height_px: float) -> Any:
    """An empty figure whose SVG has these dimensions in CSS pixels at its natural size."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_px / 72.0, height_px / 72.0), dpi=72.0, layout="constrained")


def inline(drawing: Any, name: str) -> str:
    """The figure as an `<svg>` element for HTML; `name` keeps its ids apart from those of other figures."""
    stream = io.StringIO()
    drawing.savefig(stream, format="svg", metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # HTML needs no namespaces, and so no address of any kind is left in the page.
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'(<svg[^>]*?)\s+width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?)\s+height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"font: (?:(bold|\d{3}) )?([\d.]+)px [^;\"]*", _font, text)
    for colour, sentinel in COLOURS.items():
        text = text.replace(sentinel, f"var(--{colour})")
    used = set(re.findall(r"(?:#|url\(#)([\w-]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(href="|url\()#', rf"\g<1>#{name}-", text)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style[^>]*>(.*?)</style>\s*</defs>", "", text, flags=re.DOTALL)
    # Hundredths of a pixel are plenty; what stands between tags is text and stays as it is.
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0]), text)
    return text.strip().replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)


def _font(found: re.Match[str]) -> str:
    weight = f"; font-weight: {found[1]}" if found[1] else ""
    return f"font-size: {found[2]}px{weight}"
