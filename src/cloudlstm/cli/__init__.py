"""The command line: parses the arguments of a command, and runs it.

python-fire calls the function of a command, and `main` does the work that the function returned.
Fire calls a function before it notices a mistyped flag. The function of a command therefore does nothing yet: it
returns a `Deferred` that holds the work, and `main` does it after Fire has accepted every word.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Container, Sequence
from contextlib import redirect_stderr

from cloudlstm.cli import terminal
from cloudlstm.errors import CloudLSTMError, ConfigError
from cloudlstm.text.printable import printable


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status.

    0 success, 1 failure, 2 usage error, 3 refused by a gate, 130 interrupted.
    """
    try:
        return _run(argv)
    except CloudLSTMError as error:
        terminal.write_error(_described(error))
        return error.exit_code
    except KeyboardInterrupt:
        terminal.write_error("\ncloudlstm: interrupted\n")
        return 130
    except BrokenPipeError:
        if not terminal.reader_is_gone():
            raise
        return 0  # as in `cloudlstm logs | head`


def _described(error: CloudLSTMError) -> str:
    """The text of an error; a line each for several problems of a configuration."""
    problems = error.problems if isinstance(error, ConfigError) else ()
    if not problems:
        return f"cloudlstm: {error}\n"
    lines = [f"cloudlstm: the settings have {len(problems)} problems", *map(printable, problems)]
    return "\n  ".join(lines) + "\n"


def _run(argv: Sequence[str] | None) -> int:
    import fire
    from fire.core import FireExit

    from cloudlstm.cli import commands, mistyped, submit
    from cloudlstm.storage.endpoints import fail_when_nothing_listens

    fail_when_nothing_listens()
    from cloudlstm.cli import help as help_text

    words = [_normalised(word, commands.SWITCHES) for word in (sys.argv[1:] if argv is None else argv)] or ["--help"]
    if {"--help", "-h", "help"} & set(words):
        named = next((commands.COMMANDS[word] for word in words if word in commands.COMMANDS), None)
        terminal.write((help_text.of_command(named) if named else help_text.overview(commands.COMMANDS)) + "\n")
        return 0
    fire_output = io.StringIO()  # its usage message has five lines; ours has one
    try:
        with redirect_stderr(fire_output):
            deferred = fire.Fire(commands.COMMANDS, command=words, name="cloudlstm", serialize=lambda _: None)
    except FireExit:
        raise mistyped.usage_error(commands.COMMANDS, words, fire_output.getvalue()) from None
    if not isinstance(deferred, submit.Deferred):
        raise mistyped.usage_error(commands.COMMANDS, words, "")
    return deferred._work()


_SHORT = {"-c": "--config", "-r": "--run", "-f": "--follow"}
"""Fire finds short flags by their first letter, which `run` and `root` share."""


def _normalised(word: str, switches: Container[str]) -> str:
    """A word as Fire needs it. Fire takes the word after a switch for the value of the switch, so each gets one."""
    name, equals, value = word.partition("=")
    word = _SHORT.get(name, name) + equals + value
    if word.replace("_", "-") in switches:
        return f"{word}=True"
    return "version" if word == "--version" else word


def entry() -> None:
    """The console script. SIGTERM, as schedulers and shutdowns send it, ends the work like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    terminal.prepare()
    sys.exit(terminal.finish(main()))
