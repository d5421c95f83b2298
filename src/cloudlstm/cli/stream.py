"""The command `stream`: forecasts while bars arrive."""

from __future__ import annotations

import json as json_format
import os
import shlex
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from cloudlstm.cli import terminal
from cloudlstm.cli.flags import command_line, parse_number, parse_switch, parse_text
from cloudlstm.cli.stream_flags import (
    above_0,
    given_only,
    interval_of,
    jars_of,
    no_pause,
    one_of,
    require_flags,
    sinks_of,
)
from cloudlstm.cli.submit import Deferred
from cloudlstm.errors import UsageError

if TYPE_CHECKING:
    from cloudlstm.stream.documents import StreamSettings
    from cloudlstm.stream.paths import StreamPaths


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
    These flags are remembered, so a later command may leave them out: --source, --model, --run, --to (but console),
    --interval, --calendar, --begin, --with-features, --newest and --final-only. Others, such as --root, are not.

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
        every: Least seconds between the starts of two batches; by default 10 on Spark, else 1 with a root in a bucket
            and 0 on this machine.
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
    on_spark = one_of("runner", parse_text("runner", runner), ("spark",)) is not None
    on_spark = on_spark or (where is not None and where not in TARGETS)
    place_of_job = open_target(where, trust_endpoints=trusted) if on_spark else None
    base = root_uri(parse_text("root", root) or (place_of_job.root if place_of_job else None))
    texts = {key: parse_text(key, value) for key, value in (("calendar", calendar), ("begin", begin), ("model", model))}
    place, named = parse_text("source", source), parse_text("run", run)
    every_bars = parse_number("batch-bars", batch_bars)
    switches = {"with-features": with_features, "final-only": final_only, "newest": newest}
    chosen = {key: parse_switch(key, value) for key, value in switches.items()}
    to_given, gap = sinks_of(to), one_of("on-gap", parse_text("on-gap", on_gap), ("skip",))
    one_of("begin", texts["begin"], ("earliest", "latest"))
    length = interval_of(parse_text("interval", interval))
    now, dry, as_json = (parse_switch(*each) for each in
                         (("available-now", available_now), ("dry-run", dry_run), ("json", json)))  # fmt: skip
    secret = parse_text("kafka", kafka)
    every_s = above_0("every", every)
    spark = {
        "max_hours": above_0("max-hours", max_hours),
        "connector": one_of("connector", parse_text("connector", connector), ("python", "kafka")),
        "jars": jars_of(jars), "checkpoint": parse_text("checkpoint", checkpoint),
    }  # fmt: skip
    not_remembered: dict[str, Any] = {
        "available_now": now, "on_gap": gap, "batch_bars": every_bars, "kafka": secret, "target": where,
        "runner": parse_text("runner", runner), "every": every, "connector": spark["connector"],
        "jars": ",".join(jars_of(jars)) or None, "checkpoint": spark["checkpoint"], "max_hours": max_hours,
        "root": parse_text("root", root), "trust_endpoints": trusted, "json": as_json,
    }  # fmt: skip
    require_flags(on_spark, spark, {"--on-gap": gap is not None, "--json": as_json})

    def work() -> int:
        # The stream has threads of its own; those of BLAS would wait for each other. NumPy reads it at its import.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from cloudlstm.cli import stream_here
        from cloudlstm.stream.kafka_client import read_properties
        from cloudlstm.stream.local import MOST_BARS, LocalOptions
        from cloudlstm.stream.paths import StreamPaths
        from cloudlstm.stream.serve import ServeOptions, kept, pause

        paths = StreamPaths.of(base, str(parse_text("name", name)))
        given: dict[str, Any] = {key: value for key, value in texts.items() if value and key != "model"}
        given |= {} if place is None else {"source": place}
        given |= {} if length is None else {"interval_s": length}
        given |= {"features": True} if chosen["with-features"] else {}
        given |= {"provisional": False} if chosen["final-only"] else {}
        given |= {"forecasts": "newest"} if chosen["newest"] else {}
        given |= {} if to_given is None else {"sinks": kept(to_given)}
        settings = _settings(base, paths, texts["model"] or "", named, given)
        sinks = settings.sinks if to_given is None else to_given
        shown = ",".join(sinks) if kept(sinks) != sinks else None
        typed = command_line("stream", (paths.name,), to=shown, **not_remembered)
        if place_of_job:
            from cloudlstm.cli import stream_job

            how = stream_job.JobOptions(
                sinks, now, batch_bars=every_bars, kafka=secret, every_s=every_s, **given_only(spark)
            )
            requests = stream_job.make_plan(paths, settings, place_of_job, how)
            if dry:
                terminal.write(requests.to_json() + "\n")
                return 0
            return stream_job.start(requests, settings, place_of_job, how, typed, where)
        if every_s and now:
            raise no_pause()
        local = LocalOptions(
            available_now=now, most_bars=every_bars or MOST_BARS, skip_gone=gap == "skip",
            every_s=0.0 if now else pause(paths) if every_s is None else every_s,
        )  # fmt: skip
        options = ServeOptions(sinks, read_properties(secret), local)
        if dry:
            plan = {"stream": paths.uri, "settings": asdict(settings), "to": list(sinks), "available_now": now,
                    "batch_bars": local.most_bars, "every_s": local.every_s,
                    "kafka": sorted(options.kafka)}  # fmt: skip
            terminal.write(json_format.dumps(plan, indent=1) + "\n")
            return 0
        try:
            line = stream_here.run(base, paths, settings, options, as_json=as_json)
        except KeyboardInterrupt:
            terminal.write_error(f"stopped; to continue: {shlex.join(typed)}\n")
            return 130
        terminal.write_error(f"finished: {line}\n")
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
            hint="--source=kafka://127.0.0.1:9092/bars.1m, or a folder; --root=… if the stream is elsewhere",
        )
    return settings_for(root, model, named, given)


def _tell(text: str) -> None:
    terminal.write_error(f"{text}\n")
