"""The command `stream`: forecasts while bars arrive."""

from __future__ import annotations

import json as json_format
import math
import os
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from cloudlstm.cli import terminal
from cloudlstm.cli.flags import command_line, parse_number, parse_switch, parse_text
from cloudlstm.cli.submit import Deferred
from cloudlstm.errors import JobError, UsageError

if TYPE_CHECKING:
    from cloudlstm.runs.attempts import Attempt
    from cloudlstm.stream.documents import StreamSettings
    from cloudlstm.stream.paths import StreamPaths

_LOOK_S = 5.0
"""Seconds between two looks whether the stream was cancelled."""


def stream(
    name: str,
    /,
    *,
    source: str | None = None,
    model: str | None = None,
    run: str | None = None,
    to: str | None = None,
    interval: str | None = None,
    calendar: str | None = None,
    begin: str | None = None,
    with_features: bool = False,
    newest: bool = False,
    final_only: bool = False,
    available_now: bool = False,
    on_gap: str | None = None,
    batch_bars: int | None = None,
    kafka: str | None = None,
    target: str | None = None,
    runner: str | None = None,
    every: float | None = None,
    connector: str | None = None,
    jars: str | None = None,
    checkpoint: str | None = None,
    max_hours: float | None = None,
    root: str | None = None,
    dry_run: bool = False,
    trust_endpoints: bool = False,
    json: bool = False,
) -> Deferred:
    """Forecasts while bars arrive: from a Kafka topic or from landed files, with a model's champion or a run's network.

    The same command again continues after the last finished batch, also after a crash; nothing is lost or there twice.
    The flags from --source to --final-only are remembered: to continue a stream, its name is enough.

    Args:
        name: The stream; lower-case letters, digits and hyphens.
        source: kafka://ADDRESS/TOPIC, or the folder of landed files.
        model: The model whose champion forecasts; a promotion serves from the next batch on.
        run: The run whose network forecasts, instead of a model; without both there are only features.
        to: Where forecasts go: parquet (the default), console, kafka://ADDRESS/TOPIC, or several with commas.
        interval: Length of a bar: 1m, 5m, 15m or 1h; by default that of the model, else 1m.
        calendar: The exchange, such as XNYS, or none for no sessions; by default that of the model.
        begin: Where a new stream begins in a topic: earliest (the default) or latest.
        with_features: Write the features of all bars as well.
        newest: Forecast only from the newest bar of each ticker in a batch.
        final_only: Use no bar before it is final.
        available_now: End when all is read that was there at the start.
        on_gap: "skip" goes on with what is there if the next bars are gone.
        batch_bars: About the most bars of one batch; by default 100000.
        kafka: A properties file with SASL and TLS settings, or its URI; its values reach no log.
        target: A cloud on whose Spark cluster the stream runs; it goes on when this command has ended.
        runner: "spark" runs it with Spark on this machine; by default it is one process.
        every: On Spark, seconds between two batches; by default 10.
        connector: On Spark, what reads Kafka: python (the default, Spark 4.0 or newer), or kafka, Spark's own.
        jars: On Spark, URIs of Java archives for --connector=kafka, beside those of the image.
        checkpoint: On Spark, the folder of its checkpoint; by default it is in the folder of the stream.
        max_hours: On Spark, hours after which the job ends; by default 6 with --available-now, else no limit.
        root: The folder of all runs, models and streams.
        dry_run: Print what would be done as JSON, and do nothing else.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
        json: Print the document of each batch as a line of JSON.
    """
    from cloudlstm.cli.find import root_uri
    from cloudlstm.targets import TARGETS, open_target

    where = parse_text("target", target)
    trusted = parse_switch("trust-endpoints", trust_endpoints)
    on_spark = _one_of("runner", parse_text("runner", runner), ("spark",)) is not None
    on_spark = on_spark or (where is not None and where not in TARGETS)
    place_of_job = open_target(where, trust_endpoints=trusted) if on_spark else None
    base = root_uri(parse_text("root", root) or (place_of_job.root if place_of_job else None))
    texts = {key: parse_text(key, value) for key, value in (("calendar", calendar), ("begin", begin), ("model", model))}
    place, named = parse_text("source", source), parse_text("run", run)
    every_bars = parse_number("batch-bars", batch_bars)
    switches = {"with-features": with_features, "final-only": final_only, "newest": newest}
    chosen = {key: parse_switch(key, value) for key, value in switches.items()}
    sinks, gap = _sinks(to), _one_of("on-gap", parse_text("on-gap", on_gap), ("skip",))
    _one_of("begin", texts["begin"], ("earliest", "latest"))
    length = _interval(parse_text("interval", interval))
    now, dry, as_json = (parse_switch(*each) for each in
                         (("available-now", available_now), ("dry-run", dry_run), ("json", json)))  # fmt: skip
    secret = parse_text("kafka", kafka)
    spark = {
        "every_s": _above_0("every", every), "max_hours": _above_0("max-hours", max_hours),
        "connector": _one_of("connector", parse_text("connector", connector), ("python", "kafka")),
        "jars": _jars(jars), "checkpoint": parse_text("checkpoint", checkpoint),
    }  # fmt: skip
    _require_flags(on_spark, spark, {"--on-gap": gap is not None, "--json": as_json})

    def work() -> int:
        # The stream has threads of its own; those of BLAS would wait for each other. NumPy reads it at its import.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from cloudlstm.runs import numbered
        from cloudlstm.runs.attempts import Attempt
        from cloudlstm.runs.paths import RunPaths
        from cloudlstm.stream.kafka_client import read_properties
        from cloudlstm.stream.local import MOST_BARS, LocalOptions
        from cloudlstm.stream.paths import StreamPaths
        from cloudlstm.stream.serve import ServeOptions, serve

        paths = StreamPaths.of(base, str(parse_text("name", name)))
        given: dict[str, Any] = {key: value for key, value in texts.items() if value and key != "model"}
        given |= {} if place is None else {"source": place}
        given |= {} if length is None else {"interval_s": length}
        given |= {"features": True} if chosen["with-features"] else {}
        given |= {"provisional": False} if chosen["final-only"] else {}
        given |= {"forecasts": "newest"} if chosen["newest"] else {}
        settings = _settings(base, paths, texts["model"] or "", named, given)
        if place_of_job:
            from cloudlstm.cli import stream_job

            how = stream_job.JobOptions(sinks, now, batch_bars=every_bars, kafka=secret, **_given(spark))
            requests = stream_job.make_plan(paths, settings, place_of_job, how)
            if dry:
                terminal.write(requests.to_json() + "\n")
                return 0
            flags = {"target": where, "runner": runner, "root": root, "kafka": secret, "available_now": now}
            typed = command_line("stream", (paths.name,), **flags)
            return stream_job.start(requests, settings, place_of_job, how, typed, where)
        local = LocalOptions(available_now=now, most_bars=every_bars or MOST_BARS, skip_gone=gap == "skip")
        options = ServeOptions(sinks, read_properties(secret), local)
        if dry:
            plan = {"stream": paths.uri, "settings": asdict(settings), "to": list(sinks), "available_now": now,
                    "batch_bars": local.most_bars, "kafka": sorted(options.kafka)}  # fmt: skip
            terminal.write(json_format.dumps(plan, indent=1) + "\n")
            return 0
        try:
            with Attempt(RunPaths(paths.uri), notice=_tell) as held:
                local = replace(options.local, stop=_Ended(held, paths.name))
                options = replace(options, local=local)
                live = serve(base, paths, settings, options, _tell, terminal.write, _shown if as_json else _nothing)
                numbered.create(RunPaths(paths.uri).complete(held.number), {})
        except KeyboardInterrupt:
            terminal.write_error(f"stopped; to continue: cloudlstm stream {paths.name}\n")
            return 130
        _tell(f"finished: {live.line()}")
        return 0

    return Deferred(work)


def _settings(root: str, paths: StreamPaths, model: str, run: str | None, given: dict[str, Any]) -> StreamSettings:
    """The settings of a stream: of an existing one with what was given again, which `Journal.open` compares."""
    from cloudlstm import storage
    from cloudlstm.cli import find
    from cloudlstm.stream.journal import Journal
    from cloudlstm.stream.kafka_client import SCHEME, Topic
    from cloudlstm.stream.serve import settings_for

    if "source" in given:
        place = str(given["source"])
        given["source"] = Topic.parse(place).uri if place.startswith(SCHEME) else storage.absolute(place)
    named = find.find_run(root, run, among=find.is_trained, missing="no trained run in") if run else None
    if before := Journal(paths).settings():
        given |= {"model": model} if model else {}
        given |= {"run": named.uri} if named else {}
        return replace(before, **given)
    if "source" not in given:
        raise UsageError(
            f"stream {paths.name} is new and needs a source",
            hint="--source=kafka://127.0.0.1:9092/bars.1m, or a folder",
        )
    settings, note = settings_for(root, model, named, given)
    if note:
        terminal.write_error(f"note: {note}\n")
    return settings


class _Ended:
    """Asked between two batches; looks every few seconds whether the stream was cancelled or taken over."""

    def __init__(self, held: Attempt, name: str) -> None:
        self._held, self._name, self._next = held, name, 0.0

    def __call__(self) -> bool:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LOOK_S
            self._held.require_held()
            if self._held.cancelled():
                raise JobError(f"stream {self._name} was cancelled", hint="the same command continues it")
        return False


def _tell(text: str) -> None:
    terminal.write_error(f"{text}\n")


def _nothing(document: Any) -> None:
    del document


def _shown(document: Any) -> None:
    terminal.write(json_format.dumps(asdict(document), sort_keys=True) + "\n")


def _sinks(value: object) -> tuple[str, ...]:
    """The sinks of --to; the addresses of a topic may have commas. Fire makes a tuple of words with commas."""
    from cloudlstm.stream.kafka_client import SCHEME, sink_names

    text = ",".join(map(str, value)) if isinstance(value, tuple | list) else parse_text("to", value)
    words = sink_names(text or "parquet")
    if len(set(words)) < len(words) or sum(word.startswith(SCHEME) for word in words) > 1:
        raise UsageError("--to names a sink twice, or two topics", hint="--to=parquet,console")
    return words


def _above_0(flag: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UsageError(f"--{flag} needs a number above 0, not {value}", hint=f"--{flag}=10")
    return float(value)


def _jars(value: object) -> tuple[str, ...]:
    """The URIs of --jars. Fire makes a tuple of words with commas."""
    text = ",".join(map(str, value)) if isinstance(value, tuple | list) else parse_text("jars", value)
    return tuple(each.strip() for each in (text or "").split(",") if each.strip())


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value}


def _require_flags(on_spark: bool, spark: dict[str, Any], here: dict[str, bool]) -> None:
    """Raises UsageError for a flag that the chosen runner does not have."""
    if not on_spark and (others := _given(spark)):
        flag = {"every_s": "every", "max_hours": "max-hours"}.get(name := next(iter(others)), name)
        raise UsageError(f"--{flag} is for a stream on Spark", hint="--target=… or --runner=spark")
    for flag, given in here.items():
        if on_spark and given:
            raise UsageError(f"a stream on Spark has no {flag}", hint=f"leave {flag}, or --target and --runner, out")


def _one_of(flag: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        raise UsageError(f"--{flag} is {' or '.join(allowed)}, not {value!r}", hint=f"--{flag}={allowed[0]}")
    return value


def _interval(text: str | None) -> int | None:
    if text is None:
        return None
    from cloudlstm.market.interval import WITHIN_A_DAY, Interval

    if text not in WITHIN_A_DAY:
        raise UsageError(f"--interval is {', '.join(WITHIN_A_DAY)}, not {text!r}", hint="--interval=1m")
    return Interval(text).seconds
