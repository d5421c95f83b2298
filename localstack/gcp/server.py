"""The process behind the endpoints of Dataproc and Compute Engine.

Usage: python -m localstack.gcp.server SETTINGS.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from localstack.gcp.api import Api
from localstack.gcp.compute import Compute
from localstack.gcp.dataproc import Dataproc
from localstack.gcp.engine import GcpEngine
from localstack.gcp.groups import Groups
from localstack.gcp.jobs import Jobs
from localstack.server import serve
from localstack.world import World


def main(settings: dict[str, Any]) -> None:
    """Serves until killed."""
    world = World.of(settings)
    compute = Compute()
    groups = Groups(compute, world.faults)
    jobs = Jobs(world)
    api = Api(world, [Dataproc(compute, jobs), compute, groups])
    serve(settings, api, GcpEngine(world, compute, groups, jobs))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
