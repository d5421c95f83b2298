"""What was typed: the values of flags as Python gets them from Fire, and the words to be typed again."""

from __future__ import annotations

from cloudlstm.errors import UsageError


def command(verb: str, words: tuple[str, ...], **flags: str | bool | None) -> list[str]:
    """What was typed, to be typed again; True is a flag without a value, and None and False are flags not given."""
    given = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in flags.items()
        if value is not None and value is not False
    ]
    return ["cloudlstm", verb, *given, *map(str, words)]


def text(flag: str, value: object) -> str | None:
    """A flag's text. Fire reads digits as numbers, and a flag without a value as True."""
    if value is None:
        return None
    if isinstance(value, bool):
        raise UsageError(f"--{flag} needs a value", hint=f"write --{flag}=…")
    return str(value)


def truth(flag: str, value: object) -> bool:
    """A flag that is on or off. Fire gives the text 'false' for --flag=false."""
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise UsageError(f"--{flag} is on or off, not {value!r}", hint=f"write --{flag} or leave it out")
