"""What a ticker is: the one definition for the universe, for files and their names, for renames, and for Yahoo.

A ticker is what vendors write: AAPL, BRK.B, BRK/B, "BRK B", M&M.NS, ^GSPC, CL=F, 2330, 貴州茅臺. Case does not count.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

MOST_LETTERS = 40
"""Longest ticker."""

_SIGNS = re.escape(".^=_-&/+*':#$@")
_TICKER = re.compile(rf"[\w{_SIGNS}]+(?: [\w{_SIGNS}]+)*")
_MARKS = ("Mn", "Mc")
"""Unicode categories of the accents and vowel signs of letters, which stand after their letter (ไทย, हिन्दी)."""
ALLOWED = f"up to {MOST_LETTERS} letters, digits, single blanks inside and the signs . ^ = _ - & / + * ' : # $ @"
"""The definition, for error messages."""


def ticker(text: str) -> str | None:
    """Returns the ticker that a text names, in its normal form; None if it names none.

    The normal form is in upper case, letter by letter: the German ß stays, so that no two names become one but by case.
    Blanks around the text do not count. Control characters and marks of the writing direction are in no ticker.
    """
    plain = unicodedata.normalize("NFC", text).strip()
    letters = plain if plain.isascii() else _without_marks(plain)
    if not plain or len(plain) > MOST_LETTERS or not _TICKER.fullmatch(letters):
        return None
    return plain.upper() if plain.isascii() else "".join(_upper(letter) for letter in plain)


def _without_marks(text: str) -> str:
    """Returns a text without the marks of its letters; a mark that follows no letter stays."""
    pairs = zip(" " + text, text, strict=False)
    return "".join(each for before, each in pairs if unicodedata.category(each) not in _MARKS or not _carries(before))


def _carries(letter: str) -> bool:
    """True for a character on which a mark may stand."""
    return letter.isalnum() or unicodedata.category(letter) in _MARKS


def _upper(letter: str) -> str:
    """Returns the upper case of a letter if it leads back to the letter; so the long s is not joined with S."""
    upper = letter.upper()
    return upper if len(upper) == 1 and upper.lower() == letter else letter


def _validated(value: object) -> str:
    # TOML has read 2330 as a number and true as a boolean.
    text = str(value).lower() if isinstance(value, bool) else str(value)
    found = ticker(text) if isinstance(value, str | int | float) else None
    if found is None:
        raise ValueError(f"{text[:MOST_LETTERS]!r} is no ticker; a ticker has {ALLOWED}")
    return found


Ticker = Annotated[str, BeforeValidator(_validated), WithJsonSchema({"type": "string", "format": "ticker"})]
"""A ticker in a setting; its normal form is kept."""
