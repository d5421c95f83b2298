"""Reads literal values of Terraform's language: strings, numbers, lists and objects, without expressions."""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*|//[^\n]*|/\*.*?\*/)+)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<word>[A-Za-z_][\w-]*)
    |(?P<sign>[][{}=:,])""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"true": True, "false": False, "null": None}
_END = ("end", "")


class NotLiteralError(ValueError):
    """A value that is no literal, or text that is not Terraform's language.

    Attributes:
        line: The line of the text that has it.
    """

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


class _Reader:
    """Reads values from a text, one after the other."""

    def __init__(self, text: str, start: int = 0) -> None:
        self._text, self._at = text, start
        self._begin = self._taken = start
        self._next = self._token()

    def _token(self) -> tuple[str, str]:
        while self._at < len(self._text):
            found, self._begin = _TOKEN.match(self._text, self._at), self._at
            if not found:
                return "other", self._text[self._at]
            self._at = found.end()
            kind = str(found.lastgroup)
            if kind != "space":
                return kind, found[0]
        return _END

    def take(self) -> tuple[str, str]:
        """Returns the next token and goes on."""
        self._taken = self._begin
        found, self._next = self._next, self._token() if self._next != _END else _END
        return found

    def _error(self, message: str) -> NotLiteralError:
        return NotLiteralError(message, self._text.count("\n", 0, self._taken) + 1)

    def takes(self, *signs: str) -> bool:
        """Takes the next token if it is one of these signs."""
        if self._next[0] == "sign" and self._next[1] in signs:
            self.take()
            return True
        return False

    @property
    def ended(self) -> bool:
        return self._next == _END

    def value(self) -> Any:
        """Reads a value."""
        kind, text = self.take()
        if kind == "string":
            return self._string(text)
        if kind == "number":
            return float(text) if re.search(r"[.eE]", text) else int(text)
        if kind == "word" and text in _WORDS:
            return _WORDS[text]
        if text == "[":
            found = []
            while not self.takes("]"):
                found.append(self.value())
                self.takes(",")
            return found
        if text == "{":
            return self.pairs(until="}")
        raise self._error(f"{text or 'the end'} where a value belongs")

    def pairs(self, until: str = "") -> dict[str, Any]:
        """Reads pairs of a name and a value, up to a sign or the end of the text."""
        found: dict[str, Any] = {}
        while not (self.takes(until) if until else self.ended):
            kind, text = self.take()
            if kind not in ("word", "string") or not self.takes("=", ":"):
                raise self._error(f"{text or 'the end'} where a name and = belong")
            found[self._string(text) if kind == "string" else text] = self.value()
            self.takes(",")
        return found

    def _string(self, text: str) -> str:
        """Returns a quoted string's value."""
        if re.search(r"(?<!\$)\$\{|(?<!%)%\{", text):
            raise self._error(f"{text} is an expression")
        try:
            value: str = json.loads(text)
        except ValueError:
            raise self._error(f"{text} has an unknown escape") from None
        return value.replace("$${", "${").replace("%%{", "%{")


def read_pairs(text: str) -> dict[str, Any]:
    """Returns the names and values of a text such as a terraform.tfvars.

    Raises:
        NotLiteralError: if it has anything but literals.
    """
    return _Reader(text).pairs()


def read_value(text: str, start: int = 0, *, whole: bool = False) -> Any:
    """Returns the value at a place in a text.

    Args:
        text: The text.
        start: Where the value begins.
        whole: Whether nothing may follow it.

    Raises:
        NotLiteralError: if there is no literal.
    """
    reader = _Reader(text, start)
    found = reader.value()
    if whole and not reader.ended:
        raise NotLiteralError(f"{text} is no literal")
    return found


def read_defaults(text: str) -> dict[str, Any]:
    """Returns the defaults of the variables that a text declares; variables without a default are left out."""
    found = {}
    for block in re.finditer(r'^variable "([^"]+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
        default = re.search(r"^  default\s*=", block[2], re.MULTILINE)
        if default:
            found[block[1]] = read_value(block[2], default.end())
    return found
