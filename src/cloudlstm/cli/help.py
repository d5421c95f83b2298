"""Help texts made from the signatures and docstrings of the commands."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

_WIDTH = 80
_WORDS = {"overrides": "SECTION.KEY=VALUE", "names": "RUN", "words": "ACTION NAME KEY=VALUE"}
_VALUES = {"config": "FILE", "root": "PLACE", "run": "RUN", "target": "TARGET", "limit": "N", "tail": "N",
           "entity": "COLUMN", "time": "COLUMN", "features": "A,B,…", "split": "COLUMN", "train_end": "DATE",
           "price": "COLUMN", "revised": "FILE", "exogenous": "FILE", "horizon": "N",
           "max_r2": "SHARE", "accept": "CHECK:COLUMN,…",
           "step": "STEP", "worker": "WORKER", "to": "PLACE", "now": "TIME", "noted": "DIGESTS",
           "source": "PLACE", "model": "NAME", "interval": "LENGTH", "calendar": "CODE", "begin": "WHERE",
           "on_gap": "skip", "batch_bars": "N", "kafka": "FILE", "speed": "TIMES", "tickers": "N", "sessions": "N",
           "start": "DATE", "seed": "N", "partitions": "N", "runner": "spark", "every": "SECONDS", "connector": "NAME",
           "jars": "URI,…", "checkpoint": "PLACE", "max_hours": "HOURS"}  # fmt: skip
_SHORT = {"config": "-c", "run": "-r", "follow": "-f"}
_NO_FLAG = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY)
_EXAMPLES = {
    "submit": ("submit", "submit train.epochs=3 model.units=64", "submit --config=mine.toml --root=s3://bucket/runs"),
    "logs": ("logs --follow",),
    "runs": ("runs", "runs core6-1a2b core6-3c4d"),
    "audit": ("audit features.csv.gz", "audit s3://bucket/features.parquet --price=close --split=fold"),
    "predict": ("predict market.end=2026-11-20",),
    "models": ("models create core6 --run=core6-1a2b", "models show core6", "models verify core6"),
    "daily": ("daily core6", "daily core6 --target=infra/terraform/aws"),
    "promote": ("promote core6 3",),
    "schedule": ("schedule --target=infra/terraform/aws", "schedule --target=s3://bucket --dry-run"),
    "stream": (
        "stream live --source=kafka://127.0.0.1:9092/bars.1m --model=minutes",
        "stream live --available-now",
        "stream live --target=infra/terraform/aws",
    ),
    "replay": (
        "replay --to=kafka://127.0.0.1:9092/bars.1m --tickers=20 --speed=600",
        "replay recorded.parquet --to=landed --speed=0",
    ),
    "benchmark": (
        "benchmark market.source=synthetic tickers=6,100 workers=1,2",
        "benchmark --config=examples/benchmark.toml --dry-run",
    ),
}


def overview(commands: Mapping[str, Callable[..., Any]]) -> str:
    """All commands, one line each."""
    lines = _entries([(name, summary(command)) for name, command in commands.items()])
    return "\n".join(
        [
            "cloudlstm: daily stock prices to an honest next-day LSTM forecast and a report",
            "",
            "usage: cloudlstm COMMAND [WORDS] [--FLAGS]",
            "",
            *lines,
            "",
            "cloudlstm COMMAND --help shows more.",
            "Exit status: 0 success, 1 failure, 2 usage error, 3 refused by a gate (daily),",
            "130 interrupted.",
        ]
    )


def of_command(command: Callable[..., Any]) -> str:
    """The help of one command: what it does, its words and its flags."""
    name = command.__name__
    first, more, meanings = _docstring(command)
    words, flags = parameters(command)
    usage = " ".join(["usage: cloudlstm", name, *(f"[{_word(word)}]" for word in words), "[--FLAGS]" if flags else ""])
    lines = [*textwrap.wrap(first, _WIDTH), "", usage.rstrip()]
    if more:
        lines += ["", *textwrap.wrap(more, _WIDTH)]
    entries = [(_word(word), meanings.get(word.name, "")) for word in words]
    entries += [(_flag(flag), meanings.get(flag.name, "")) for flag in flags]
    if entries:
        lines += ["", *_entries(entries)]
    if name in _EXAMPLES:
        lines += ["", *(f"  cloudlstm {example}" for example in _EXAMPLES[name])]
    return "\n".join(lines)


def summary(command: Callable[..., Any]) -> str:
    """What a command does, in one sentence."""
    return _docstring(command)[0]


def arguments(command: Callable[..., Any]) -> dict[str, str]:
    """What the words and flags of a command mean, by name."""
    return _docstring(command)[2]


def _entries(entries: list[tuple[str, str]]) -> list[str]:
    """The lines of (name, text) pairs in two columns."""
    room = max(len(left) for left, _ in entries) + 4
    lines = []
    for left, text in entries:
        first_line, *rest = textwrap.wrap(text, _WIDTH - room) or [""]
        lines += [f"  {left:<{room - 2}}{first_line}", *(" " * room + part for part in rest)]
    return lines


def parameters(command: Callable[..., Any]) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    """The positional words and the flags of a command. A run may be given as either."""
    found = inspect.signature(command).parameters.values()
    words = [each for each in found if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    flags = [each for each in found if each.kind not in _NO_FLAG]
    return words, flags


def _word(word: inspect.Parameter) -> str:
    text = _WORDS.get(word.name, word.name.upper())
    return f"{text} …" if word.kind is inspect.Parameter.VAR_POSITIONAL else text


def flag_name(flag: inspect.Parameter) -> str:
    """The flag as typed, such as `--dry-run`."""
    return f"--{flag.name.replace('_', '-')}"


def _flag(flag: inspect.Parameter) -> str:
    name = flag_name(flag)
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
