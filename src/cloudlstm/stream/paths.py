"""The names of all objects of a stream. Only this module builds them.

<root>/streams/<name>/
    stream.json                      what the stream reads and how (create-only)
    taken/00000001.json              what a batch takes from the source, before its work (create-only)
    batches/00000001.json            what the batch gave; written last (create-only)
    forecasts/00000001.parquet       its forecasts
    features/00000001.parquet        its bars with their features, if asked for
    corrections/00000001.parquet     bars that came too late to be used
    refused/00000001.parquet         messages and bars that cannot be used
    state/00000001.arrow             the last bars of all tickers after it; of the newest batches only
    stream.html                      the page
    spark/                           the checkpoint of Spark
    attempts/, claims/, failures/, logs/
                                     of its processes, named as those of a run (`runs/paths.py`)
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudlstm.errors import UsageError
from cloudlstm.runs.paths import is_run_id, join, streams

DIGITS = 8
"""Digits of the number of a batch: enough for a batch a second for three years."""


@dataclass(frozen=True, slots=True)
class StreamPaths:
    """Names the objects of the stream at `uri` (no trailing slash)."""

    uri: str

    @classmethod
    def of(cls, root: str, name: str) -> StreamPaths:
        """The paths of stream `name` below the storage URI of all runs."""
        if not is_run_id(name):
            raise UsageError(
                f"{name!r} is no name of a stream",
                hint="lower-case letters, digits and hyphens, beginning with a letter",
            )
        return cls(join(streams(root), name))

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.uri.rsplit("/", 1)[1]

    @property
    def root(self) -> str:
        """The folder of all runs, models and streams."""
        return self.uri.rsplit("/", 2)[0]

    @property
    def settings(self) -> str:
        return join(self.uri, "stream.json")

    @property
    def takings(self) -> str:
        return self.uri + "/taken/"

    def taken(self, number: int) -> str:
        return f"{self.takings}{number:0{DIGITS}d}.json"

    @property
    def batches(self) -> str:
        return self.uri + "/batches/"

    def batch(self, number: int) -> str:
        return f"{self.batches}{number:0{DIGITS}d}.json"

    def output(self, kind: str, number: int) -> str:
        """The object of a batch: `forecasts`, `features`, `corrections` or `refused`."""
        return join(self.uri, f"{kind}/{number:0{DIGITS}d}.parquet")

    def state(self, number: int) -> str:
        return join(self.uri, f"state/{number:0{DIGITS}d}.arrow")

    @property
    def page(self) -> str:
        return join(self.uri, "stream.html")
