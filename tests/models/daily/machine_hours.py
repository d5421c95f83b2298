"""Records of machines that have worked for a run, as a launcher writes them."""

from __future__ import annotations

from cloudlstm import storage
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs.paths import RunPaths


def worked(paths: ModelPaths, run: str, hours: float, attempt: int = 1, job: str = "train", machines: int = 2) -> float:
    """Records hours of the machines of a job, at 2 USD together; returns what they cost."""
    own = RunPaths.of(paths.root, run)
    if not storage.exists(own.attempt(attempt)):
        storage.write_json(own.attempt(attempt), {})
    rate = {"machine": "m", "machines": machines, "usd_per_hour": 2.0, "spot": False, "prices": "list"}
    document = {"attempt": attempt, "job": job, "rate": rate, "began": 1e9, "ended": 1e9 + hours * 3600}
    storage.write_json(own.usage(attempt, job), document)
    return hours * 2.0
