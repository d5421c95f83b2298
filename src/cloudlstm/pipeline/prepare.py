"""The job "prepare": from a source to sequences, step by step, each a function over shards.

Bars become shards of whole tickers once, at the start (ingest.py); from then on every step maps shard to shard, and
nothing that a step computes for a ticker depends on its neighbours in the shard.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.dataset import sequences, window_export
from cloudlstm.dataset.splits import SPLITS
from cloudlstm.features import FEATURE_NAMES, compute
from cloudlstm.market import universe
from cloudlstm.market.calendar import sessions
from cloudlstm.market.cleaning import quality_gate
from cloudlstm.market.cleaning.clean import clean
from cloudlstm.market.cleaning.duplicate_series import twins
from cloudlstm.market.sources.base import open_source
from cloudlstm.pipeline.ingest import STEP, Ingest
from cloudlstm.pipeline.shard_io import Made, loaded, rows_of, stored, together
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest, ManifestRow, fingerprint, finished, prune, total_rows, write_object
from cloudlstm.runs.paths import RunPaths

_LOG = logging.getLogger(__name__)


def run(paths: RunPaths, config: RunConfig, journal: Journal) -> None:
    """Brings ingest, clean, features and sequences up to date; skips what has been done for the same inputs."""
    with Spark(config.spark, app_name=f"cloudlstm {paths.run_id}") as spark:
        run_on(spark, paths, config, journal)


def run_on(spark: Spark, paths: RunPaths, config: RunConfig, journal: Journal) -> None:
    """As `run`, in a Spark application that is there already."""
    pipeline = _Pipeline(paths, config, journal, spark)
    raw = pipeline.ingest()
    cleaned = pipeline.clean(raw)
    features = pipeline.features(cleaned)
    pipeline.sequences(features)


class _Pipeline:
    """The steps of one run, carried by one Spark application."""

    def __init__(self, paths: RunPaths, config: RunConfig, journal: Journal, spark: Spark) -> None:
        self._paths, self._config, self._journal, self._spark = paths, config, journal, spark

    def ingest(self) -> Manifest:
        """Bars of the source in shards of whole tickers."""
        config = self._config
        market = config.market
        asked = universe.resolve(config.universe)
        source = open_source(config, asked)
        sessions(market.calendar, market.start, market.end)  # a wrong name should not wait for a JVM
        inputs = [source.identity(), asked, market.start, market.end, market.calendar, market.tickers_per_shard]

        def work(_: str, print_: str) -> Made:
            return Ingest(self._paths, config, self._journal, self._spark, print_).run(source, asked)

        return self._step(STEP, inputs, None, work)

    def clean(self, raw: Manifest) -> Manifest:
        """Bars fit to use, a quarantine, and the quality gate."""
        config, paths = self._config, self._paths
        market = config.market
        # Sessions after the last bar of all have not happened yet as far as this data can tell: nothing to fill there.
        shards = raw.of_kind("bars")
        last = max((row.extra["last_date"] for row in shards if row.extra["last_date"]), default=None)
        as_of = min(market.end, dt.date.fromisoformat(last)) if last else market.end
        days = sessions(market.calendar, market.start, as_of)

        def work(step: str, print_: str) -> Made:
            def make(numbered: tuple[int, ManifestRow]) -> Made:
                number, row = numbered
                cleaned = clean(loaded(row), config.clean, days)
                kept = stored(paths, step, print_, number, cleaned.bars, "bars")
                objects = [*kept.objects]
                if cleaned.quarantine.num_rows:
                    objects += stored(paths, step, print_, number, cleaned.quarantine, "quarantine").objects
                return Made(objects, row.rows, {"counts": cleaned.counts, "sketches": cleaned.sketches})

            made = self._map_shards(make, shards, step)
            unfetched = raw.facts.get("coverage", {}).get("unfetched", ())
            facts = quality_gate.judge(
                (each.facts["counts"] for each in made),
                universe.resolve(config.universe),
                config.clean,
                {each["ticker"]: each["cause"] for each in unfetched},
            )
            return together(made, {**facts, "same_bars": twins(each.facts["sketches"] for each in made)})

        inputs = [raw.digest(), config.clean.model_dump(mode="json"), fingerprint(days.tolist())]
        return self._step("clean", inputs, total_rows(shards), work)

    def features(self, cleaned: Manifest) -> Manifest:
        """The features of every bar."""
        paths = self._paths

        def work(step: str, print_: str) -> Made:
            def make(numbered: tuple[int, ManifestRow]) -> Made:
                number, row = numbered
                table = compute(loaded(row))
                return stored(paths, step, print_, number, table, "features")

            return together(self._map_shards(make, cleaned.of_kind("bars"), step), {})

        return self._step("features", [cleaned.digest(), FEATURE_NAMES], total_rows(cleaned.of_kind("bars")), work)

    def sequences(self, features: Manifest) -> Manifest:
        """TFRecord sequences by split; windows for foreign readers beside them where the layout asks for it."""
        config, paths = self._config.dataset, self._paths

        def work(step: str, print_: str) -> Made:
            def make(numbered: tuple[int, ManifestRow]) -> Made:
                number, row = numbered
                table = loaded(row)
                built = sequences.build(table, config)
                if config.layout == "windows":
                    built |= {f"{split}-windows": shard for split, shard in window_export.export(table, config).items()}
                objects = []
                for kind, shard in built.items():
                    if shard.windows:
                        uri = paths.data(step, print_, f"{kind}-{number:05d}.tfrecord")
                        extra = {"sequences": shard.sequences, "bars": shard.bars}
                        objects.append(write_object(uri, shard.data, kind=kind, rows=shard.windows, extra=extra))
                return Made(objects, row.rows, {"longest": sequences.longest_segment(table)})

            shards_made = self._map_shards(make, features.objects, step)
            made = together(shards_made, {})
            counts = {split: total_rows(row for row in made.objects if row.kind == split) for split in SPLITS}
            sequences.require_windows(counts, config, max((each.facts["longest"] for each in shards_made), default=0))
            return replace(made, facts={"windows": counts})

        inputs = [features.digest(), config.model_dump(mode="json")]
        return self._step("sequences", inputs, total_rows(features.objects), work)

    def _step(self, name: str, inputs: Any, total: int | None, work: Callable[[str, str], Made]) -> Manifest:
        """Does a step unless it has been done for the same inputs; its manifest comes last.

        `total` is the number of rows to come; None where the work itself reports what it counts.
        """
        print_ = fingerprint([__version__, name, inputs])
        known = finished(self._paths, name, print_)
        if known is not None:
            _LOG.info("%s is done for these inputs, skipped", name)
            prune(self._paths, name, print_)  # a launcher that was killed between the manifest and this
            self._journal.report(name, 1, 1, "rows", finished=True, skipped=True)
            return known
        self._spark.context  # noqa: B018 - starting the JVM is no part of any step's time
        if total is not None:
            self._journal.report(name, 0, total, "rows")
        began = time.monotonic()
        made = work(name, print_)
        seconds = time.monotonic() - began
        facts = {
            **made.facts,
            "rows": made.rows,
            "rows_per_s": made.rows / max(seconds, 1e-9),
            "spark": self._spark.facts(),
        }
        manifest = Manifest(name, print_, tuple(made.objects), seconds, facts, began=time.time() - seconds)
        manifest.save(self._paths)
        prune(self._paths, name, print_)
        self._journal.report(name, made.rows, made.rows, "rows", finished=True)
        _LOG.info("%s: %d rows in %.1f s, %d objects", name, made.rows, seconds, len(made.objects))
        return manifest

    def _map_shards(
        self, make: Callable[[tuple[int, ManifestRow]], Made], rows: Sequence[ManifestRow], step: str
    ) -> list[Made]:
        return self._spark.map(make, list(enumerate(rows)), units=rows_of, report=self._report(step, total_rows(rows)))

    def _report(self, step: str, total: int) -> Callable[[int], None]:
        return lambda done: self._journal.report(step, done, total, "rows")
