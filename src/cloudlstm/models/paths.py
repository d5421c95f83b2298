"""The names of all objects of a model. Only this module builds them.

<root>/models/index/<name>                  marks that the model exists, with the time of its last change
<root>/models/<name>/
    recipe.json                             how its networks are trained and judged (create-only)
    versions/0001.json                      a trained network: its run, data and evidence (create-only)
    versions/0001.weights.npz, …inputs.json, …drift.json
    aliases/champion/0001.json              one move of the alias to a version (create-only)
    ledger/<session>.json                   the record of the forecasts for a session, a link of the hash chain
    ledger/<session>.<sha256>.parquet       the forecasts of all versions for that session (create-only)
    outcomes/<session>.parquet              the returns that came, beside them (create-only)
    daily/<date>.json                       what a day found and decided; written last (create-only)
    daily/<date>/exogenous.parquet          the macro series and scores of headlines that it has used (create-only)
    latest.json                             the newest forecasts for those who read them; replaced after each day
    forecasts/<session>.<sha256>.parquet    the champion's forecasts, which latest.json names
    usage/<date>.json                       the time that the day took, and what its trainings have cost
    monitor.html                            the page about the model
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudlstm.errors import UsageError
from cloudlstm.runs.paths import is_run_id, join, models

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class ModelPaths:
    """Names the objects of the model at `uri` (no trailing slash)."""

    uri: str

    @classmethod
    def of(cls, root: str, name: str) -> ModelPaths:
        """The paths of model `name` below the storage URI of all runs."""
        if not is_run_id(name):
            raise UsageError(
                f"{name!r} is no name of a model",
                hint="lower-case letters, digits and hyphens, beginning with a letter",
            )
        return cls(join(models(root), name))

    @property
    def name(self) -> str:
        """The model's name."""
        return self.uri.rsplit("/", 1)[1]

    @property
    def folder(self) -> str:
        """The URI of the folder of all models of the root."""
        return self.uri.rsplit("/", 1)[0]

    @property
    def root(self) -> str:
        """The storage URI of all runs."""
        return self.folder.rsplit("/", 1)[0]

    @property
    def recipe(self) -> str:
        return join(self.uri, "recipe.json")

    @property
    def versions(self) -> str:
        return self.uri + "/versions/"

    def version(self, number: int, part: str = "json") -> str:
        """An object of a version: `json`, `weights.npz`, `inputs.json` or `drift.json`."""
        return join(self.uri, f"versions/{number:04d}.{part}")

    def alias(self, name: str) -> str:
        """The folder of all moves of an alias."""
        return f"{self.uri}/aliases/{name}/"

    def move(self, alias: str, number: int) -> str:
        return f"{self.alias(alias)}{number:04d}.json"

    @property
    def ledger(self) -> str:
        return self.uri + "/ledger/"

    def record(self, session: str) -> str:
        return join(self.uri, f"ledger/{session}.json")

    def forecasts(self, session: str, sha256: str) -> str:
        return join(self.uri, f"ledger/{session}.{sha256}.parquet")

    def outcomes(self, session: str) -> str:
        return join(self.uri, f"outcomes/{session}.parquet")

    @property
    def days(self) -> str:
        return self.uri + "/daily/"

    def day(self, date: str) -> str:
        return join(self.uri, f"daily/{date}.json")

    def exogenous(self, date: str) -> str:
        return join(self.uri, f"daily/{date}/exogenous.parquet")

    @property
    def latest(self) -> str:
        return join(self.uri, "latest.json")

    def delivered(self, session: str, sha256: str) -> str:
        return join(self.uri, f"forecasts/{session}.{sha256}.parquet")

    def usage(self, date: str) -> str:
        return join(self.uri, f"usage/{date}.json")

    @property
    def monitor(self) -> str:
        return join(self.uri, "monitor.html")


def dates_in(uris: list[str], folder: str, ending: str = ".json") -> list[str]:
    """The dates of the objects `<folder><date><ending>`, ascending; other objects are ignored."""
    found = (uri.removeprefix(folder).removesuffix(ending) for uri in uris if uri.endswith(ending))
    return sorted(name for name in found if _DATED.fullmatch(name))
