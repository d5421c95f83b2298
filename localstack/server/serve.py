"""The process behind a cloud's endpoints: serves its services, its background work and the emulator's own API.

Usage: python -m localstack.server.serve SETTINGS.json
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localstack.server.control import serve_control
from localstack.server.engine import Services
from localstack.server.world import World


def serve(settings: Mapping[str, Any]) -> None:
    """Serves until this process is killed. Once everything answers, writes the URL of its own API to a file.

    Args:
        settings: The settings that cloud.py wrote for this process.
    """
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    module = import_module(f"localstack.{settings['cloud']}.engine")
    world = World.of(settings)
    services: Services = module.services(world)
    if world.network.exposed:
        sys.stderr.write(f"{world.network.exposed}\n")
    port = urlsplit(world.url).port
    assert port
    server = make_server("127.0.0.1", port, services.application, threaded=True, request_handler=services.handler)
    threading.Thread(target=server.serve_forever, name="services", daemon=True).start()
    engine = services.engine
    with serve_control(settings["control_port"], world.faults, engine.state, engine.preempt, engine.clock) as control:
        ready = Path(settings["ready"])
        fresh = ready.with_suffix(".new")
        fresh.write_text(json.dumps({"control": control}))
        fresh.replace(ready)
        engine.run()


if __name__ == "__main__":
    serve(json.loads(Path(sys.argv[1]).read_text()))
