"""Runs a stream in this process: opens its source, its sinks and its model, and keeps its page up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.errors import JobError, MissingExtraError, RunBusyError, StorageError, UsageError
from cloudlstm.market.interval import Interval
from cloudlstm.models import registry
from cloudlstm.runs import settings as run_settings
from cloudlstm.runs.paths import RunPaths
from cloudlstm.stream import local
from cloudlstm.stream.batch import BatchWork
from cloudlstm.stream.documents import BatchDocument, StreamSettings
from cloudlstm.stream.forecasting import ChampionModel, Models, NoModel, RunModel
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import SCHEME, Tell, Topic
from cloudlstm.stream.page.live import Live
from cloudlstm.stream.page.render import to_html
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.sinks.base import Sink
from cloudlstm.stream.sinks.console import ConsoleSink
from cloudlstm.stream.sinks.kafka import KafkaSink
from cloudlstm.stream.sinks.parquet import ParquetSink
from cloudlstm.stream.sources.base import Source
from cloudlstm.stream.sources.files import FilesSource
from cloudlstm.stream.sources.kafka import KafkaOptions, KafkaSource

SINKS = ("parquet", "console")
_PAGE_S = {"file": 2.0}
"""Least seconds between two pages, by scheme of the root. A page without a new batch is not written."""
_PAGE_BUCKET_S = 30.0
_PAUSE_BUCKET_S = 1.0
"""See `pause`."""
_LINE_S = 5.0
"""Seconds between two lines on the terminal."""
LOADED = 300
"""Batches of earlier processes that the page shows."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How a stream runs now; another time it may run in another way.

    Attributes:
        to: The sinks: "parquet", "console", or the URI of a topic.
        kafka: Settings of connections to Kafka; secret.
        local: How the runner works.
    """

    to: tuple[str, ...] = ("parquet",)
    kafka: Mapping[str, str] = field(default_factory=dict, repr=False)
    local: local.LocalOptions = field(default_factory=local.LocalOptions)


def settings_for(root: str, model: str, run: RunPaths | None, given: Mapping[str, Any]) -> StreamSettings:
    """The settings of a new stream. Without a model or run it writes the features of its bars.

    Args:
        root: The folder of all runs and models.
        model: Name of the model that forecasts; empty for none.
        run: The run that forecasts; None for none.
        given: Settings that the user gave; they count more than those of the model.

    Raises:
        UsageError: There are both, or the network was trained on bars of another interval.
    """
    if model and run:
        raise UsageError("a stream has a model or a run, not both", hint="leave --run out")
    config = config_of(root, model, run)
    found: dict[str, Any] = {"model": model, "run": run.uri if run else ""}
    if config is None:
        return StreamSettings(**(found | {"features": True} | dict(given)))
    interval = Interval(config.market.interval)
    found |= {
        "calendar": config.market.calendar,
        "max_fill_bars": config.clean.max_fill_bars,
        "bridge_sessions": config.market.bridge_sessions,
        "labels_across_closes": config.dataset.labels_across_closes,
    }
    if not interval.daily:
        found["interval_s"] = interval.seconds
    settings = StreamSettings(**(found | dict(given)))
    if interval.seconds != settings.interval_s:
        raise UsageError(
            f"the network was trained on bars of {interval.name}, and the stream has bars of "
            f"{Interval.of_seconds(settings.interval_s).name}",
            hint="a run with market.interval=1m" if interval.daily else f"--interval={interval.name}",
        )
    return settings


def config_of(root: str, model: str, run: RunPaths | None) -> RunConfig | None:
    """The settings of what forecasts, as `settings_for` takes it; None without a model or run."""
    if model:
        return parse(dict(registry.recipe_of(registry.open_model(root, model)).config))
    return run_settings.read(run, 0) if run else None


def open_source(settings: StreamSettings, kafka: Mapping[str, str], tell: Tell) -> Source:
    """The source of a stream.

    Raises:
        UsageError: The source is no folder, or is not there.
        StreamError: No broker answers, or there is no such topic.
    """
    if settings.source.startswith(SCHEME):
        return KafkaSource(Topic.parse(settings.source), KafkaOptions(kafka, settings.begin), tell)
    if storage.scheme_of(settings.source) == "file":
        folder = Path(settings.source.removeprefix("file://"))
        if folder.is_file():
            raise UsageError(f"{folder} is a file, and a stream reads a folder", hint=f"--source={folder.parent}")
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}", hint="make it first, or another --source")
    return FilesSource(settings.source, tell)


def open_models(root: str, settings: StreamSettings) -> Models:
    """What forecasts."""
    if settings.model:
        return ChampionModel(registry.open_model(root, settings.model))
    return RunModel(RunPaths(settings.run)) if settings.run else NoModel()


def open_sink(paths: StreamPaths, name: str, kafka: Mapping[str, str], show: Callable[[str], None]) -> Sink:
    """The sink of a name or URI.

    Raises:
        UsageError: There is no such sink.
    """
    if name.startswith(SCHEME):
        return KafkaSink(Topic.parse(name), kafka)
    if name == "console":
        return ConsoleSink(show)
    if name == "parquet":
        return ParquetSink(paths)
    raise _no_sink(name)


def kept(sinks: tuple[str, ...]) -> tuple[str, ...]:
    """The sinks that a stream has as long as it lives; the console is that of one command.

    Raises:
        UsageError: There is no such sink.
    """
    for name in sinks:
        if name not in SINKS and not name.startswith(SCHEME):
            raise _no_sink(name)
    return tuple(name for name in sinks if name != "console")


def pause(paths: StreamPaths) -> float:
    """The least seconds between the starts of two batches of one process, unless the user says: each has objects."""
    return 0.0 if storage.scheme_of(paths.uri) == "file" else _PAUSE_BUCKET_S


def _no_sink(name: str) -> UsageError:
    return UsageError(f"there is no sink {name!r}", hint="--to=parquet, console or kafka://127.0.0.1:9092/forecasts")


def serve(
    root: str, paths: StreamPaths, settings: StreamSettings, options: ServeOptions, tell: Tell,
    show: Callable[[str], None], each: Callable[[BatchDocument], None] = lambda _: None,
    models: Models | None = None,
) -> Live:  # fmt: skip
    """Runs a stream until its source ends, it is interrupted, or an error.

    Args:
        root: The folder of all runs and models.
        paths: The stream.
        settings: Its settings; those of an existing stream must be equal.
        options: How it runs.
        tell: Shows a line about the stream.
        show: Shows forecasts, for the sink "console".
        each: Called after each batch.
        models: What forecasts; by default the model or the run of the settings.
    """
    journal = Journal(paths)
    models = models or open_models(root, settings)
    models.open(models.newest())  # a model that cannot be read ends the stream before it begins
    source = open_source(settings, options.kafka, tell)
    sinks: list[Sink] = []
    try:
        sinks = [open_sink(paths, name, options.kafka, show) for name in options.to]
        settings = journal.open(replace(settings, sinks=kept(options.to)))
        live = Live(paths.name, settings)
        live.add(journal.batches(LOADED))
        board = Board(live, paths, tell)
        tell(f"{paths.name}: reads {settings.source}; page {paths.page}")

        def watch(document: BatchDocument | None) -> None:
            if document is not None:
                live.add([document])
                each(document)
            board.update()

        ended = "The stream has ended with an error; the same command continues it"
        try:
            work = BatchWork(journal, settings, models, sinks)
            local.run(source, work, journal, options.local, watch, tell)
            ended = "The stream has ended: everything that was there is read"
        except KeyboardInterrupt:
            ended = "The stream was stopped; the same command continues it"
            raise
        except JobError:
            ended = "The stream was cancelled; the same command continues it"
            raise
        except RunBusyError:
            ended = ""  # the page is that of the process that has taken it over
            raise
        finally:
            if ended:
                board.update(ended=ended)
    finally:
        for sink in sinks:
            sink.close()
        source.close()
    return live


class Board:
    """The page of a stream and its line on the terminal, both renewed from time to time.

    A page that cannot be written ends nothing: what cannot write a batch says so itself.
    """

    def __init__(self, live: Live, paths: StreamPaths, tell: Tell) -> None:
        self._live, self._paths, self._tell = live, paths, tell
        self._page_every = _PAGE_S.get(storage.scheme_of(paths.uri), _PAGE_BUCKET_S)
        self._page_at = self._line_at = 0.0
        self._shown = live.last.number if live.last else 0
        self._on_page = -1  # the newest batch on the page
        self._has_page, self._page_failed = True, False

    def update(self, ended: str = "") -> None:
        """Renews what is due and has changed; everything at the end."""
        now, last = time.monotonic(), self._live.last
        newest = last.number if last else 0
        if self._has_page and (ended or (newest != self._on_page and now >= self._page_at)):
            self._page_at = now + self._page_every
            try:
                storage.write(self._paths.page, to_html(self._live, ended=ended).encode())
                self._on_page = newest
            except MissingExtraError as error:
                self._has_page = False
                self._tell(f"no page: {error}")
            except StorageError as error:
                if not self._page_failed:
                    self._tell(f"the page was not written: {error}")
                self._page_failed = True
        if last is not None and last.number != self._shown and (ended or now >= self._line_at):
            self._line_at, self._shown = now + _LINE_S, last.number
            self._tell(self._live.line())
