"""Connections to Kafka by confluent-kafka: settings that pass through, and errors in our words.

The settings of a connection (SASL, TLS) are passed on as they are. They may be secret: they are in no document, no log
and no message, and the log of the client library, which may name users, is not shown.
"""

from __future__ import annotations

import logging
import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from cloudlstm import storage
from cloudlstm.errors import MissingExtraError, ObjectNotFoundError, StorageError, StreamError, UsageError
from cloudlstm.stream.msk_login import with_login

SCHEME = "kafka://"
_PROPERTY = re.compile(r'property[: ]*"?([\w.]+)"?')
_MOST_BYTES = 2**16
"""Largest size of a properties file."""
_OURS = {
    "bootstrap.servers", "group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset",
    "enable.partition.eof", "enable.idempotence", "acks", "transactional.id",
}  # fmt: skip
"""Settings on which the guarantees of a stream rest."""

_QUIET = logging.getLogger("cloudlstm.kafka")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False
_QUIET.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic at the addresses of some brokers, such as kafka://one:9092,two:9092/bars.1m."""

    servers: str
    name: str

    @classmethod
    def parse(cls, uri: str) -> Topic:
        """Reads the URI of a topic.

        Raises:
            UsageError: It is none.
        """
        if "@" in urllib.parse.unquote(uri):  # before any message that shows the URI
            raise UsageError(
                "the address of a Kafka broker has no user and password", hint="--kafka=FILE with sasl.username"
            )
        servers, _, name = uri.removeprefix(SCHEME).partition("/")
        if not uri.startswith(SCHEME) or not servers or not re.fullmatch(r"[\w.-]{1,249}", name):
            raise UsageError(f"{uri!r} is no topic", hint="kafka://127.0.0.1:9092/bars.1m")
        return cls(urllib.parse.unquote(servers), name)

    @property
    def uri(self) -> str:
        """The URI of the topic."""
        return f"{SCHEME}{self.servers}/{self.name}"


def sink_names(text: str) -> tuple[str, ...]:
    """The sinks in a list with commas, of which the addresses of a topic may have some, too."""
    words: list[str] = []
    for part in text.split(","):
        if words and words[-1].startswith(SCHEME) and "/" not in words[-1].removeprefix(SCHEME):
            words[-1] += f",{part.strip()}"
        else:
            words.append(part.strip())
    return tuple(words)


def read_properties(path: str | None) -> dict[str, str]:
    """The settings of a properties file, as Kafka's own tools read it: a line `name=value` each; # begins a comment.

    Args:
        path: The file, or the URI of an object; None for no settings.

    Raises:
        UsageError: The file is not there, or a line is no setting. The message never has a value.
    """
    if path is None:
        return {}
    try:
        lines = storage.read_small(storage.absolute(path), _MOST_BYTES).decode().splitlines()
    except StorageError as error:
        why = "it is not there" if isinstance(error, ObjectNotFoundError) else error.message
        raise UsageError(f"--kafka: cannot read {path}: {why}", hint="a file of lines name=value") from None
    except UnicodeDecodeError:
        raise UsageError(f"--kafka: cannot read {path}: it is no text", hint="a file of lines name=value") from None
    found = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text[0] in "#!":
            continue
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[\w.-]+", name.strip()):
            raise UsageError(f"--kafka: line {number} of {path} is no setting", hint="sasl.mechanism=SCRAM-SHA-512")
        if name.strip() in _OURS:
            raise UsageError(
                f"--kafka: line {number} of {path} sets {name.strip()}, which the stream sets itself",
                hint="leave the line out",
            )
        found[name.strip()] = value.strip()
    return found


def client(kind: str, topic: Topic, properties: Mapping[str, str], ours: Mapping[str, Any]) -> Any:
    """A Consumer or Producer of confluent-kafka.

    Args:
        kind: "Consumer", "Producer" or "AdminClient".
        topic: Where it connects to.
        properties: Settings of the user.
        ours: Settings that this package needs; they count more.

    Raises:
        MissingExtraError: confluent-kafka is not installed, or botocore for a login by IAM.
        UsageError: A setting is not accepted.
    """
    try:
        import confluent_kafka
        from confluent_kafka.admin import AdminClient
    except ImportError as error:
        raise MissingExtraError(
            f"Kafka needs {error.name}, which is not installed", hint="pip install 'cloudlstm[kafka]'"
        ) from None
    made = AdminClient if kind == "AdminClient" else getattr(confluent_kafka, kind)
    settings = {**with_login(properties, topic.servers), **ours, "bootstrap.servers": topic.servers}
    try:
        return made(settings, logger=_QUIET)
    except (confluent_kafka.KafkaException, ValueError, TypeError) as error:
        found = _PROPERTY.search(str(error))
        name = f": {found[1]}" if found else ""  # the text may quote a value
        raise UsageError(f"a setting of --kafka is not accepted{name}", hint="librdkafka's list of settings") from None


def partitions_of(connection: Any, topic: Topic, timeout_s: float) -> list[int]:
    """The partitions of a topic.

    Raises:
        StreamError: No broker answers, or there is no such topic.
    """
    import confluent_kafka

    try:
        found = connection.list_topics(topic.name, timeout=timeout_s).topics[topic.name]
    except confluent_kafka.KafkaException as error:
        fail(error.args[0], topic)
    if found.error is not None:
        fail(found.error, topic)
    if not found.partitions:
        raise _no_topic(topic)
    return sorted(found.partitions)


def is_passing(error: Any) -> bool:
    """True for an error that the client library gets over by itself once a broker answers again."""
    import confluent_kafka

    kind = confluent_kafka.KafkaError
    return not error.fatal() and (
        error.retriable()
        or error.code()
        in (kind._ALL_BROKERS_DOWN, kind._TRANSPORT, kind._RESOLVE, kind._TIMED_OUT, kind.NOT_LEADER_FOR_PARTITION,
            kind.LEADER_NOT_AVAILABLE, kind.REQUEST_TIMED_OUT, kind.COORDINATOR_NOT_AVAILABLE)
    )  # fmt: skip


def fail(error: Any, topic: Topic) -> NoReturn:
    """Raises the error of a Kafka client in our words."""
    import confluent_kafka

    kind = confluent_kafka.KafkaError
    if error.code() in (kind.UNKNOWN_TOPIC_OR_PART, kind._UNKNOWN_TOPIC, kind._UNKNOWN_PARTITION):
        raise _no_topic(topic)
    if error.code() in (kind._AUTHENTICATION, kind.SASL_AUTHENTICATION_FAILED):
        raise StreamError(f"the broker at {topic.servers} refuses the login", hint="user and password in --kafka=FILE")
    if error.code() in (kind.TOPIC_AUTHORIZATION_FAILED, kind.GROUP_AUTHORIZATION_FAILED,
                        kind.CLUSTER_AUTHORIZATION_FAILED):  # fmt: skip
        raise StreamError(f"the broker at {topic.servers} allows no access to {topic.name}", hint="rights of its user")
    if is_passing(error):
        raise StreamError(f"no broker answers at {topic.servers}", hint="its address, or the same command later")
    raise StreamError(f"Kafka at {topic.servers}: {error.name()}", hint="the log of the broker")


def _no_topic(topic: Topic) -> StreamError:
    return StreamError(
        f"there is no topic {topic.name} at {topic.servers}",
        hint="its name, or make it with the broker's tools; cloudlstm replay --partitions=4 makes one for its bars",
    )


Tell = Callable[[str], None]
"""Shows a line to the user."""
