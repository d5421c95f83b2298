"""Reads one text as a date or as a time of day: numbers in some order, names of months, the marks between them."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from cloudlstm.market.columns import NO_DATE

Order = Literal["ymd", "mdy", "dmy", "yy", "roc"]
"""Order of three numbers; "yy" begins with a year of two digits, "roc" with a year of the Republic of China."""

NO_TIME, BAD_TIME = -1, -2
"""Instead of the second of a day: no time is written, or a text that is no time."""
NO_OFFSET = np.iinfo(np.int32).max
"""Instead of the seconds that a time is ahead of UTC."""

_EPOCH = dt.date(1970, 1, 1).toordinal()
_YEARS = range(1800, 2200)
_ROC_YEAR_0 = 1911

_MONTHS = """
    january february march april may june july august september october november december
    januar februar märz april mai juni juli august september oktober november dezember
    jänner feber mrz april mai juni juli august september oktober november dezember
    janvier février mars avril mai juin juillet août septembre octobre novembre décembre
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
    gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
    januari februari maart april mei juni juli augustus september oktober november december
    januari februari mrt april mei juni juli augustus september oktober november december
    stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
    ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık
    январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь
    января февраля марта апреля мая июня июля августа сентября октября ноября декабря
"""
_WEEKDAYS = """
    monday tuesday wednesday thursday friday saturday sunday
    montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag
    lundi mardi mercredi jeudi vendredi samedi dimanche
    lunes martes miércoles jueves viernes sábado domingo
    segunda terça quarta quinta sexta feira
    lunedì martedì mercoledì giovedì venerdì sabato domenica
    maandag dinsdag woensdag donderdag vrijdag zaterdag zondag
    понедельник вторник среда четверг пятница суббота воскресенье пн вт ср чт пт сб вс
"""
_FILLERS = "民國 民国 de del of the le den der st nd rd th er г года"

_SIGNS = frozenset(unicodedata.normalize("NFKD", "年月日號号火水木金土曜星期周週一二三四五六天년월일화수목금토요"))
"""Signs of year, month and day, and of weekdays."""


def _plain(word: str) -> str:
    """Returns a word in lower case without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))


def _month_of() -> dict[str, int]:
    """Returns each name of a month, and each beginning of three or more letters that means one month only."""
    found: dict[str, set[int]] = {}
    for line in _MONTHS.strip().splitlines():
        for number, name in enumerate(map(_plain, line.split()), start=1):
            for length in range(3, len(name) + 1):
                found.setdefault(name[:length], set()).add(number)
    return {name: months.pop() for name, months in found.items() if len(months) == 1}


_MONTH = _month_of()
_OTHER_WORDS = {_plain(day)[:n] for day in _WEEKDAYS.split() for n in range(2, len(day) + 1)}
_OTHER_WORDS |= {unicodedata.normalize("NFKD", word) for word in _FILLERS.split()}
_TOKEN = re.compile(r"[0-9]+|[^\W\d_]+")
_BETWEEN = re.compile(r"[-–/.,_'’\"()\s]*")
_TIME = re.compile(
    r"(?P<before>am|pm|上午|下午|오전|오후)?\s*(?P<hour>\d{1,2})[:h]?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?P<after>[ap]\.?\s?m\.?(?![a-z]))?\s*(?P<zone>[a-z]{0,5}|[a-z]+/[a-z_/]+)"
    r"(?P<ahead>[+-]\d{1,2}(?::?\d{2}){0,2})?\s*(?:[\[(].*[\])])?"
)


class Written(NamedTuple):
    """The parts of a date as written."""

    numbers: tuple[str, ...]
    """The numbers, in their order."""
    month: int | None
    """The month that is written as a name."""
    dotted: bool
    """Whether only points stand between the numbers."""


@lru_cache(maxsize=65536)
def written(text: str) -> Written | None:
    """Splits the text of a date, without a time, into its parts; None if there are others."""
    text = unicodedata.normalize("NFKC", text).strip()
    numbers: list[str] = []
    words: list[str] = []
    for token in _TOKEN.findall(text):
        (numbers if token[0].isdigit() else words).append(token)
    between = _TOKEN.sub("", text)
    if text.startswith("-") or not _BETWEEN.fullmatch(between):
        return None
    plain = [_plain(word) for word in words]
    months = [word for word in plain if word in _MONTH] if len(numbers) == 2 else []
    if months:
        plain.remove(months[-1])
    if not all(word in _OTHER_WORDS or _SIGNS.issuperset(word) for word in plain):
        return None
    return Written(tuple(numbers), _MONTH[months[-1]] if months else None, between.strip(" ") in ("..", "..."))


def day(parts: Written | None, order: Order) -> int:
    """Returns days since 1970-01-01; NO_DATE for anything else.

    A year of four digits at the beginning and a named month need no order.
    """
    if parts is None:
        return NO_DATE
    numbers = parts.numbers
    if parts.month:
        first, second = numbers
        year, number = (first, second) if len(first) > 2 else (second, first)
        return _days(_year(year), parts.month, number)
    if len(numbers) == 1:
        numbers = _split(numbers[0], order)
    if len(numbers) != 3:
        return NO_DATE
    first, second, third = numbers
    if len(first) == 4:
        return _days(int(first), second, third)
    if order == "mdy":
        return _days(_year(third), first, second)
    if order == "dmy":
        return _days(_year(third), second, first)
    if order == "yy" and len(first) == 2:
        return _days(_year(first), second, third)
    if order == "roc" and len(first) < 4:
        return _days(_ROC_YEAR_0 + int(first), second, third)
    return NO_DATE


def _split(digits: str, order: Order) -> tuple[str, ...]:
    """Splits a date that is written without marks into year, month and day, or as the order says."""
    if len(digits) == 8 and _days(int(digits[:4]), digits[4:6], digits[6:]) != NO_DATE:
        return digits[:4], digits[4:6], digits[6:]
    if order == "roc" and len(digits) == 7:
        return digits[:3], digits[3:5], digits[5:]
    if order in ("mdy", "dmy") and len(digits) in (7, 8):  # a whole number has lost its first 0
        digits = digits.zfill(8)
        return digits[:2], digits[2:4], digits[4:]
    return ()


def _year(text: str) -> int:
    """Returns a year of two or four digits; 69 to 99 are 1969 to 1999, as in strptime. 0 for other digits."""
    if len(text) == 2:
        return int(text) + (1900 if int(text) >= 69 else 2000)
    return int(text) if len(text) == 4 else 0


def _days(year: int, month: str | int, day: str) -> int:
    if year not in _YEARS or len(day) > 2 or len(str(month)) > 2:
        return NO_DATE
    try:
        return dt.date(year, int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return NO_DATE


@lru_cache(maxsize=65536)
def time(text: str) -> tuple[int, int]:
    """Reads a time of day.

    Returns the second of the day, as written (NO_TIME for an empty text, BAD_TIME for one that is no time), and the
    seconds that it is ahead of UTC (NO_OFFSET where that is not written).
    """
    text = unicodedata.normalize("NFKC", text).strip(" \tTt,").lower()
    if not text:
        return NO_TIME, NO_OFFSET
    found = _TIME.fullmatch(text)
    if not found:
        return BAD_TIME, NO_OFFSET
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    half = (found["after"] or found["before"] or "")[:2].replace(".", "")
    if half:
        hour = hour % 12 + 12 * (half in ("p", "pm", "下午", "오후")) if 1 <= hour <= 12 else 99
    if hour > 24 or minute > 59 or second > 60:
        return BAD_TIME, NO_OFFSET
    return (hour * 3600 + minute * 60 + second) % 86_400, _offset(found["zone"], found["ahead"])


def _offset(zone: str, ahead: str | None) -> int:
    """Returns the seconds ahead of UTC; names of zones such as EST have no fixed offset."""
    if not ahead:
        return 0 if zone in ("z", "utc", "gmt") else NO_OFFSET
    digits = ahead[1:].replace(":", "")
    digits = digits.zfill(2) if len(digits) < 3 else digits
    seconds = int(digits[:2]) * 3600 + int(digits[2:4] or 0) * 60 + int(digits[4:] or 0)
    return -seconds if ahead[0] == "-" else seconds
