"""The job "stream": a stream on Spark Structured Streaming, as described in docs/stream.md.

spark-submit jobs/stream.py --root=URI --name=STREAM [--every=SECONDS | --available-now] [--connector=python|kafka]
    [--to=parquet,…] [--kafka=FILE] [--batch-bars=N] [--checkpoint=PLACE]
"""

from __future__ import annotations

import argparse
import sys

from cloudlstm.errors import CloudLSTMError, UsageError


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="a stream on Spark Structured Streaming")
    parser.add_argument("--root", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--every", type=float, default=10.0)
    parser.add_argument("--available-now", action="store_true")
    parser.add_argument("--connector", choices=("python", "kafka"), default="python")
    parser.add_argument("--to", default="parquet")
    parser.add_argument("--kafka")
    parser.add_argument("--batch-bars", type=int, default=100_000)
    parser.add_argument("--checkpoint")
    try:
        _run(parser.parse_args(argv))
    except CloudLSTMError as error:
        sys.stderr.write(f"stream: {error}\n")
        return error.exit_code
    return 0


def _run(words: argparse.Namespace) -> None:
    from pyspark.sql import SparkSession

    from cloudlstm import storage
    from cloudlstm.stream.batch import BatchWork
    from cloudlstm.stream.journal import Journal
    from cloudlstm.stream.kafka_client import read_properties
    from cloudlstm.stream.page.live import Live
    from cloudlstm.stream.paths import StreamPaths
    from cloudlstm.stream.serve import Board, open_models, open_sink
    from cloudlstm.stream.spark.runner import SparkOptions, run

    root = storage.absolute(words.root).rstrip("/")
    paths = StreamPaths.of(root, words.name)
    journal = Journal(paths)
    settings = journal.settings()
    if settings is None:
        raise UsageError(
            f"there is no stream {words.name} in {root}",
            hint=f"cloudlstm stream {words.name} --source=… --available-now",
        )

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    kafka = read_properties(words.kafka)
    sinks = [open_sink(paths, name, kafka, sys.stdout.write) for name in words.to.split(",")]  # type: ignore[arg-type]
    live = Live(paths.name, settings)
    live.add(journal.batches(300))
    board = Board(live, paths, say)

    def watch(document: object) -> None:
        live.add([document])  # type: ignore[list-item]
        board.update()

    options = SparkOptions(
        words.checkpoint or f"{paths.uri}/spark",
        None if words.available_now else words.every,
        words.connector,
        words.batch_bars,
        kafka,
    )
    session = SparkSession.builder.appName(f"cloudlstm stream {words.name}").getOrCreate()
    try:
        run(
            session, settings, BatchWork(journal, settings, open_models(root, settings), sinks), journal, options, watch
        )
    finally:
        board.update(ended="The stream has ended")
        for sink in sinks:
            sink.close()
        session.stop()


if __name__ == "__main__":
    sys.exit(main())
