"""Reads JSON documents as dataclasses.

Another release may have written a document: unknown keys are ignored. A missing key or a wrong type is an error.
"""

from __future__ import annotations

from typing import Any, TypeVar

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError

Kind = TypeVar("Kind")


def read(kind: type[Kind], uri: str) -> Kind:
    """Reads the JSON document at `uri` as a dataclass.

    Raises:
        ObjectNotFoundError: There is no object.
        CorruptObjectError: It is not a document of this kind.
    """
    return built(kind, storage.read_json(uri), uri)


def built(kind: type[Kind], document: Any, name: str) -> Kind:
    """Turns a parsed JSON document into a dataclass.

    Args:
        kind: The dataclass.
        document: The parsed JSON.
        name: Name of the document in the error message.

    Raises:
        CorruptObjectError: It is not a document of this kind.
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
