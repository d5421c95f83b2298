"""The command line: python-fire turns words into a call of a verb, and `main` carries out what the verb returned.

Fire calls a function before it notices that a flag is mistyped. A verb therefore does nothing: it returns a `Deferred`
that holds the work, and only when Fire has come back without complaint is the work done.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr

from cloudlstm.cli import terminal
from cloudlstm.errors import CloudLSTMError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status: 0 fine or nothing to do, 1 our failure, 2 usage, 130 interrupted."""
    try:
        return _run(argv)
    except CloudLSTMError as error:
        terminal.tell(f"cloudlstm: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        terminal.tell("\ncloudlstm: interrupted\n")
        return 130
    except BrokenPipeError:
        if not terminal.reader_has_gone():
            raise
        return 0  # `cloudlstm logs | head`: whoever read it has seen enough


def _run(argv: Sequence[str] | None) -> int:
    import fire
    from fire.core import FireExit

    from cloudlstm.cli import commands
    from cloudlstm.storage.endpoints import fail_when_nothing_listens

    fail_when_nothing_listens()
    from cloudlstm.cli import help as helping

    words = [_spelled(word) for word in (sys.argv[1:] if argv is None else argv)] or ["--help"]
    if {"--help", "-h", "help"} & set(words):
        named = next((commands.VERBS[word] for word in words if word in commands.VERBS), None)
        terminal.write((helping.of_verb(named) if named else helping.overview(commands.VERBS)) + "\n")
        return 0
    complaint = io.StringIO()  # Fire's, which runs to five lines
    try:
        with redirect_stderr(complaint):
            deferred = fire.Fire(commands.VERBS, command=words, name="cloudlstm", serialize=lambda _: None)
    except FireExit:
        raise helping.mistyped(commands.VERBS, words, complaint.getvalue()) from None
    if not isinstance(deferred, commands.Deferred):
        raise helping.mistyped(commands.VERBS, words, "")
    return deferred._work()


_SHORT = {"-c": "--config", "-r": "--run", "-f": "--follow"}
"""Fire finds short flags by their first letter, which `run` and `root` share."""


def _spelled(word: str) -> str:
    """A word as Fire should see it: Fire would take the word after a bare switch for the switch's value."""
    name, equals, value = word.partition("=")
    word = _SHORT.get(name, name) + equals + value
    if word.replace("_", "-") in ("--dry-run", "--follow", "--detach", "--wait", "--trust-endpoints", "--yes"):
        return f"{word}=True"
    return "version" if word == "--version" else word


def entry() -> None:
    """The console script. What schedulers and shutdowns send is answered like Ctrl-C: work is ended, not left alone."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    terminal.prepare()
    sys.exit(terminal.finish(main()))
