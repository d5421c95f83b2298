"""The work of the job "stream": opens what a stream needs, and runs its query until it ends."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace

from cloudlstm.errors import UsageError
from cloudlstm.stream.batch import BatchWork
from cloudlstm.stream.documents import BatchDocument
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.page.live import Live
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.serve import LOADED, Board, kept, open_models, open_sink
from cloudlstm.stream.spark.runner import SparkOptions, run

_LOG = logging.getLogger(__name__)


def work(paths: StreamPaths, options: SparkOptions, to: tuple[str, ...] | None) -> None:
    """Runs the query of a stream until it ends, or an error.

    Args:
        paths: The stream, which exists.
        options: How the query runs.
        to: The sinks; None for those of the settings.

    Raises:
        UsageError: There is no such stream, it has other sinks, or Spark cannot run it.
    """
    from pyspark.sql import SparkSession

    journal = Journal(paths)
    settings = journal.settings()
    if settings is None:
        raise UsageError(
            f"there is no stream {paths.name} in {paths.root}", hint=f"cloudlstm stream {paths.name} --source=…"
        )
    if to is not None:
        journal.open(replace(settings, sinks=kept(to)))
    models = open_models(paths.root, settings)
    models.open(models.newest())  # a model that cannot be read ends the stream before Spark starts
    sinks = [open_sink(paths, name, options.kafka, _show) for name in (settings.sinks if to is None else to)]
    live = Live(paths.name, settings)
    live.add(journal.batches(LOADED))
    board = Board(live, paths, _LOG.info)

    def watch(document: BatchDocument) -> None:
        live.add([document])
        board.update()

    session = SparkSession.builder.appName(f"cloudlstm stream {paths.name}").getOrCreate()
    ended = "The stream has ended with an error; the same command continues it"
    try:
        run(session, settings, BatchWork(journal, settings, models, sinks), journal, options, watch)
        ended = "The stream has ended: everything that was there is read"
    except SystemExit:  # by SIGTERM
        ended = "The stream was cancelled or stopped; the same command continues it"
        raise
    finally:
        board.update(ended=ended)
        for sink in sinks:
            sink.close()
        session.stop()


def _show(text: str) -> None:
    sys.stdout.write(text)
