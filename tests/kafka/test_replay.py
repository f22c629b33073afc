"""What a replay reads, on librdkafka's mock cluster: a real protocol on a real port."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from time import monotonic

import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka import TopicPartition as KafkaPartition

from consumer.changes import TopicPartition
from consumer.kafka.replay import ReplaySource
from tests.fakes.mock_cluster import MockCluster

pytestmark = pytest.mark.process

TOPIC = "changes"
FIRST, SECOND = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
PATIENCE = 20.0


class Heard:
    """Notes what the source tells."""

    def __init__(self) -> None:
        self.partitions: set[TopicPartition] = set()
        self.starts: dict[TopicPartition, tuple[int | None, int]] = {}
        self.ended: list[TopicPartition] = []
        self.acknowledged: dict[TopicPartition, int] = {}

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Note."""
        self.partitions.update(partitions)

    def started(self, partition: TopicPartition, committed: int | None, end: int) -> None:
        """Note."""
        self.starts[partition] = committed, end

    def end_reached(self, partition: TopicPartition) -> None:
        """Note."""
        self.ended.append(partition)

    def committed(self, offsets: Mapping[TopicPartition, int], errors: Mapping[TopicPartition, str]) -> None:
        """Note."""
        assert not errors
        self.acknowledged.update(offsets)

    def out_of_range(self, partition: TopicPartition, offset: int | None) -> None:
        """Never comes: a replay begins where the log does."""
        raise AssertionError(partition, offset)

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Never comes: a replay is in no group."""
        raise AssertionError(partitions)

    lost = revoked


class Bench:
    """A cluster, a source that begins at offset 1 of the first and 0 of the second partition, and what it told."""

    def __init__(self, cluster: MockCluster) -> None:
        self.properties: dict[str, str | int | float | bool] = {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": "service",
            "fetch.wait.max.ms": 20,
        }
        self._producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0})
        self.heard = Heard()
        self.messages: list[Message] = []

    def write(self, value: str, partition: int = 0) -> None:
        """Append a message."""
        self._producer.produce(TOPIC, value, partition=partition)
        assert self._producer.flush(PATIENCE) == 0

    def read_until(self, source: ReplaySource, done: Callable[[], bool]) -> None:
        """Poll until something is so."""
        deadline = monotonic() + PATIENCE
        while not done():
            assert monotonic() < deadline, "it does not come about"
            self.messages += source.poll(0.05)

    @property
    def values(self) -> list[str]:
        """What was read."""
        return [(each.value() or b"").decode() for each in self.messages]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Yield a bench."""
    with MockCluster({TOPIC: 2}) as cluster:
        yield Bench(cluster)


def test_it_reads_from_its_places_to_the_end_and_on(bench: Bench) -> None:
    """It begins at each partition's place, tells the ends, and a look waits for what was written before it."""
    for value in ("zero", "one", "two"):
        bench.write(value)
    with closing(ReplaySource(bench.properties, {FIRST: 1, SECOND: 0}, bench.heard)) as source:
        bench.read_until(source, lambda: set(bench.heard.ended) == {FIRST, SECOND})
        assert bench.values == ["one", "two"]
        assert bench.heard.starts == {FIRST: (1, 3), SECOND: (0, 0)}
        assert source.looked()
        assert source.read() == (2, 2)
        bench.write("three", partition=1)
        source.look()
        assert not source.looked()
        bench.read_until(source, source.looked)
        assert bench.values == ["one", "two", "three"]


def test_it_commits_nothing(bench: Bench) -> None:
    """A commit is acknowledged and goes nowhere: the group's offsets are the service's."""
    bench.write("zero")
    with closing(ReplaySource(bench.properties, {FIRST: 0}, bench.heard)) as source:
        bench.read_until(source, lambda: bench.values == ["zero"])
        source.commit({FIRST: 1})
        bench.read_until(source, lambda: bench.heard.acknowledged == {FIRST: 1})
    with closing(Consumer(bench.properties)) as group:
        (found,) = group.committed([KafkaPartition(*FIRST)], timeout=PATIENCE)
        assert found.offset < 0


def test_it_reads_nothing_while_paused(bench: Bench) -> None:
    """What is paused is read after it was resumed, and nothing is lost."""
    with closing(ReplaySource(bench.properties, {FIRST: 0}, bench.heard)) as source:
        bench.read_until(source, lambda: bench.heard.ended != [])
        source.pause([FIRST])
        bench.write("zero")
        source.look()
        for _ in range(10):
            bench.messages += source.poll(0.05)
        assert (bench.values, source.looked()) == ([], False)
        source.resume([FIRST])
        bench.read_until(source, source.looked)
        assert bench.values == ["zero"]
