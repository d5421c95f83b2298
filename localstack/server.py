"""What the process behind a cloud's endpoints does on every cloud: serves the services, the engine beside them, and
the emulator's own API."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localstack.control import serve_control
from localstack.engine import Engine

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""


def serve(settings: Mapping[str, Any], application: Application, engine: Engine, handler: Any = None) -> None:
    """Serves until killed; once all answers, it writes its URLs to the file that the settings name.

    Args:
        settings: What cloud.py wrote for this process.
        application: The services.
        engine: Does what they do by themselves.
        handler: Reads requests; None for werkzeug's own.
    """
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    world = engine.world
    if world.network.exposed:
        sys.stderr.write(f"{world.network.exposed}\n")
    port = urlsplit(world.url).port
    assert port
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=handler)
    threading.Thread(target=server.serve_forever, name="services", daemon=True).start()
    with serve_control(settings["control_port"], world.faults, engine.state, engine.preempt) as control:
        ready = Path(settings["ready"])
        fresh = ready.with_suffix(".new")
        fresh.write_text(json.dumps({"control": control}))
        fresh.replace(ready)
        engine.run()
