"""The schemas of the providers: Google's, extracted from its package, and that of hashicorp/time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra.google_cloud.wire import field

Block = dict[str, Any]

FILE = Path(__file__).parents[1] / "google_schema.json"
_FILLED_IN = ("id", "project", "region")
"""Arguments that the provider fills in where they are left out; the bindings do not tell them from others."""

_FLAGS = {"required": [4], "optional": [5], "computed": [6], "either": [5, 6]}
_NESTING = {"single": 1, "list": 2, "set": 3}


def google() -> dict[str, Any]:
    """Google's provider: its settings, resources and data sources by name."""
    document: dict[str, Any] = json.loads(FILE.read_text())
    for block in document["resource"].values():
        for name, each in block["attributes"].items():
            if name in _FILLED_IN and each["how"] == "optional":
                each["how"] = "either"
    document["resource"]["google_compute_instance_template"]["attributes"]["name"]["how"] = "either"
    settings = {name: _value("optional") for name in ("project", "region", "credentials", "billing_project")}
    settings["user_project_override"] = _value("optional", "bool")
    settings["default_labels"] = _value("optional", ["map", "string"])
    return {**document, "settings": _block(settings)}


def time() -> dict[str, Any]:
    """The part of hashicorp/time that waits."""
    sleep = {
        "create_duration": _value("optional"),
        "destroy_duration": _value("optional"),
        "id": _value("computed"),
        "triggers": _value("optional", ["map", "string"]),
    }
    return {"settings": _block({}), "resource": {"time_sleep": _block(sleep)}, "data": {}}


def _value(how: str, kind: Any = "string") -> dict[str, Any]:
    return {"type": kind, "how": how}


def _block(attributes: dict[str, Any]) -> Block:
    return {"attributes": attributes, "blocks": {}}


def answer(provider: dict[str, Any]) -> bytes:
    """The answer of GetSchema."""
    schemas = [field(1, _schema(provider["settings"]))]
    for number, sort in ((2, "resource"), (3, "data")):
        schemas += [field(number, field(1, kind) + field(2, _schema(block))) for kind, block in provider[sort].items()]
    return b"".join(schemas)


def _schema(block: Block) -> bytes:
    return field(1, 0) + field(2, _encoded(block))


def _encoded(block: Block) -> bytes:
    attributes = [field(2, _attribute(name, each["type"], each["how"])) for name, each in block["attributes"].items()]
    nested = [
        field(
            3,
            field(1, name)
            + field(2, _encoded(each))
            + field(3, _NESTING[each["nesting"]])
            + (b"" if each["nesting"] == "single" else field(4, each["min"]) + field(5, each["max"])),
        )
        for name, each in block["blocks"].items()
    ]
    return b"".join([*attributes, *nested])


def _attribute(name: str, kind: Any, how: str) -> bytes:
    return field(1, name) + field(2, json.dumps(kind)) + b"".join(field(flag, 1) for flag in _FLAGS[how])


def computed(block: Block) -> set[str]:
    """The attributes of a resource that the cloud fills in."""
    return {name for name, each in block["attributes"].items() if each["how"] in ("computed", "either")}
