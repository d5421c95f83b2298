"""The forms in which dates are written, and a function for each that reads a text of this form."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import NamedTuple

_SECONDS_A_DAY = 86_400
_EPOCH = dt.date(1970, 1, 1).toordinal()
_EXCEL = dt.date(1899, 12, 30).toordinal()
_ROC_YEAR = 1911
_CENTURY_FROM = 70
"""Years of two digits from 70 on belong to the 20th century."""
_EPOCH_UNITS = {10: 1, 9: 1, 13: 10**3, 12: 10**3, 16: 10**6, 15: 10**6, 19: 10**9, 18: 10**9}
"""Digits of a moment since 1970 -> its units in a second."""

_TIME = (
    r"(?:[T, ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"(?: ?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}(?::\d{2})?|[A-Z]{3,4}))?|[T ]?(?P<compact>\d{4}|\d{6}))?$"
)
_WEEKDAY = r"(?:[^\W\d_]{2,10}\.?,? )?"
_MONTHS = {
    1: "jan january januar janvier janv enero ene janeiro gennaio gen januari stycznia sty янв января "
       "ocak oca led ledna",
    2: "feb february februar février févr fév febrero fevereiro fev febbraio februari lutego lut фев "
       "февраля şubat şub úno února",
    3: "mar march märz mär mrz mars marzo março maart mrt marca марта мар mart bře března",
    4: "apr april avril avr abril abr aprile kwietnia kwi апр апреля nisan nis dub dubna",
    5: "may mai mayo maio mag maggio mei maja maj май мая mayıs kvě května",
    6: "jun june juni juin junio junho giu giugno czerwca cze июн июня haziran haz čvn června",
    7: "jul july juli juillet juil julio julho lug luglio lipca lip июл июля temmuz tem čvc července",
    8: "aug august août aou agosto ago augustus sierpnia sie авг августа ağustos ağu srp srpna",
    9: "sep sept september septembre septiembre set setembro settembre września wrz сен сентября eylül "
       "eyl zář září",
    10: "oct october oktober okt octobre octubre out outubro ott ottobre października paź окт октября "
       "ekim eki říj října",
    11: "nov november novembre noviembre novembro listopada lis ноя ноября kasım kas listopadu",
    12: "dec december dezember dez décembre déc diciembre dic dezembro dicembre grudnia gru дек декабря "
       "aralık ara pro prosince",
}  # fmt: skip


class Moment(NamedTuple):
    """A date, maybe with a time.

    Attributes:
        day: The date as written, as a proleptic Gregorian ordinal.
        seconds: Seconds since midnight.
        offset: Seconds that the written time is ahead of UTC; None if it is not known.
    """

    day: int
    seconds: int = 0
    offset: int | None = None


def plain_month(name: str) -> str:
    """Returns the name of a month without case, accents and a point."""
    text = unicodedata.normalize("NFKD", name.strip(".").casefold())
    return "".join(letter for letter in text if not unicodedata.combining(letter))


_MONTH_OF = {plain_month(name): month for month, names in _MONTHS.items() for name in names.split()}

Reader = Callable[[str], Moment | None]


def _by_numbers(pattern: str, roc: bool = False) -> Reader:
    """Returns a reader of dates whose year `y`, month `m` and day `d` are numbers."""
    matcher = re.compile(pattern + _TIME)

    def read(text: str) -> Moment | None:
        found = matcher.match(text)
        if found is None:
            return None
        year = int(found["y"])
        if roc:
            year += _ROC_YEAR
        elif year < 100:
            year += 1900 if year >= _CENTURY_FROM else 2000
        return _moment(found, year, int(found["m"]), int(found["d"]))

    return read


def _by_month_names(pattern: str) -> Reader:
    """Returns a reader of dates with the name of the month."""
    matcher = re.compile(pattern + _TIME)

    def read(text: str) -> Moment | None:
        found = matcher.match(text)
        month = _MONTH_OF.get(plain_month(found["b"])) if found else None
        if found is None or month is None:
            return None
        year = int(found["y"])
        year += 0 if year >= 100 else 1900 if year >= _CENTURY_FROM else 2000
        return _moment(found, year, month, int(found["d"]))

    return read


def _moment(found: re.Match[str], year: int, month: int, day: int) -> Moment | None:
    try:
        date = dt.date(year, month, day).toordinal()
        if not found["hour"]:
            compact = found["compact"]
            seconds = int(compact[:2]) * 3600 + int(compact[2:4]) * 60 + int(compact[4:] or 0) if compact else 0
            return Moment(date, seconds)
        hour = int(found["hour"]) % 12 + 12 * (found["half"] in "Pp") if found["half"] else int(found["hour"])
        time = dt.time(hour, int(found["minute"]), int(found["second"] or 0))
    except ValueError:
        return None
    seconds = time.hour * 3600 + time.minute * 60 + time.second
    return Moment(date, seconds, _offset(found["zone"]))


def _offset(zone: str | None) -> int | None:
    if zone in ("Z", "UTC", "GMT"):
        return 0
    if zone is None or zone[0] not in "+-":
        return None
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60
    return -seconds if zone[0] == "-" else seconds


def read_epoch(text: str) -> Moment | None:
    """Reads seconds, milliseconds, microseconds or nanoseconds since 1970 in UTC; the number of digits tells which."""
    found = re.fullmatch(r"(\d{9,19})(?:\.\d*)?", text)
    unit = _EPOCH_UNITS.get(len(found[1])) if found else None
    if found is None or unit is None:
        return None
    days, seconds = divmod(int(found[1]) // unit, _SECONDS_A_DAY)
    return Moment(_EPOCH + days, seconds, 0)


def read_excel(text: str) -> Moment | None:
    """Reads the number of a day as Excel counts it, 45658 for 2025-01-01."""
    found = re.fullmatch(r"([2-6]\d{4})(?:[.,](\d+))?", text)
    if found is None:
        return None
    fraction = float(f"0.{found[2]}") if found[2] else 0.0
    return Moment(_EXCEL + int(found[1]), round(fraction * _SECONDS_A_DAY) % _SECONDS_A_DAY)


def read_strptime(text: str, date_format: str) -> Moment | None:
    """Reads a date by a format of `datetime.strptime`."""
    try:
        found = dt.datetime.strptime(text, date_format)
    except ValueError:
        return None
    offset = found.utcoffset()
    seconds = found.hour * 3600 + found.minute * 60 + found.second
    return Moment(found.toordinal(), seconds, None if offset is None else int(offset.total_seconds()))


_Y, _YY, _M, _D = r"(?P<y>\d{4})", r"(?P<y>\d{2})", r"(?P<m>\d{1,2})", r"(?P<d>\d{1,2})"
_B = r"(?P<b>[^\W\d_]{3,12}\.?)"

_ISO = _by_numbers(f"{_Y}-{_M}-{_D}")
_COMPACT = _by_numbers(r"(?P<y>(?:1[5-9]|2[01])\d{2})(?P<m>\d{2})(?P<d>\d{2})")

FORMS: Mapping[str, Reader] = {
    "%Y-%m-%d": lambda text: _ISO(text) or _COMPACT(text),
    "%Y%m%d": _COMPACT,
    "%Y/%m/%d": _by_numbers(f"{_Y}/{_M}/{_D}"),
    "%Y.%m.%d": _by_numbers(rf"{_Y}\. ?{_M}\. ?{_D}\.?"),
    "%m/%d/%Y": _by_numbers(f"{_M}/{_D}/{_Y}"),
    "%d/%m/%Y": _by_numbers(f"{_D}/{_M}/{_Y}"),
    "%d.%m.%Y": _by_numbers(rf"{_D}\. ?{_M}\. ?{_Y}"),
    "%m-%d-%Y": _by_numbers(f"{_M}-{_D}-{_Y}"),
    "%d-%m-%Y": _by_numbers(f"{_D}-{_M}-{_Y}"),
    "%m/%d/%y": _by_numbers(f"{_M}/{_D}/{_YY}"),
    "%d/%m/%y": _by_numbers(f"{_D}/{_M}/{_YY}"),
    "%d.%m.%y": _by_numbers(rf"{_D}\.{_M}\.{_YY}"),
    "%d-%m-%y": _by_numbers(f"{_D}-{_M}-{_YY}"),
    "%m-%d-%y": _by_numbers(f"{_M}-{_D}-{_YY}"),
    "%y/%m/%d": _by_numbers(f"{_YY}/{_M}/{_D}"),
    "%y-%m-%d": _by_numbers(f"{_YY}-{_M}-{_D}"),
    "%d-%b-%Y": _by_month_names(rf"{_WEEKDAY}{_D}[-./ ]*(?:de )?{_B}[-./, ]*(?:de )?(?P<y>\d{{4}}|\d{{2}})"),
    "%b %d, %Y": _by_month_names(rf"{_WEEKDAY}{_B}[- ]{_D}(?:st|nd|rd|th)?,?[- ]+{_Y}"),
    "%Y-%b-%d": _by_month_names(rf"{_Y}[-/ ]{_B}[-/ ]{_D}"),
    "%Y年%m月%d日": _by_numbers(rf"{_Y} ?[年년] ?{_M} ?[月월] ?{_D} ?[日일]?"),
    "roc": _by_numbers(rf"(?:民國|民国)?(?P<y>[01]?\d{{2}}) ?[/.年-] ?{_M} ?[/.月-] ?{_D}日?", roc=True),
    "epoch": read_epoch,
    "excel": read_excel,
}
"""Name, as for `market.date_format`, -> a function that reads a text of this form, or returns None."""
