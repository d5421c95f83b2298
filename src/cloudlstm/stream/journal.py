"""What a stream has taken and finished, in its folder. A killed stream goes on from here.

A batch is noted before its work (what it takes) and after it (what it gave). A batch that is noted but not finished is
done again: with the same bars, the same state and the same model it writes the same bytes over the same objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict

from cloudlstm import storage
from cloudlstm.errors import ObjectNotFoundError, StreamError, UsageError
from cloudlstm.runs import documents, numbered
from cloudlstm.stream.documents import BatchDocument, StreamSettings, TakenDocument
from cloudlstm.stream.paths import DIGITS, StreamPaths
from cloudlstm.stream.state import State

_KEPT_STATES = 2
"""States that are kept: that of the newest batch, and that of the one before it, for a batch that is done again."""


class Journal:
    """The journal of one stream.

    Args:
        paths: The stream.
    """

    def __init__(self, paths: StreamPaths) -> None:
        self.paths = paths
        self.newest = numbered.newest(paths.batches, digits=DIGITS)
        self._last: BatchDocument | None = None

    def settings(self) -> StreamSettings | None:
        """The settings of the stream; None if it is new."""
        try:
            return documents.read(StreamSettings, self.paths.settings)
        except ObjectNotFoundError:
            return None

    def open(self, wanted: StreamSettings) -> StreamSettings:
        """Writes the settings of a new stream.

        Raises:
            UsageError: The stream exists with other settings.
        """
        if numbered.create(self.paths.settings, asdict(wanted)):
            return wanted
        found = documents.read(StreamSettings, self.paths.settings)
        ours, theirs = asdict(wanted), asdict(found)
        if different := [name for name in ours if ours[name] != theirs[name]]:
            name = different[0]
            raise UsageError(
                f"stream {self.paths.name} has {name} {_text(theirs[name])}, not {_text(ours[name])}",
                hint="the same settings to continue it, or another name for another stream",
            )
        return found

    def state(self) -> State:
        """The state after the newest finished batch."""
        if not self.newest:
            return State.empty()
        uri = self.paths.state(self.newest)
        return State.from_bytes(storage.read(uri), uri)

    def last(self) -> BatchDocument | None:
        """The newest finished batch."""
        if self.newest and (self._last is None or self._last.number != self.newest):
            self._last = self.batch(self.newest)
        return self._last

    def batch(self, number: int) -> BatchDocument:
        """A finished batch."""
        return documents.read(BatchDocument, self.paths.batch(number))

    def batches(self, most: int | None = None) -> Iterator[BatchDocument]:
        """Finished batches, the oldest first; with `most` only the newest."""
        numbers = numbered.numbers(self.paths.batches, digits=DIGITS)
        return map(self.batch, numbers if most is None else numbers[-most:])

    def after(self, number: int) -> Iterator[BatchDocument]:
        """The finished batches after a number, the oldest first; it asks for them one by one, without a list of all."""
        with suppress(ObjectNotFoundError):
            while True:
                yield self.batch(number := number + 1)

    def unfinished(self) -> TakenDocument | None:
        """The batch after the newest finished one, if it was begun."""
        try:
            return documents.read(TakenDocument, self.paths.taken(self.newest + 1))
        except ObjectNotFoundError:
            return None

    def begin(self, taken: TakenDocument) -> None:
        """Notes what a batch takes.

        Raises:
            StreamError: Another process works on the stream.
        """
        if not numbered.create(self.paths.taken(taken.number), asdict(taken)):
            raise self._in_use()

    def finish(self, batch: BatchDocument, state: State) -> None:
        """Writes the state after a batch, then the batch itself.

        Raises:
            StreamError: Another process works on the stream.
        """
        storage.write(self.paths.state(batch.number), state.to_bytes())
        if not numbered.create(self.paths.batch(batch.number), asdict(batch)):
            raise self._in_use()
        self.newest, self._last = batch.number, batch
        if batch.number > _KEPT_STATES:
            with suppress(OSError):  # it is tidied up only
                storage.delete(self.paths.state(batch.number - _KEPT_STATES), within=self.paths.uri)

    def _in_use(self) -> StreamError:
        return StreamError(
            f"another process works on stream {self.paths.name}",
            hint="end one of the two; nothing is lost, and a topic of forecasts may have messages of this batch twice",
        )


def _text(value: object) -> str:
    """The value of a setting in a message."""
    return repr(",".join(value)) if isinstance(value, tuple | list) else repr(value)
