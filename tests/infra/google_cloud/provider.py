"""The answers of a provider to Terraform: plans, applies and reads by its schema; the cloud decides the rest."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from infra.google_cloud.schema import answer, computed
from infra.google_cloud.wire import UNKNOWN, dynamic, field, message, value_of

State = dict[str, Any]


class Refused(Exception):  # noqa: N818 - it is an answer
    """What the cloud says instead of making a change.

    Attributes:
        left: What there is of the resource all the same; Terraform calls it tainted. None for nothing.
    """

    def __init__(self, text: str, left: State | None = None) -> None:
        super().__init__(text)
        self.left = left


class Resources(Protocol):
    """A cloud behind a provider. Every method may raise Refused."""

    def configure(self, settings: State) -> None:
        """Takes the settings of the provider."""

    def create(self, kind: str, wanted: State) -> State:
        """Makes a resource; returns it with what the cloud filled in. Unknown attributes are left out of `wanted`."""

    def update(self, kind: str, before: State, wanted: State) -> State:
        """Changes a resource in place; returns it."""

    def delete(self, kind: str, before: State) -> None:
        """Removes a resource."""

    def read(self, kind: str, before: State) -> State | None:
        """The resource as it is now; None if it is gone."""

    def look_up(self, kind: str, wanted: State) -> State:
        """The attributes of a data source."""

    def find(self, kind: str, name: str) -> State:
        """The resource with this id, for an import."""

    def changeable(self, kind: str) -> frozenset[str]:
        """The arguments that can be changed in place; a change of any other replaces the resource."""

    def changing(self, kind: str) -> frozenset[str]:
        """The attributes that every change in place may change."""


class Provider:
    """A provider with this schema in front of a cloud."""

    def __init__(self, schema: dict[str, Any], cloud: Resources) -> None:
        self._schema, self._cloud = schema, cloud
        self._described = answer(schema)

    def methods(self) -> dict[str, Callable[[bytes], bytes]]:
        """The answers by the method of the protocol."""
        return {
            "GetSchema": lambda _: self._described,
            "PrepareProviderConfig": lambda request: request,  # both hold the configuration in their field 1
            "ValidateResourceTypeConfig": lambda _: b"",
            "ValidateDataSourceConfig": lambda _: b"",
            "Configure": _told(2, self._configure),
            "Stop": lambda _: b"",
            "UpgradeResourceState": lambda request: field(1, field(2, message(message(request)[3])[1])),
            "ReadResource": _told(2, self._read),
            "PlanResourceChange": _told(4, self._plan),
            "ApplyResourceChange": self._apply,
            "ReadDataSource": _told(2, self._look_up),
            "ImportResourceState": _told(2, self._import),
        }

    def _configure(self, request: dict[int, Any]) -> bytes:
        self._cloud.configure(value_of(request[2]))
        return b""

    def _read(self, request: dict[int, Any]) -> bytes:
        kind = request[1].decode()
        now = self._cloud.read(kind, value_of(request[2]))
        return field(1, dynamic(None if now is None else self._complete(self._schema["resource"][kind], now)))

    def _import(self, request: dict[int, Any]) -> bytes:
        kind = request[1].decode()
        found = self._cloud.find(kind, request[2].decode())
        state = self._complete(self._schema["resource"][kind], found)
        return field(1, field(1, kind) + field(2, dynamic(state)))

    def _look_up(self, request: dict[int, Any]) -> bytes:
        kind, asked = request[1].decode(), value_of(request[2])
        found = self._cloud.look_up(kind, asked)
        filled = {name: found.get(name) if given is None else given for name, given in asked.items()}
        return field(1, dynamic(self._complete(self._schema["data"][kind], filled)))

    def _plan(self, request: dict[int, Any]) -> bytes:
        kind = request[1].decode()
        before, wanted = value_of(request[2]), value_of(request[3])
        if wanted is None:
            return field(1, dynamic(None))
        if before is None:
            unknown = {name for name in computed(self._schema["resource"][kind]) if wanted.get(name) is None}
            return field(1, dynamic(wanted | dict.fromkeys(unknown, UNKNOWN))) + field(5, 1)
        changed = {name for name, each in wanted.items() if not _same(each, before.get(name))}
        replacing = changed - self._cloud.changeable(kind)
        if changed and not replacing:
            wanted |= dict.fromkeys(self._cloud.changing(kind), UNKNOWN)
        paths = [field(2, field(1, field(1, name))) for name in sorted(replacing)]
        return field(1, dynamic(wanted)) + b"".join(paths) + field(5, 1)

    def _apply(self, request: bytes) -> bytes:
        """Creates, changes or deletes; after a refusal the state is what there is, with the reason as an error."""
        asked = message(request)
        kind, before, wanted = asked[1].decode(), value_of(asked[2]), value_of(asked[3])
        block = self._schema["resource"][kind]
        trouble = b""
        after: State | None
        try:
            if wanted is None:
                self._cloud.delete(kind, before)
                after = None
            else:
                known = {name: each for name, each in wanted.items() if each is not UNKNOWN}
                after = self._cloud.create(kind, known) if before is None else self._cloud.update(kind, before, known)
        except Refused as refused:
            after, trouble = (before if before is not None else refused.left), field(3, _error(str(refused)))
        except Exception:
            after, trouble = before, field(3, _error(traceback.format_exc()))
        if after is not None:
            after = self._complete(block, after)
        return field(1, dynamic(after)) + trouble + field(4, 1)

    def _complete(self, block: dict[str, Any], found: State) -> State:
        """A value with every attribute and block of the schema, and no other."""
        blocks = {name: None if each["nesting"] == "single" else [] for name, each in block["blocks"].items()}
        empty = dict.fromkeys(block["attributes"]) | blocks | {"id": None}
        kinds = {name: each["type"] for name, each in block["attributes"].items()}
        return empty | {
            name: _fitted(kinds.get(name), each) for name, each in found.items() if name in empty and each is not None
        }


def _told(place: int, method: Callable[[dict[int, Any]], bytes]) -> Callable[[bytes], bytes]:
    """A method whose failures are diagnostics in this field of its answer."""

    def answered(request: bytes) -> bytes:
        try:
            return method(message(request))
        except Refused as refused:
            return field(place, _error(str(refused)))
        except Exception:
            return field(place, _error(traceback.format_exc()))

    return answered


def _fitted(kind: Any, value: Any) -> Any:
    """A value with every attribute of its type, which may be a list of objects."""
    if isinstance(kind, list) and kind[0] in ("list", "set") and value is not UNKNOWN:
        return [_fitted(kind[1], each) for each in value or ()]
    if isinstance(kind, list) and kind[0] == "object" and isinstance(value, dict):
        return {name: _fitted(each, value.get(name)) for name, each in kind[1].items()}
    return value


def _error(text: str) -> bytes:
    return field(1, 1) + field(2, text)


def _same(one: Any, other: Any) -> bool:
    """True if two values are equal; unknown values differ from all."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(each, other[name]) for name, each in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one is not UNKNOWN and bool(one == other or json.dumps(one) == json.dumps(other))
