"""Escapes characters that a terminal, a browser or a spreadsheet would execute instead of display."""

from __future__ import annotations

import re

_CONTROL = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters; escape sequences begin with one
    "\u2028\u2029"  # line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that change the writing direction
    "\ud800-\udfff"  # surrogates, which cannot be encoded
    "]"
)
_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def printable(text: str, *, lines: bool = False) -> str:
    r"""Replaces each control character by an escape such as `\x1b` or `\u202e`.

    Args:
        text: Any text.
        lines: Whether to keep line feeds and tabs.
    """

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if lines and character in "\t\n":
            return character
        code = ord(character)
        return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")

    return text if text.isascii() and text.isprintable() else _CONTROL.sub(escaped, text)


def shortened(text: str, most: int) -> str:
    """The text, cut to `most` characters with an ellipsis at the end."""
    return text if len(text) <= most else text[: most - 1] + "…"
