"""`cloudlstm stream` on Spark: makes the plan of the job "stream", and starts it on a target or on this machine."""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict, dataclass
from typing import Literal
from urllib.parse import urlsplit

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.flags import command_line
from cloudlstm.cli.stream_flags import no_pause
from cloudlstm.errors import RunBusyError, UsageError
from cloudlstm.runs import attempts
from cloudlstm.runs.paths import RunPaths
from cloudlstm.storage.endpoints import is_loopback
from cloudlstm.stream.documents import StreamSettings
from cloudlstm.stream.journal import Journal
from cloudlstm.stream.kafka_client import SCHEME, Topic
from cloudlstm.stream.page.live import Live
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.serve import config_of, kept
from cloudlstm.targets import Plan, Target
from cloudlstm.targets import streams as checks
from cloudlstm.targets.base import StreamWork, own_packages
from cloudlstm.targets.cloud import CloudTarget
from cloudlstm.targets.detached import carry_out
from cloudlstm.workers.deadline import TARGET_HOURS

_LINE_S = 5.0
"""Seconds between two lines about batches."""
_DRIVER_MEMORY_MIB = 1024
"""Heap of the driver's Java process for a stream without a model."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How the job runs now; another time it may run in another way.

    Attributes:
        to: The sinks.
        available_now: End when all is read that was there at the start.
        every_s: Seconds between two micro-batches; None for the default of the job.
        connector: What reads Kafka.
        jars: Archives of Java classes for the connector.
        checkpoint: Folder of Spark's checkpoint; None for one in the stream's folder.
        max_hours: Hours after which the job ends in any case; None for the default.
        batch_bars: About the most bars of one batch; None for the default of the job.
        kafka: A properties file, or the URI of one; the job reads it.
    """

    to: tuple[str, ...] = ("parquet",)
    available_now: bool = False
    every_s: float | None = None
    connector: Literal["python", "kafka"] = "python"
    jars: tuple[str, ...] = ()
    checkpoint: str | None = None
    max_hours: float | None = None
    batch_bars: int | None = None
    kafka: str | None = None


def make_plan(paths: StreamPaths, settings: StreamSettings, target: Target, options: JobOptions) -> Plan:
    """The requests that start the stream, in order.

    Args:
        paths: The stream.
        settings: Its settings.
        target: Where it runs.
        options: How it runs.

    Raises:
        UsageError: It cannot run there.
        UserCodeError: A package of the user, which its features name, is not there.
    """
    _require(paths, settings, target, options)
    hours = options.max_hours
    if hours is None and options.available_now and isinstance(target, CloudTarget):
        hours = TARGET_HOURS
    config = config_of(paths.root, settings.model, RunPaths(settings.run) if settings.run else None)
    memory = config.spark.driver_memory_mib if config else _DRIVER_MEMORY_MIB
    work = StreamWork(
        RunPaths(paths.uri), _words(settings, options, hours), memory, hours, options.connector, options.jars,
        own_packages(config) if config else {},
    )  # fmt: skip
    return Plan(
        "stream",
        paths.uri,
        (
            {"action": "settings", "uri": paths.settings, "document": asdict(settings)},
            {"action": "job", **target.stream_request(work)},
        ),
    )


def _words(settings: StreamSettings, options: JobOptions, hours: float | None) -> tuple[str, ...]:
    """The words of jobs/stream.py."""
    named = {
        "every": None if options.every_s is None else f"{options.every_s:g}",
        "connector": options.connector if options.connector != "python" else None,
        "to": ",".join(options.to) if options.to != settings.sinks else None,
        "kafka": storage.absolute(options.kafka) if options.kafka else None,
        "batch-bars": options.batch_bars,
        "checkpoint": options.checkpoint,
        "max-hours": None if hours is None else f"{hours:g}",
    }
    words = [f"--{name}={value}" for name, value in named.items() if value is not None]
    return (*(["--available-now"] if options.available_now else []), *words)


def _require(paths: StreamPaths, settings: StreamSettings, target: Target, options: JobOptions) -> None:
    """Raises UsageError for what a job on Spark, or on the machines of this target, cannot do."""
    if not settings.source.startswith(SCHEME):
        raise UsageError(
            "landed files are read by one process on this machine, and not by Spark",
            hint="leave --target and --runner out, or a topic as the source",
        )
    if options.every_s is not None and options.available_now:
        raise no_pause()
    if not isinstance(target, CloudTarget):
        return
    if "console" in options.to:
        raise UsageError(
            "the sink console shows forecasts here, and the job runs on other machines",
            hint=f"--to={','.join(kept(options.to)) or 'parquet'}",
        )
    config = target.config
    checks.require_reach(config, paths.uri, "the root of", f"leave --root out for {target.root}")
    if settings.run:
        checks.require_reach(config, settings.run, "the run", "a run in the root of the target")
    if options.kafka:
        checks.require_reach(
            config, options.kafka, "--kafka:",
            f"--kafka={config.bucket_uri}/kafka.properties, which only the cluster may read",
        )  # fmt: skip


def start(
    plan: Plan, settings: StreamSettings, target: Target, options: JobOptions, typed: list[str], where: str | None
) -> int:
    """Carries a plan out. A stream that goes on is left once it works; one that ends is awaited.

    Args:
        plan: The plan.
        settings: The stream's settings.
        target: Where it runs.
        options: How it runs.
        typed: The command line that continues the stream.
        where: The target as typed.

    Returns:
        The exit status.

    Raises:
        RunBusyError: The stream runs already.
        CloudLSTMError: The error of the job, or why it could not start.
    """
    paths = StreamPaths(plan.run)
    on_cloud = isinstance(target, CloudTarget)
    _require_idle(paths)
    if isinstance(target, CloudTarget):
        checks.check(target, paths.root)
        _note(settings, target, options)
    (request,) = [each for each in plan.requests if each["action"] == "job"]
    stays = options.available_now or not on_cloud
    shown = _Shown(paths, settings)
    try:
        number = carry_out(request, target, lambda: _open(paths, settings), shown, stays=stays)
    except KeyboardInterrupt:
        terminal.write_error(f"stopped; to continue: {shlex.join(typed)}\n")
        return 130
    if stays:
        terminal.write_error(f"finished: {shown.line()}\n")
        return 0
    name = f"streams/{paths.name}"
    terminal.write(f"stream {paths.name} runs on {target.name} (attempt {number})\n")
    for verb, more in (("status", []), ("logs", ["--follow"]), ("cancel", [])):
        root = None if paths.root == target.root else paths.root
        terminal.write(shlex.join([*command_line(verb, (name,), target=where, root=root), *more]) + "\n")
    return 0


def _require_idle(paths: StreamPaths) -> None:
    folder = RunPaths(paths.uri)
    number = attempts.latest_attempt(folder)
    if not number or not attempts.is_alive(folder, number):
        return
    owner = attempts.read_owner(folder, number)
    who = f"by process {owner.pid} on {owner.host}" if owner else "elsewhere"
    raise RunBusyError(
        f"stream {paths.name} is run already, {who}",
        hint=f"cloudlstm status {paths.uri}, or cloudlstm cancel {paths.uri} first",
    )


def _open(paths: StreamPaths, settings: StreamSettings) -> None:
    Journal(paths).open(settings)


def _note(settings: StreamSettings, target: CloudTarget, options: JobOptions) -> None:
    """Tells what the user may not expect."""
    from cloudlstm.targets.costs import spark_rate

    hosts = [urlsplit(f"//{each}").hostname or "" for each in Topic.parse(settings.source).servers.split(",")]
    if any(map(is_loopback, hosts)) and not target.config.endpoints:
        terminal.write_error(f"note: the machines of {target.name} look for {settings.source} on themselves\n")
    price = spark_rate(target.config).usd_per_hour
    if not options.available_now and not options.max_hours and price is not None:
        terminal.write_error(f"note: until you cancel it, the cluster costs {price:.2f} USD an hour or more\n")


class _Shown:
    """Shows what the job waits for, and a line about new batches."""

    def __init__(self, paths: StreamPaths, settings: StreamSettings) -> None:
        self._journal, self._live = Journal(paths), Live(paths.name, settings)
        self._live.add(self._journal.batches(1))
        self._phase, self._at = "", time.monotonic() + _LINE_S

    def __call__(self, phase: str) -> None:
        if phase and phase != self._phase:
            terminal.write_error(f"{phase}\n")
        self._phase = phase
        if time.monotonic() < self._at:
            return
        self._at = time.monotonic() + _LINE_S
        if self._add():
            terminal.write_error(f"{self._live.line()}\n")

    def _add(self) -> bool:
        """Reads the new batches; whether there are some."""
        before = self._live.last.number if self._live.last else 0
        self._live.add(self._journal.after(before))
        return self._live.last is not None and self._live.last.number != before

    def line(self) -> str:
        """The facts about the newest batches."""
        self._add()
        return self._live.line()
