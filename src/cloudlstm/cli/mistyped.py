"""The usage error for words that no command accepts, in one line, with the words that may be meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cloudlstm.cli.help import flag_name, parameters
from cloudlstm.errors import UsageError

_MEANT = {
    "submit": ("train", "run", "start", "fit", "resume", "launch", "execute"),
    "runs": ("ls", "ps", "list", "compare", "history"),
    "cancel": ("stop", "kill", "abort", "interrupt"),
    "delete": ("rm", "remove", "del"),
    "status": ("show", "info", "state", "progress", "watch"),
    "logs": ("tail", "output"),
    "report": ("results", "result", "scores", "evaluate", "open"),
    "predict": ("forecast", "infer"),
    "doctor": ("check", "diagnose", "test", "verify"),
    "audit": ("leakage", "lookahead", "lookahead-analysis", "leaks"),
    "down": ("destroy", "teardown", "shutdown"),
}
"""Command -> words of other programs for the same."""

Commands = Mapping[str, Callable[..., Any]]


def usage_error(commands: Commands, words: list[str], fire_output: str) -> UsageError:
    """The error for words that python-fire did not accept.

    Args:
        commands: The commands by name.
        words: The words that were typed.
        fire_output: The text that python-fire printed.
    """
    command = next((word for word in words if not word.startswith("-")), "")
    if command not in commands:
        return _unknown_command(commands, command)
    if lacking := re.search(r"no value for the required argument: (\w+)", fire_output):
        return UsageError(f"{command} needs the word {lacking[1].upper()}", hint=f"cloudlstm {command} --help")
    found = re.search(r"Could not consume arg: (\S+)", fire_output)
    if not found:
        lines = fire_output.strip().splitlines() or ["the words were not understood"]
        return UsageError(f"{command}: {lines[0].removeprefix('ERROR: ')}", hint=f"cloudlstm {command} --help")
    word = found[1]
    flags = [flag_name(flag) for flag in parameters(commands[command])[1]]
    kind = "flag" if word.startswith("-") else "further word such as"
    hint = _meant_word(commands[command], word, flags)
    if not hint and word.startswith("-") and command == "doctor" and "--before-apply" in " ".join(words):
        hint = _variable(word, words)
    return UsageError(
        f"{command} has no {kind} {word}; its flags are {', '.join(flags) or 'none'}",
        hint=hint or f"cloudlstm {command} --help",
    )


def _variable(word: str, words: list[str]) -> str:
    """The hint for a flag of Terraform, or for a variable of a root that was typed as a flag."""
    from cloudlstm.targets.variables import passed_as_flag

    following = words[words.index(word) + 1 :][:1] if word in words and "=" not in word else []
    return passed_as_flag("=".join([word, *following]))


def _unknown_command(commands: Commands, word: str) -> UsageError:
    known = ", ".join(commands)
    if not word:
        return UsageError(f"no command is given; the commands are {known}", hint="cloudlstm --help")
    if "=" in word:
        return UsageError(f"{word!r} is no command; the commands are {known}", hint=f"cloudlstm submit {word}")
    typed = word.lower()
    meant = [name for name, others in _MEANT.items() if typed in others and name in commands]
    near = meant or _closest(typed, commands)
    hint = f"cloudlstm {near[0]}" if near else "cloudlstm --help"
    return UsageError(f"there is no command {word!r}; the commands are {known}", hint=hint)


def _closest(word: str, names: Iterable[str]) -> list[str]:
    """The most similar name, in a list; an empty list if none is similar enough."""
    from cloudlstm.config import fields  # needs pydantic

    return difflib.get_close_matches(word, list(names), n=1, cutoff=fields.NEAR)


def _meant_word(command: Callable[..., Any], word: str, flags: list[str]) -> str:
    """The flag or the setting that a word may mean, as it is typed; empty if there is none."""
    name, equals, value = word.partition("=")
    near = _closest(name.replace("_", "-"), flags)
    takes_settings = any(each.name == "overrides" for each in parameters(command)[0])
    if near or not takes_settings or not word.startswith("--"):
        return near[0] if near else ""
    from cloudlstm.config import fields  # needs pydantic

    key = name.removeprefix("--").replace("-", "_")
    typed = value if equals else "…"
    return " or ".join(f"{each}={typed}" for each in fields.meant(key))
