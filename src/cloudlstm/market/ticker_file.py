"""Small text files about tickers: the tickers of a run, with the periods of their membership, and their sectors.

UTF-8, one row a line; `#` starts a comment, and blank lines do not count. Rows of a table are CSV below a header line.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cloudlstm import storage
from cloudlstm.config.tickers import ticker
from cloudlstm.errors import ObjectNotFoundError, ObjectTooLargeError, UnreadableSourceError

_MOST_BYTES = 16 * 2**20
"""Limit for a file; enough for a million tickers with comments."""
_MOST_SHOWN = 40
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class TickerFile:
    """A text file about tickers, and how messages name it.

    Attributes:
        uri: Where it lies.
        setting: The setting that names it, such as "universe.path".
        what: What it is, such as "the universe".
        form: What its lines should be, for hints.
    """

    uri: str
    setting: str
    what: str
    form: str

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yields the number and the text of each line with content.

        Raises:
            ObjectNotFoundError: if the file does not exist.
            UnreadableSourceError: if it is too large, or not text.
        """
        try:
            lines = storage.read_small(self.uri, _MOST_BYTES).decode("utf-8-sig").splitlines()
        except ObjectNotFoundError:
            raise ObjectNotFoundError(
                f"{self.setting}: there is no file {self.uri}",
                hint=f"{self.setting}=FILE with {self.form}",
                uri=self.uri,
            ) from None
        except ObjectTooLargeError as error:
            raise UnreadableSourceError(f"{self.what} {error.message}", hint=self.form) from None
        except UnicodeDecodeError:
            raise UnreadableSourceError(f"{self.what} {self.uri} is not a text file", hint=self.form) from None
        for number, line in enumerate(lines, 1):
            if text := line.partition("#")[0].strip():
                yield number, text

    def fields(self, number: int, text: str, columns: int) -> list[str]:
        """The fields of a row, without blanks around them; UnreadableSourceError if they are not `columns`."""
        found = split_fields(text)
        if len(found) != columns:
            raise UnreadableSourceError(
                f"line {number} of {self.what} {self.uri} has {len(found)} fields instead of {columns}: "
                f"{text[:_MOST_SHOWN]!r}",
                hint=self.form,
            )
        return found

    def ticker(self, number: int, text: str) -> str:
        """The ticker in a line, in its normal form; UnreadableSourceError if it is none."""
        found = ticker(text)
        if found is None:
            raise UnreadableSourceError(
                f"line {number} of {self.what} {self.uri} is not a ticker: {text[:_MOST_SHOWN]!r}", hint=self.form
            )
        return found

    def date(self, number: int, text: str) -> dt.date:
        """The date in a line; UnreadableSourceError if it is none in ISO form."""
        try:
            if _DATE.fullmatch(text):
                return dt.date.fromisoformat(text)
        except ValueError:  # such as February 30
            pass
        raise UnreadableSourceError(
            f"line {number} of {self.what} {self.uri} has {text[:_MOST_SHOWN]!r} in the place of a date",
            hint="dates as 2015-03-31",
        )


def split_fields(text: str) -> list[str]:
    """The fields of a line of CSV, without blanks around them; none if it is not CSV."""
    try:
        return [field.strip() for field in next(csv.reader([text]), [])]
    except csv.Error:
        return []
