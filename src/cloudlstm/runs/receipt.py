"""The receipt of a finished submit: what its results were made from. A submit with the same inputs has nothing to do.

The launcher writes it after the last job. It names every manifest, so a step that ran again, and a later attempt, make
it void.
"""

from __future__ import annotations

from contextlib import suppress

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from cloudlstm.runs.attempts import latest_attempt
from cloudlstm.runs.manifest import Manifest, fingerprint, missing_objects
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import ALL_STEPS, EXOGENOUS, STEPS


def save(paths: RunPaths, attempt: int, inputs: str) -> None:
    """Writes the receipt of an attempt that has finished every step; without storage there is just no receipt.

    Args:
        paths: The run.
        attempt: The attempt.
        inputs: A hash of everything that the results depend on, as it was before the jobs started.
    """
    with suppress(StorageError):
        steps = _steps(paths)
        exogenous = Manifest.load(paths, EXOGENOUS.name)
        incomplete = exogenous is not None and exogenous.facts.get("incomplete")  # the next submit asks again
        if not incomplete and all(step.name in steps for step in STEPS):
            storage.write_json(paths.receipt(attempt), {"inputs": inputs, "steps": steps})


def fits(paths: RunPaths, inputs: str) -> bool:
    """True if the newest attempt has finished every step with these inputs, and all objects exist with their sizes."""
    attempt = latest_attempt(paths)
    try:
        return attempt > 0 and bool(
            storage.read_json(paths.receipt(attempt)) == {"inputs": inputs, "steps": _steps(paths)}
        )
    except (ObjectNotFoundError, CorruptObjectError):
        return False


def _steps(paths: RunPaths) -> dict[str, str]:
    """Step -> hash of its manifest, of the steps whose objects all exist."""
    found = {step.name: Manifest.load(paths, step.name) for step in ALL_STEPS}
    return {
        name: fingerprint([manifest.fingerprint, manifest.digest(), manifest.began])
        for name, manifest in found.items()
        if manifest and not missing_objects(manifest)
    }
