"""Writes messages to a topic: each once, acknowledged by all replicas, with errors in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudlstm.errors import StreamError
from cloudlstm.stream.kafka_client import Topic, client, fail, is_passing, partitions_of

_START_S = 15.0


class TopicWriter:
    """A producer of one topic.

    Args:
        topic: The topic.
        properties: Settings of the connection.
        wait_s: How long a broker may take to accept messages.
        settings: Further settings of the producer.

    Attributes:
        partitions: The partitions of the topic.
    """

    def __init__(
        self, topic: Topic, properties: Mapping[str, str], wait_s: float, settings: Mapping[str, Any] | None = None
    ) -> None:
        self._topic, self._wait, self._error = topic, wait_s, None
        ours = {
            "enable.idempotence": True, "acks": "all", "linger.ms": 5, "message.timeout.ms": int(wait_s * 1000),
            "error_cb": self.on_error, **(settings or {}),
        }  # fmt: skip
        self._producer = client("Producer", topic, properties, ours)
        self.partitions = partitions_of(self._producer, topic, _START_S)

    def write(self, key: bytes, value: bytes) -> None:
        """Hands over a message; waits while the queue is full."""
        while True:
            try:
                self._producer.produce(self._topic.name, key=key, value=value, on_delivery=self._on_delivery)
            except BufferError:  # wait for the broker
                self._producer.poll(0.05)
            else:
                return

    def check(self) -> None:
        """Raises the error of a message that was not accepted, or of the connection, if there is one so far."""
        self._producer.poll(0)
        if self._error is not None:
            fail(self._error, self._topic)

    def flush(self) -> None:
        """Waits until the broker has every message.

        Raises:
            StreamError: It does not accept them.
        """
        left = self._producer.flush(self._wait)
        self.check()
        if left:
            raise StreamError(f"the broker at {self._topic.servers} does not take messages", hint="its log")

    def forget(self) -> None:
        """Forgets earlier errors."""
        self._error = None

    def close(self, wait_s: float) -> None:
        """Sends what is left, for so long at most."""
        self._producer.flush(wait_s)

    def on_error(self, error: Any) -> None:
        """Notes an error of the connection that does not pass by itself."""
        if not is_passing(error):
            self._error = self._error or error

    def _on_delivery(self, error: Any, message: Any) -> None:
        del message
        self._error = self._error or error
