"""Two brokers, over which the tests of the Kafka source and sink run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from localstack.kafka.broker import mock, tansu

from cloudlstm.stream.kafka_client import Topic
from cloudlstm.stream.publish import TopicPublisher

_NUMBER = itertools.count()


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker.

    Attributes:
        address: Its address.
        makes_topics: It has CreateTopics; the other one makes a topic when it is asked for it.
    """

    address: str
    makes_topics: bool

    def topic(self) -> Topic:
        """A topic of its own for a test, with four partitions."""
        topic = Topic(self.address, f"bars.{next(_NUMBER)}")
        TopicPublisher(topic, {}, 4 if self.makes_topics else 0)
        return topic


@pytest.fixture(scope="session")
def tansu_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with tansu(tmp_path_factory.mktemp("tansu")) as (address, _):
        yield Broker(address, makes_topics=True)


@pytest.fixture(scope="session")
def mock_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with mock(tmp_path_factory.mktemp("mock")) as address:
        yield Broker(address, makes_topics=False)


@pytest.fixture(params=["mock", "tansu"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(f"{request.param}_broker")
    return found
