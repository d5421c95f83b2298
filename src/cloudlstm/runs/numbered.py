"""Numbered objects, such as attempts/0001.json. Each is written only once, so only one process can get a number.

Other files in the folder (.DS_Store, copies, temporary files) are ignored: the name of a numbered object is only digits
and the ending.
"""

from __future__ import annotations

from typing import Any

from cloudlstm import storage
from cloudlstm.errors import ObjectExistsError


def number_in(uri: str, folder: str, ending: str = ".json", digits: int = 4) -> int | None:
    """The number of the object at `uri`; None if it is not a numbered object in `folder`.

    Args:
        uri: The object.
        folder: URI of the folder, with a slash at the end.
        ending: End of the name after the number.
        digits: Digits of the number, with leading zeros.
    """
    name = uri.removeprefix(folder).removesuffix(ending)
    written = uri.startswith(folder) and uri.endswith(ending) and name.isascii() and name.isdigit()
    return int(name) if written and name == f"{int(name):0{digits}d}" else None


def numbers(folder: str, ending: str = ".json", digits: int = 4) -> list[int]:
    """The numbers of the objects in `folder` (ends with a slash), in ascending order."""
    found = (number_in(item.uri, folder, ending, digits) for item in storage.list_objects(folder))
    return sorted(number for number in found if number is not None)


def newest(folder: str, ending: str = ".json", digits: int = 4) -> int:
    """The highest number in `folder` (ends with a slash); 0 if there is none."""
    return max(numbers(folder, ending, digits), default=0)


def create(uri: str, document: Any) -> bool:
    """Writes a JSON document if the object does not exist; False if it does."""
    try:
        storage.write_json(uri, document, if_absent=True)
    except ObjectExistsError:
        return False
    return True
