"""Help texts made from the signatures and docstrings of the commands, and one-line usage errors."""

from __future__ import annotations

import difflib
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from cloudlstm.errors import UsageError

_WIDTH = 96
_WORDS = {"overrides": "SECTION.KEY=VALUE", "names": "RUN"}
_VALUES = {"config": "FILE", "root": "PLACE", "run": "RUN", "target": "TARGET", "limit": "N"}
_SHORT = {"config": "-c", "run": "-r", "follow": "-f"}
_EXAMPLES = {
    "submit": ("submit", "submit train.epochs=3 model.units=64", "submit --config=mine.toml --root=s3://bucket/runs"),
    "logs": ("logs --follow",),
    "runs": ("runs", "runs core6-1a2b core6-3c4d"),
    "predict": ("predict market.end=2026-11-20",),
}


def overview(commands: Mapping[str, Callable[..., Any]]) -> str:
    """All commands, one line each."""
    lines = [f"  {name:<8}  {_docstring(command)[0]}" for name, command in commands.items()]
    return "\n".join(
        [
            "cloudlstm: from daily stock prices to an honest next-day LSTM forecast and a report",
            "",
            "usage: cloudlstm COMMAND [WORDS] [--FLAGS]",
            "",
            *lines,
            "",
            "cloudlstm COMMAND --help shows more. Exit status: 0 success, 1 failure, 2 usage error, 130 interrupted.",
        ]
    )


def of_command(command: Callable[..., Any]) -> str:
    """The help of one command: what it does, its words and its flags."""
    name = command.__name__
    first, more, arguments = _docstring(command)
    words, flags = _parameters(command)
    usage = " ".join(["usage: cloudlstm", name, *(f"[{_word(word)}]" for word in words), "[--FLAGS]" if flags else ""])
    lines = [first, "", usage.rstrip()]
    if more:
        lines += ["", *textwrap.wrap(more, _WIDTH)]
    entries = [(_word(word), arguments.get(word.name, "")) for word in words]
    entries += [(_flag(flag), arguments.get(flag.name, "")) for flag in flags]
    if entries:
        lines.append("")
        room = max(len(left) for left, _ in entries) + 4
        for left, text in entries:
            first_line, *rest = textwrap.wrap(text, _WIDTH - room) or [""]
            lines += [f"  {left:<{room - 2}}{first_line}", *(" " * room + part for part in rest)]
    if name in _EXAMPLES:
        lines += ["", *(f"  cloudlstm {example}" for example in _EXAMPLES[name])]
    return "\n".join(lines)


def usage_error(commands: Mapping[str, Callable[..., Any]], words: list[str], fire_output: str) -> UsageError:
    """The error for words that python-fire did not accept, in one line.

    Args:
        commands: The commands by name.
        words: The words that were typed.
        fire_output: The text that python-fire printed.
    """
    command = next((word for word in words if not word.startswith("-")), "")
    if command not in commands:
        near = difflib.get_close_matches(command, commands, n=1, cutoff=0.5)
        hint = f"cloudlstm {near[0]}" if near else "cloudlstm --help"
        return UsageError(f"there is no command {command!r}; the commands are {', '.join(commands)}", hint=hint)
    found = re.search(r"Could not consume arg: (\S+)", fire_output)
    word = found[1] if found else ""
    known = [f"--{flag.name.replace('_', '-')}" for flag in _parameters(commands[command])[1]]
    if not word:
        lines = fire_output.strip().splitlines() or ["the words were not understood"]
        return UsageError(f"{command}: {lines[0].removeprefix('ERROR: ')}", hint=f"cloudlstm {command} --help")
    near = difflib.get_close_matches(word.split("=")[0].replace("_", "-"), known, n=1, cutoff=0.5)
    kind = "flag" if word.startswith("-") else "further word such as"
    return UsageError(
        f"{command} has no {kind} {word}; its flags are {', '.join(known) or 'none'}",
        hint=near[0] if near else f"cloudlstm {command} --help",
    )


def _parameters(command: Callable[..., Any]) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    """The positional words and the flags of a command. A run may be given as either."""
    found = inspect.signature(command).parameters.values()
    words = [each for each in found if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    flags = [each for each in found if each.kind is not inspect.Parameter.VAR_POSITIONAL]
    return words, flags


def _word(word: inspect.Parameter) -> str:
    text = _WORDS.get(word.name, word.name.upper())
    return f"{text} …" if word.kind is inspect.Parameter.VAR_POSITIONAL else text


def _flag(flag: inspect.Parameter) -> str:
    name = f"--{flag.name.replace('_', '-')}"
    value = f"={_VALUES[flag.name]}" if flag.name in _VALUES else ""
    short = _SHORT.get(flag.name)
    return f"{short}, {name}{value}" if short else f"{name}{value}"


def _docstring(command: Callable[..., Any]) -> tuple[str, str, dict[str, str]]:
    """The first sentence of a docstring, the text after it, and its arguments by name."""
    text = inspect.getdoc(command) or ""
    head, _, tail = text.partition("\nArgs:\n")
    first, _, more = head.strip().partition("\n")
    arguments: dict[str, str] = {}
    name = ""
    for row in textwrap.dedent(tail).splitlines():
        found = re.match(r"^(\w+): (.*)$", row)
        if found:
            name, arguments[found[1]] = found[1], found[2]
        elif name and row.strip():
            arguments[name] += " " + row.strip()
    return first, " ".join(more.split()), arguments
