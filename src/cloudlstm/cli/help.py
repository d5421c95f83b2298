"""Help for people, from the verbs' own signatures and docstrings, and mistyped words in one line."""

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
_VALUES = {"config": "FILE", "root": "PLACE", "run": "RUN", "target": "TARGET"}
_SHORT = {"config": "-c", "run": "-r", "follow": "-f"}
_EXAMPLES = {
    "submit": ("submit", "submit train.epochs=3 model.units=64", "submit --config=mine.toml --root=s3://bucket/runs"),
    "logs": ("logs --follow",),
    "runs": ("runs", "runs core6-1a2b core6-3c4d"),
    "predict": ("predict market.end=2026-11-20",),
}


def overview(verbs: Mapping[str, Callable[..., Any]]) -> str:
    """All verbs, one line each."""
    lines = [f"  {name:<8}  {_told(verb)[0]}" for name, verb in verbs.items()]
    return "\n".join(
        [
            "cloudlstm: from daily stock prices to an honest next-day LSTM forecast and a report",
            "",
            "usage: cloudlstm VERB [WORDS] [--FLAGS]",
            "",
            *lines,
            "",
            "cloudlstm VERB --help tells more. Exit status: 0 fine, 1 it failed, 2 mistyped, 130 interrupted.",
        ]
    )


def of_verb(verb: Callable[..., Any]) -> str:
    """What a verb does, its words and flags."""
    name = verb.__name__
    first, more, arguments = _told(verb)
    words, flags = _parameters(verb)
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


def mistyped(verbs: Mapping[str, Callable[..., Any]], words: list[str], complaint: str) -> UsageError:
    """What python-fire could not make sense of, in one line.

    Args:
        verbs: The verbs by name.
        words: What was typed.
        complaint: What python-fire printed.
    """
    verb = next((word for word in words if not word.startswith("-")), "")
    if verb not in verbs:
        near = difflib.get_close_matches(verb, verbs, n=1, cutoff=0.5)
        hint = f"cloudlstm {near[0]}" if near else "cloudlstm --help"
        return UsageError(f"there is no verb {verb!r}; there are {', '.join(verbs)}", hint=hint)
    found = re.search(r"Could not consume arg: (\S+)", complaint)
    word = found[1] if found else ""
    known = [f"--{flag.name.replace('_', '-')}" for flag in _parameters(verbs[verb])[1]]
    if not word:
        first = complaint.strip().splitlines()[0].removeprefix("ERROR: ") if complaint.strip() else "not understood"
        return UsageError(f"{verb}: {first}", hint=f"cloudlstm {verb} --help")
    near = difflib.get_close_matches(word.split("=")[0].replace("_", "-"), known, n=1, cutoff=0.5)
    kind = "flag" if word.startswith("-") else "further word such as"
    return UsageError(
        f"{verb} has no {kind} {word}; its flags are {', '.join(known) or 'none'}",
        hint=near[0] if near else f"cloudlstm {verb} --help",
    )


def _parameters(verb: Callable[..., Any]) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    """The plain words and the flags that a verb takes; a run may be given as either."""
    found = inspect.signature(verb).parameters.values()
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


def _told(verb: Callable[..., Any]) -> tuple[str, str, dict[str, str]]:
    """A docstring's first sentence, the text after it, and its arguments."""
    text = inspect.getdoc(verb) or ""
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
