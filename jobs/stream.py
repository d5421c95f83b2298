"""The job "stream": a stream on Spark Structured Streaming, as described in docs/stream.md.

spark-submit jobs/stream.py [--every=SECONDS | --available-now] [--connector=python|kafka] [--to=parquet,…]
    [--kafka=FILE] [--batch-bars=N] [--checkpoint=PLACE] [--max-hours=H] (URI | --root=URI --name=STREAM)
"""

from __future__ import annotations

import argparse
import sys

from cloudlstm import storage
from cloudlstm.errors import CloudLSTMError
from cloudlstm.runs.paths import RunPaths
from cloudlstm.stream.kafka_client import read_properties, sink_names
from cloudlstm.stream.paths import StreamPaths
from cloudlstm.stream.spark.job import work
from cloudlstm.stream.spark.runner import SparkOptions
from cloudlstm.workers import job


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The words of the job."""
    parser = argparse.ArgumentParser(description="a stream on Spark Structured Streaming")
    parser.add_argument("uri", nargs="?", help="the folder of the stream")
    parser.add_argument("--root")
    parser.add_argument("--name")
    parser.add_argument("--every", type=float, default=10.0)
    parser.add_argument("--available-now", action="store_true")
    parser.add_argument("--connector", choices=("python", "kafka"), default="python")
    parser.add_argument("--to", help="by default the sinks of the stream")
    parser.add_argument("--kafka")
    parser.add_argument("--batch-bars", type=int, default=100_000)
    parser.add_argument("--checkpoint")
    parser.add_argument("--max-hours", type=float)
    words = parser.parse_args(argv)
    if not words.uri and not (words.root and words.name):
        parser.error("the URI of a stream, or --root and --name")
    return words


def main() -> int:
    words = parse()
    try:
        paths = _paths(words)
    except CloudLSTMError as error:
        sys.stderr.write(f"stream: {error}\n")
        return error.exit_code
    sinks, folder = sink_names(words.to) if words.to else None, RunPaths(paths.uri)
    return job.main_alone("stream", folder, lambda: work(paths, _options(words, paths), sinks), hours=words.max_hours)


def _paths(words: argparse.Namespace) -> StreamPaths:
    root, _, name = (words.uri or f"{words.root.rstrip('/')}/streams/{words.name}").rstrip("/").rpartition("/streams/")
    return StreamPaths.of(storage.absolute(root).rstrip("/"), name)


def _options(words: argparse.Namespace, paths: StreamPaths) -> SparkOptions:
    return SparkOptions(
        checkpoint=words.checkpoint or f"{paths.uri}/spark",
        every_s=None if words.available_now else words.every,
        connector=words.connector,
        most_bars=words.batch_bars,
        kafka=read_properties(words.kafka),
    )


if __name__ == "__main__":
    sys.exit(main())
