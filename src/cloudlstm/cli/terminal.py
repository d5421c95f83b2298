"""All output of the command goes through this module, or through the console of tables.py, which uses it.

Text from files, data and errors is printed as text: escape sequences and markup in it have no effect. A reader that
has closed the pipe, as in `cloudlstm logs | head`, is not an error.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from cloudlstm.errors import StorageError
from cloudlstm.text.printable import printable


def printable_lines(text: str) -> str:
    """The text with an escape for each character that controls a terminal; line feeds and tabs stay."""
    return printable(text, lines=True)


def write(text: str) -> None:
    """Writes text to standard output."""
    with output_errors():
        sys.stdout.write(printable_lines(text))


def write_error(text: str) -> None:
    """Writes text to standard error. A failure to write it is ignored."""
    with suppress(OSError):
        sys.stderr.write(printable_lines(text))
        sys.stderr.flush()


@contextmanager
def output_errors() -> Iterator[None]:
    """Turns a failure to write the output, such as a full disk behind `>`, into a StorageError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write the output: {error.strerror or error}") from None


def prepare() -> None:
    """Makes standard output and error usable where they are closed or cannot encode a character."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # as after `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish(status: int) -> int:
    """Flushes standard output and error, and returns the exit status.

    It is 1 if the output cannot be written; a closed pipe does not change it. A stream that fails is replaced by
    /dev/null, so that the flush of the interpreter at exit does not fail.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _discard(stream)
        except OSError as error:
            _discard(stream)
            if not status:  # else an error was printed already
                write_error(f"cloudlstm: cannot write the output: {error.strerror or error}\n")
                status = 1
    return status


def reader_is_gone() -> bool:
    """True if standard output or error is a pipe whose reader has closed it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            poll = select.poll()
            poll.register(stream.fileno(), 0)
            if poll.poll(0):  # without event flags, poll reports only errors
                return True
    return False


def _discard(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
