"""The process of the providers: Terraform calls it by gRPC, and the test that started it by lines on its input.

    python -m infra.google_cloud.serve

It first prints the addresses of its providers. Then each line is a JSON list: the name of a method of the world and its
arguments; the answer is a line with {"value": …} or {"error": …}. The process ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from infra.google_cloud import schema
from infra.google_cloud.provider import Provider
from infra.google_cloud.sleeping import Sleeps
from infra.google_cloud.world import World

GOOGLE = "registry.terraform.io/hashicorp/google"
TIME = "registry.terraform.io/hashicorp/time"


def served(provider: Provider) -> str:
    """Serves a provider until the process ends; returns its address."""
    handlers = {name: grpc.unary_unary_rpc_method_handler(_taken(each)) for name, each in provider.methods().items()}
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin5.Provider", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    _SERVERS.append(server)
    return f"127.0.0.1:{port}"


_SERVERS: list[Any] = []  # a server ends with its last reference


def _taken(method: Callable[[bytes], bytes]) -> Callable[[bytes, Any], bytes]:
    return lambda request, _context: method(request)


def main() -> None:
    world = World()
    addresses = {
        GOOGLE: served(Provider(schema.google(), world)),
        TIME: served(Provider(schema.time(), Sleeps(world))),
    }
    reach = {
        name: {
            "Protocol": "grpc",
            "ProtocolVersion": 5,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "tcp", "String": address},
        }
        for name, address in addresses.items()
    }
    _say(reach)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            _say({"value": getattr(world, name)(*arguments)})
        except Exception as error:
            _say({"error": repr(error)})
    os._exit(0)  # without waiting for calls


def _say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
