"""Replaces the Google provider of Terraform: it has the schema of the provider, and nothing else.

That is all that Terraform asks of a provider to validate a configuration and to plan it under `mock_provider`. So where
there is no provider, Terraform itself still finds every argument, block and attribute that the provider does not have,
and runs the tests in infra/terraform/gcp/tests. What a provider checks beyond its schema is not checked.

The protocol is Terraform's own, version 5, with the messages written out by hand: there are four to write.
See docs/plugin-protocol/tfplugin5.proto in Terraform's repository for the numbers.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

SCHEMA = Path(__file__).with_name("google_schema.json")
ADDRESS = "registry.terraform.io/hashicorp/google"
_NESTING = {"single": 1, "list": 2, "set": 3}


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: bytes | str | int) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _attribute(name: str, kind: Any, how: str) -> bytes:
    flags = {"required": [4], "optional": [5], "computed": [6]}[how]
    if name == "id":
        flags = [5, 6]
    return _field(1, name) + _field(2, json.dumps(kind)) + b"".join(_field(flag, 1) for flag in flags)


def _block(block: dict[str, Any]) -> bytes:
    attributes = [_field(2, _attribute(name, each["type"], each["how"])) for name, each in block["attributes"].items()]
    nested = [
        _field(
            3,
            _field(1, name)
            + _field(2, _block(each))
            + _field(3, _NESTING[each["nesting"]])
            + (b"" if each["nesting"] == "single" else _field(4, each["min"]) + _field(5, each["max"])),
        )
        for name, each in block["blocks"].items()
    ]
    return b"".join([*attributes, *nested])


def _schema(block: dict[str, Any]) -> bytes:
    return _field(1, 0) + _field(2, _block(block))


def answer(document: dict[str, Any]) -> bytes:
    """The answer of GetSchema."""
    settings = {name: {"type": "string", "how": "optional"} for name in ("project", "region", "credentials")}
    settings["default_labels"] = {"type": ["map", "string"], "how": "optional"}
    schemas = [_field(1, _schema({"attributes": settings, "blocks": {}}))]
    for number, sort in ((2, "resource"), (3, "data")):
        schemas += [
            _field(number, _field(1, kind) + _field(2, _schema(block))) for kind, block in document[sort].items()
        ]
    return b"".join(schemas)


def serve() -> None:
    """Prints the address for Terraform, and serves until the process ends."""
    schema = answer(json.loads(SCHEMA.read_text()))
    answers = {
        "GetSchema": lambda _request, _context: schema,
        "PrepareProviderConfig": lambda request, _context: request,  # both hold the configuration in their field 1
    }
    silent = ("ValidateResourceTypeConfig", "ValidateDataSourceConfig", "Configure", "Stop")
    answers |= dict.fromkeys(silent, lambda _request, _context: b"")
    handlers = {name: grpc.unary_unary_rpc_method_handler(each) for name, each in answers.items()}
    options = [("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(4), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin5.Provider", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"127.0.0.1:{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    serve()
