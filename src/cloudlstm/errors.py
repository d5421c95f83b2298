"""All errors that are shown to users.

    CloudLSTMError                      exit code 1
    ├── UsageError (ValueError)         exit code 2: invalid arguments
    │   ├── ConfigError                 all problems of one configuration
    │   └── UserCodeError               the user's own feature, network or scorer cannot be used
    ├── MissingExtraError (ImportError) an optional package is not installed
    ├── StorageError (OSError)
    │   ├── ObjectNotFoundError (FileNotFoundError)
    │   ├── ObjectExistsError (FileExistsError)
    │   ├── AccessDeniedError (PermissionError)
    │   ├── StorageFullError
    │   ├── StorageUnavailableError
    │   ├── ObjectTooLargeError         larger than the limit for its kind
    │   └── CorruptObjectError          wrong length or checksum
    ├── DataError (ValueError)          the data does not allow the operation
    │   ├── UnreadableSourceError       a source file cannot be parsed
    │   ├── UnknownTickerError          the source has no such ticker
    │   ├── FetchError                  a service did not deliver a ticker
    │   └── QualityGateError            cleaning rejected too many bars
    ├── MachineError                    Java, Python or a package of this machine is missing or unsuitable
    ├── RunBusyError                    another submit works on the run
    ├── TargetError                     a cloud rejected a request
    │   ├── TargetUnavailableError      it did not answer, or throttled the request
    │   └── CapacityError               it has no machines, or they did not become ready
    ├── CostLimitError                  the run would use more than its limit in hours or USD
    ├── BudgetError                     exit code 3: a training would exceed the monthly limit of its model
    ├── StreamError                     the source or the sink of a stream failed
    │   └── OffsetGoneError             the source no longer has the bars that come next
    ├── ExportError                     a server of another program did not take what was exported
    └── JobError                        a job of the run failed
        └── PeerLostError               a worker ended because another worker ended; never the cause

A message names the operation and what was found. The hint says what to try. Both are shown on one line. An error can
be stored as JSON, so that a launcher shows the error of a job on another machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Self

from cloudlstm.text.printable import printable, shortened

_MOST_FOREIGN = 1000
"""Longest message of any other exception; the log has the whole text."""


class CloudLSTMError(Exception):
    """Base of all errors that are shown as one line instead of a traceback.

    Attributes:
        message: The operation and what was found.
        hint: What to try; may be empty.
        uri: URI of the object concerned; may be empty.
        exit_code: Exit status of the command.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", uri: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.uri = uri

    def __str__(self) -> str:
        # Messages contain text from files and services, which may contain control characters.
        return printable(f"{self.message} (try: {self.hint})" if self.hint else self.message)

    def __reduce__(self) -> tuple[object, ...]:
        # Spark pickles exceptions of executors, and pickle would call __init__ without keywords.
        return (_rebuild, (type(self), self.message, self.hint, self.uri))


def _rebuild(kind: type[CloudLSTMError], message: str, hint: str, uri: str = "") -> CloudLSTMError:
    return kind(message, hint=hint, uri=uri)


class UsageError(CloudLSTMError, ValueError):
    """The arguments of a command are invalid; nothing was run."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration has one or more problems; the message lists all of them.

    Attributes:
        problems: One sentence for each of several problems; empty if there is one.
    """

    problems: Sequence[str] = ()

    @classmethod
    def of(cls, problems: Sequence[str]) -> Self:
        """Returns the error of all problems."""
        error = cls("; ".join(problems))
        error.problems = tuple(problems) if len(problems) > 1 else ()
        return error


class UserCodeError(UsageError):
    """A feature, network or scorer of the user's own code cannot be found, imported or used."""


class MissingExtraError(CloudLSTMError, ImportError):
    """A required optional package is not installed."""


class StorageError(CloudLSTMError, OSError):
    """A storage operation failed; the message names the URI."""


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """There is no object with this URI."""


class ObjectExistsError(StorageError, FileExistsError):
    """A create-only write found an existing object."""


class AccessDeniedError(StorageError, PermissionError):
    """The credentials do not allow the operation."""


class StorageFullError(StorageError):
    """No space is left for the object."""


class StorageUnavailableError(StorageError):
    """The storage service did not answer, even after retries."""


class ObjectTooLargeError(StorageError):
    """An object is larger than the limit for its kind, and was not read."""


class CorruptObjectError(StorageError):
    """The size or checksum of an object differs from its manifest, or its content cannot be parsed."""


class DataError(CloudLSTMError, ValueError):
    """The data does not allow the operation."""


class UnreadableSourceError(DataError):
    """A source file cannot be parsed as bars."""


class UnknownTickerError(DataError):
    """The universe contains tickers that the source does not have."""


class FetchError(DataError):
    """A service did not deliver one or more tickers; the others are kept."""


class QualityGateError(DataError):
    """Cleaning rejected more bars than the configuration allows; the message gives numbers and reasons."""


class MachineError(CloudLSTMError):
    """Java, Python or a package of this machine is missing or unsuitable."""


class RunBusyError(CloudLSTMError):
    """Another submit works on this run, or uses the trainers that it needs."""


class TargetError(CloudLSTMError):
    """A cloud rejected a request."""


class TargetUnavailableError(TargetError):
    """A cloud's service did not answer or throttled the request, even after retries."""


class CapacityError(TargetError):
    """The trainer group did not get its machines, or they did not become ready."""


class CostLimitError(CloudLSTMError):
    """The run would use more than its limit in hours or USD."""


class BudgetError(CloudLSTMError):
    """A training would cost more than what is left of the monthly limit of its model. Nothing was started."""

    exit_code = 3


class StreamError(CloudLSTMError):
    """The source or the sink of a stream failed; the same command continues after the last finished batch."""


class OffsetGoneError(StreamError):
    """The source of a stream no longer has the bars that come next."""


class ExportError(CloudLSTMError):
    """A server of another program did not answer, or did not take what was exported to it."""


class JobError(CloudLSTMError):
    """A job of the run failed."""


class PeerLostError(JobError):
    """A worker ended because it lost a peer. The peer has the cause, and all workers restart together."""


_KINDS: dict[str, type[CloudLSTMError]] = {}


def _register(kind: type[CloudLSTMError]) -> None:
    _KINDS[kind.__name__] = kind
    for sub in kind.__subclasses__():
        _register(sub)


_register(CloudLSTMError)


def to_record(error: BaseException) -> dict[str, str]:
    """The error as a JSON-ready record."""
    if isinstance(error, CloudLSTMError):
        return {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "uri": error.uri}
    message = shortened(" ".join(f"{type(error).__name__}: {error}".split()), _MOST_FOREIGN)
    return {"kind": "JobError", "message": message, "hint": "see the job's log"}


def from_record(record: object) -> CloudLSTMError:
    """The error of a record from `to_record`; a JobError if the record is invalid."""
    found = {key: str(value) for key, value in record.items()} if isinstance(record, dict) else {}
    kind = _KINDS.get(found.get("kind", ""), JobError)
    return kind(found.get("message", "unknown failure"), hint=found.get("hint", ""), uri=found.get("uri", ""))


_MARKED = "<<cloudlstm {}>>"
_MARK = re.compile(_MARKED.format(r"(\{.*\})"))


def to_mark(error: BaseException) -> str:
    """The error as text that `from_mark` finds again in other text, such as a traceback."""
    return _MARKED.format(json.dumps(to_record(error)))


def from_mark(text: str) -> CloudLSTMError | None:
    """The first error in a text that was written by `to_mark`; None if there is none."""
    found = _MARK.search(text)
    return from_record(json.loads(found[1])) if found else None
