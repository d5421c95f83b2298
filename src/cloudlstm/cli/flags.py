"""Values of flags as python-fire passes them, and the command line to type again."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from cloudlstm.errors import UsageError


def program() -> str:
    """The word that starts this command in the user's shell: its name if the PATH leads to it, else its path."""
    called = Path(sys.argv[0])
    if called.name != "cloudlstm" or shutil.which("cloudlstm") == str(called.absolute()):
        return "cloudlstm"
    return min(os.path.relpath(called), str(called), key=len)


def command_line(command: str, words: tuple[str, ...], **flags: str | bool | None) -> list[str]:
    """The words that repeat a command.

    Args:
        command: The command's name.
        words: Its words without flags.
        flags: Its flags; True stands for a flag without a value, None and False for a flag that was not given.
    """
    given = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in flags.items()
        if value is not None and value is not False
    ]
    return [program(), command, *given, *map(str, words)]


def parse_text(flag: str, value: object) -> str | None:
    """The text of a flag. Fire passes digits as numbers, and a flag without a value as True.

    Raises:
        UsageError: The flag has no value.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        raise UsageError(f"--{flag} needs a value", hint=f"write --{flag}=…")
    return str(value)


def parse_switch(flag: str, value: object) -> bool:
    """The state of a switch. Fire passes the text 'false' for --flag=false.

    Raises:
        UsageError: The value is neither true nor false.
    """
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise UsageError(f"--{flag} is true or false, not {value!r}", hint=f"write --{flag} or leave it out")


def parse_number(flag: str, value: object) -> int | None:
    """The whole number from 1 of a flag; None if it was not given.

    Raises:
        UsageError: It is not such a number.
    """
    if value is None:
        return None
    text = "" if isinstance(value, bool) else str(value)
    if not (text.isascii() and text.isdigit() and int(text)):
        found = f", not {text}" if text else ""
        raise UsageError(f"--{flag} needs a whole number from 1{found}", hint=f"--{flag}=10")
    return int(text)
