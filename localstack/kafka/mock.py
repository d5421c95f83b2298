"""Runs librdkafka's mock broker until it is ended, and writes its address to a file: python mock.py FILE."""

from __future__ import annotations

import signal
import sys
from pathlib import Path


def main() -> None:
    from confluent_kafka import Producer

    out = Path(sys.argv[1])
    producer = Producer({"bootstrap.servers": "unused:1", "test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
    part = out.with_suffix(".part")
    part.write_text(f"{broker.host}:{broker.port}")
    part.rename(out)  # whoever waits for the file finds all of it
    signal.pause()


if __name__ == "__main__":
    main()
