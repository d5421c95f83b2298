"""Whether offsets that a query leaves out have messages: marks of transactions have offsets too, and no messages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing

from cloudlstm.errors import StreamError
from cloudlstm.stream.kafka_client import Topic, client, fail, is_passing

_WAIT_S = 60.0
"""How long it waits for the answer of a broker."""


def has_messages(topic: Topic, properties: Mapping[str, str], partition: int, begin: int, end: int) -> bool:
    """Whether a partition has a message from offset `begin` to before `end`, or has deleted the first of them.

    Args:
        topic: The topic.
        properties: Settings of the connection; secret.
        partition: The partition.
        begin: The first offset.
        end: The offset after the last one; it has a message.

    Raises:
        StreamError: No broker answers.
    """
    import confluent_kafka

    ours = {"group.id": "cloudlstm", "enable.auto.commit": False, "auto.offset.reset": "error"}
    deadline = time.monotonic() + _WAIT_S
    with closing(client("Consumer", topic, properties, ours)) as consumer:
        consumer.assign([confluent_kafka.TopicPartition(topic.name, partition, begin)])
        while time.monotonic() < deadline:
            for message in consumer.consume(1, timeout=0.1):
                error = message.error()
                if error is None:
                    return bool(message.offset() < end)
                if error.code() == confluent_kafka.KafkaError._AUTO_OFFSET_RESET:
                    return True
                if not is_passing(error):
                    fail(error, topic)
    raise StreamError(f"no broker answers at {topic.servers}", hint="its address, or the same job later")
