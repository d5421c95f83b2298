"""The process behind every AWS endpoint but S3's: moto's server, the engine beside it, and the emulator's own API.

Usage: python -m localstack.aws.server SETTINGS.json. Once all answer, it writes their URLs to the file that the
settings name.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from localstack.control import serve_control
from localstack.faults import Faults
from localstack.machines import Machines
from localstack.nodes import Nodes
from localstack.spark import SparkCluster


def main(settings: dict[str, Any]) -> None:
    """Serves until killed."""
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    # Only now: moto reads its settings when it is imported.
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from localstack.aws import emr, groups, network
    from localstack.aws.engine import Engine
    from localstack.aws.gate import Gate
    from localstack.aws.world import World

    folder = Path(settings["folder"])
    faults = Faults()
    url = f"http://127.0.0.1:{settings['port']}"
    services = settings["services"] | {"AWS_ENDPOINT_URL": url}
    os.environ.update(services)  # for the emulator's own use of storage
    nodes = Nodes(
        folder=folder,
        spark_python=Path(settings["spark_python"]),
        trainer_python=Path(settings["trainer_python"]),
        services=services,
        extra=settings["node_environment"],
    )
    world = World(
        folder=folder,
        nodes=nodes,
        services=services,
        log_delay_s=settings["log_delay_s"],
        faults=faults,
        spark=SparkCluster(nodes),
        machines=Machines(nodes),
    )
    network.install()
    emr.install()
    groups.install(faults)
    engine = Engine(world)
    gate = Gate(DomainDispatcherApplication(create_backend_app), world)
    server = make_server("127.0.0.1", settings["port"], gate, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, name="moto", daemon=True).start()
    with ExitStack() as stack:
        control = stack.enter_context(serve_control(settings["control_port"], faults, engine.state, engine.preempt))
        ready = Path(settings["ready"])
        fresh = ready.with_suffix(".new")
        fresh.write_text(json.dumps({"aws": url, "control": control}))
        fresh.replace(ready)
        engine.run()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
