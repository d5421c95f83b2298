"""Records of machines that have worked for a run, as a launcher writes them."""

from __future__ import annotations

from cloudlstm import storage
from cloudlstm.models.paths import ModelPaths
from cloudlstm.runs.paths import RunPaths


def worked(paths: ModelPaths, run: str, hours: float, attempt: int = 1) -> float:
    """Records hours of machines of a run at 2 USD; returns what they cost."""
    own = RunPaths.of(paths.root, run)
    if not storage.exists(own.attempt(attempt)):
        storage.write_json(own.attempt(attempt), {})
    rate = {"machine": "m", "machines": 2, "usd_per_hour": 2.0, "spot": False, "prices": "list"}
    document = {"attempt": attempt, "job": "train", "rate": rate, "began": 1e9, "ended": 1e9 + hours * 3600}
    storage.write_json(own.usage(attempt, "train"), document)
    return hours * 2.0
