"""JSON documents that processes leave for each other, perhaps of another release, as dataclasses.

What a newer release has added is ignored; what is missing or of another type makes the document unreadable.
"""

from __future__ import annotations

from typing import Any, TypeVar

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError

Kind = TypeVar("Kind")


def read(kind: type[Kind], uri: str) -> Kind:
    """The dataclass in the JSON document at `uri`.

    Raises:
        ObjectNotFoundError: there is none.
        CorruptObjectError: it is damaged, or no document of this kind.
    """
    return built(kind, storage.read_json(uri), uri)


def built(kind: type[Kind], document: Any, name: str) -> Kind:
    """The dataclass in a parsed JSON document; `name` says in errors where it is from.

    Raises:
        CorruptObjectError: it is no document of this kind.
    """
    from pydantic import ValidationError

    try:
        found: Kind = _adapter(kind).validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "document"
        raise CorruptObjectError(
            f"{name} is not a valid {kind.__name__.lower()}: {place}: {first['msg']}", hint="submit again"
        ) from None
    return found


_ADAPTERS: dict[type[Any], Any] = {}


def _adapter(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
