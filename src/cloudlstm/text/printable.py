"""Text without characters that a terminal, a browser or a spreadsheet would obey instead of showing them."""

from __future__ import annotations

import re

_OBEYED = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters; escape sequences begin with one
    "\u2028\u2029"  # separators of lines and paragraphs
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of writing
    "\ud800-\udfff"  # halves of a character, which cannot be written out
    "]"
)
_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def printable(text: str, *, lines: bool = False) -> str:
    r"""The text with an escape such as `\x1b` or `\u202e` for each character that is not shown but obeyed.

    Args:
        text: Any text.
        lines: Whether it may have several lines: then line feeds and tabs stay.
    """

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if lines and character in "\t\n":
            return character
        code = ord(character)
        return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")

    return text if text.isascii() and text.isprintable() else _OBEYED.sub(escaped, text)


def shortened(text: str, most: int) -> str:
    """The text, or as much of its beginning as fits into `most` characters with an ellipsis after it."""
    return text if len(text) <= most else text[: most - 1] + "…"
