"""All that the command prints goes through here or through the console of tables.py, which uses this.

Text that comes from files, data and errors is text: nothing in it is read as markup. A reader that has gone, as in
`cloudlstm logs | head`, is no error.
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


def shown(text: str) -> str:
    """The text without characters that a terminal would obey instead of showing them."""
    return printable(text, lines=True)


def write(text: str) -> None:
    """Writes text to standard output."""
    with written():
        sys.stdout.write(shown(text))


def tell(text: str) -> None:
    """Writes text to standard error. That nobody reads it, or that it cannot be written, stops nothing."""
    with suppress(OSError):
        sys.stderr.write(shown(text))
        sys.stderr.flush()


@contextmanager
def written() -> Iterator[None]:
    """A failure to write the output, such as a full disk behind `>`, is told like any other error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write the output: {error.strerror or error}") from None


def prepare() -> None:
    """Makes standard output and error usable whatever they are: closed, or unable to show a character."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # as after `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish(status: int) -> int:
    """Writes what is still buffered, as the interpreter would at its end, and gives the exit status.

    A reader that has gone does not change it. Afterwards the interpreter finds nothing that it cannot write.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _discard(stream)
        except OSError as error:
            _discard(stream)
            if not status:  # else the failure has been told
                tell(f"cloudlstm: cannot write the output: {error.strerror or error}\n")
                status = 1
    return status


def reader_has_gone() -> bool:
    """Whether standard output or error is a pipe that nobody reads any more."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            poll = select.poll()
            poll.register(stream.fileno(), 0)
            if poll.poll(0):  # only errors are reported when nothing is asked for
                return True
    return False


def _discard(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
