"""Every error that a user is meant to read.

    CloudLSTMError                      exit code 1
    ├── UsageError (ValueError)         exit code 2: what was typed cannot be carried out
    │   └── ConfigError                 every problem of one configuration, at once
    ├── MissingExtraError (ImportError) an optional package is not installed
    ├── StorageError (OSError)
    │   ├── ObjectNotFoundError (FileNotFoundError)
    │   ├── ObjectExistsError (FileExistsError)
    │   ├── AccessDeniedError (PermissionError)
    │   ├── StorageFullError
    │   ├── StorageUnavailableError
    │   ├── ObjectTooLargeError         larger than what is read of its kind
    │   └── CorruptObjectError          wrong length or checksum
    ├── DataError (ValueError)          the data does not allow what was asked
    │   ├── UnreadableSourceError       a source file cannot be parsed
    │   ├── UnknownTickerError          the source has no such ticker
    │   ├── FetchError                  a service did not answer for a ticker
    │   └── QualityGateError            cleaning rejected too many bars
    ├── MachineError                    Java, Python or a package of this machine does not fit
    ├── RunBusyError                    another submit holds the run
    ├── TargetError                     a cloud refused what was asked of it
    │   ├── TargetUnavailableError      it did not answer, or asked for patience
    │   └── CapacityError               it has no machines, or they did not get ready
    └── JobError                        a job of the run failed
        └── PeerLostError               a worker ended because another one had: a consequence, never the cause

A message says what was asked and what was found; the hint says what to try. Both fit on one line together, and both
survive the trip through storage, so that a launcher shows the error of a job that ran on another machine.
"""

from __future__ import annotations

import json
import re

from cloudlstm.text.printable import printable, shortened

_MOST_FOREIGN = 1000
"""Characters of an error that is not ours: some bring a page, which the log has whole."""


class CloudLSTMError(Exception):
    """Base of all errors shown to the user as one line instead of a traceback.

    Attributes:
        message: What was asked and what was found.
        hint: What to try; may be empty.
        uri: Of the object that it is about, where it is about one; may be empty.
        exit_code: The status with which the command ends.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", uri: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.uri = uri

    def __str__(self) -> str:
        # Messages hold names from files and words of services, which must not move a cursor or begin a new line.
        return printable(f"{self.message} (try: {self.hint})" if self.hint else self.message)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions travel from Spark executors by pickle, which would call __init__ without the keyword.
        return (_rebuild, (type(self), self.message, self.hint, self.uri))


def _rebuild(kind: type[CloudLSTMError], message: str, hint: str, uri: str = "") -> CloudLSTMError:
    return kind(message, hint=hint, uri=uri)


class UsageError(CloudLSTMError, ValueError):
    """What was typed cannot be carried out; nothing was run."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration has one or more problems; the message lists all of them."""


class MissingExtraError(CloudLSTMError, ImportError):
    """An optional package is needed and not installed."""


class StorageError(CloudLSTMError, OSError):
    """Storage did not do what was asked; the message names the URI."""


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """No object has this URI."""


class ObjectExistsError(StorageError, FileExistsError):
    """A create-only write met an object that was already there."""


class AccessDeniedError(StorageError, PermissionError):
    """The credentials do not allow what was asked."""


class StorageFullError(StorageError):
    """No space is left where the object should go."""


class StorageUnavailableError(StorageError):
    """The storage service did not answer, also not after the SDK's own retries."""


class ObjectTooLargeError(StorageError):
    """An object is larger than anything of its kind can be, and is not read."""


class CorruptObjectError(StorageError):
    """An object's length or checksum is not what its manifest says."""


class DataError(CloudLSTMError, ValueError):
    """The data does not allow what was asked."""


class UnreadableSourceError(DataError):
    """A source file cannot be parsed as bars."""


class UnknownTickerError(DataError):
    """The universe names tickers that the source does not have."""


class FetchError(DataError):
    """A service did not answer for one or more tickers; what was fetched is kept."""


class QualityGateError(DataError):
    """Cleaning rejected more bars than the configuration allows; the message gives numbers and reasons."""


class MachineError(CloudLSTMError):
    """Java, Python or a package of this machine does not fit."""


class RunBusyError(CloudLSTMError):
    """Another submit holds this run, or the trainers that it needs."""


class TargetError(CloudLSTMError):
    """A cloud refused what was asked of it."""


class TargetUnavailableError(TargetError):
    """A cloud's service did not answer or asked for patience, also when it was asked again and again."""


class CapacityError(TargetError):
    """The trainer group did not get its machines, or they did not get ready."""


class JobError(CloudLSTMError):
    """A job of the run failed."""


class PeerLostError(JobError):
    """A worker ended because a peer was lost; the cause is the peer's. The workers start again together."""


_KINDS: dict[str, type[CloudLSTMError]] = {}


def _register(kind: type[CloudLSTMError]) -> None:
    _KINDS[kind.__name__] = kind
    for sub in kind.__subclasses__():
        _register(sub)


_register(CloudLSTMError)


def to_record(error: BaseException) -> dict[str, str]:
    """The error as a JSON-ready record, for a failure object in the run folder."""
    if isinstance(error, CloudLSTMError):
        return {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "uri": error.uri}
    message = shortened(" ".join(f"{type(error).__name__}: {error}".split()), _MOST_FOREIGN)
    return {"kind": "JobError", "message": message, "hint": "see the job's log"}


def from_record(record: object) -> CloudLSTMError:
    """The error that `to_record` wrote down; what is no such record comes back as a JobError."""
    found = {key: str(value) for key, value in record.items()} if isinstance(record, dict) else {}
    kind = _KINDS.get(found.get("kind", ""), JobError)
    return kind(found.get("message", "unknown failure"), hint=found.get("hint", ""), uri=found.get("uri", ""))


_MARKED = "<<cloudlstm {}>>"
_MARK = re.compile(_MARKED.format(r"(\{.*\})"))


def to_mark(error: BaseException) -> str:
    """The error as a piece of text that can be found again among other text, such as a trace or a console's."""
    return _MARKED.format(json.dumps(to_record(error)))


def from_mark(text: str) -> CloudLSTMError | None:
    """The first error that `to_mark` has put into a text."""
    found = _MARK.search(text)
    return from_record(json.loads(found[1])) if found else None
