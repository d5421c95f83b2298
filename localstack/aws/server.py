"""The process behind every AWS endpoint but S3's: moto's server with the life that it lacks.

Usage: python -m localstack.aws.server SETTINGS.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from localstack.server import serve
from localstack.world import World


def main(settings: dict[str, Any]) -> None:
    """Serves until killed."""
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    # Only now: moto reads its settings when it is imported.
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

    from localstack.aws import emr, gaps, groups, network
    from localstack.aws.engine import AwsEngine
    from localstack.aws.gate import Gate

    world = World.of(settings)
    gaps.install()
    network.install()
    emr.install()
    groups.install(world.faults)
    gate = Gate(DomainDispatcherApplication(create_backend_app), world)
    serve(settings, gate, AwsEngine(world), MotoRequestHandler)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
