"""Numbered objects, such as attempts/0001.json, of which each is written once: who gets a number has it alone.

People and programs put other files into folders (.DS_Store, copies, temporary files). Only an object whose whole name
is digits and the ending is one of ours; all others are left alone.
"""

from __future__ import annotations

from typing import Any

from cloudlstm import storage
from cloudlstm.errors import ObjectExistsError


def number_in(uri: str, folder: str, ending: str = ".json", digits: int = 4) -> int | None:
    """The number of the object at `uri`; None if it is not a numbered object directly in `folder` (ending at "/")."""
    name = uri.removeprefix(folder).removesuffix(ending)
    written = uri.startswith(folder) and uri.endswith(ending) and name.isascii() and name.isdigit()
    return int(name) if written and name == f"{int(name):0{digits}d}" else None


def numbers(folder: str, ending: str = ".json", digits: int = 4) -> list[int]:
    """The numbers of the objects in `folder` (ending at "/"), in ascending order."""
    found = (number_in(item.uri, folder, ending, digits) for item in storage.list_objects(folder))
    return sorted(number for number in found if number is not None)


def newest(folder: str, ending: str = ".json", digits: int = 4) -> int:
    """The highest number in `folder` (ending at "/"); 0 where there is none."""
    return max(numbers(folder, ending, digits), default=0)


def create(uri: str, document: Any) -> bool:
    """Writes a JSON document; False when somebody else has written the object of this name."""
    try:
        storage.write_json(uri, document, if_absent=True)
    except ObjectExistsError:
        return False
    return True
