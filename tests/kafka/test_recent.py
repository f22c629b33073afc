"""The newest events: from topics in memory, and against librdkafka's mock cluster: a real protocol on a real port."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import count

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema

from consumer import avro
from consumer.changes import TopicPartition
from consumer.kafka.reader import ReadFailed, TopicReader
from consumer.kafka.recent import LOOK_BACK, MOST, WITHIN, RecentEvents
from consumer.kafka.registry import SchemaRegistry, new_client
from consumer.sightings import LastRequest
from tests.fakes.kafka import TOPIC, MemoryBroker
from tests.fakes.mock_cluster import MockCluster
from tests.fakes.topics import MemoryReader

NEW = "changes.new"
SLOT = "2006"


def change(source: str, contact: str, transition: str = "ENTER") -> bytes:
    """Give a change of an audience, as an Avro body."""
    return avro.encode(
        avro.CHANGE_SCHEMA,
        {
            "source_type": "AUDIENCE",
            "source_id": source,
            "profile_id": contact,
            "transition": transition,
            "identifiers": {SLOT: contact},
        },
    )


class Memory:
    """One topic in memory, of two partitions. Messages are a second apart."""

    def __init__(self) -> None:
        self.broker = MemoryBroker(partitions=2)
        self.reader = MemoryReader(self.broker, {})
        self._seconds = count(1)

    def tell(self, source: str, *contacts: int, partition: int = 0, transition: str = "ENTER") -> None:
        """Append changes."""
        for contact in contacts:
            self.write(avro.frame(1, change(source, str(contact), transition)), partition)

    def write(self, value: bytes | None, partition: int = 0) -> None:
        """Append a message."""
        self.broker.append("key", value, partition, next(self._seconds))

    def recent(
        self, most: int = MOST, look_back: int = LOOK_BACK, clock: Callable[[], float] = lambda: 0.0
    ) -> RecentEvents:
        """Give what is tested."""
        return RecentEvents(self.reader, [TOPIC], most=most, look_back=look_back, clock=clock)


@pytest.fixture
def memory() -> Memory:
    """Give a topic in memory."""
    return Memory()


def test_of_each_partition_the_end_is_looked_at(memory: Memory) -> None:
    """A busy partition gets what a quiet one leaves, and of each it is the newest events that are seen."""
    memory.tell("quiet", 1, 2, partition=1)
    for number in range(20):
        memory.tell(f"old {number}", 1)
    memory.tell("vip", *range(8))
    looked = memory.recent(most=10).sources()
    assert {each.source_id: each.events for each in looked.found.sources} == {"vip": 8, "quiet": 2}
    assert (looked.events, looked.found.events, looked.found.oldest) == (10, 10, 1.0)


def test_what_tells_nothing_is_counted(memory: Memory) -> None:
    """Bytes that cannot be read are counted apart from events; a tombstone is neither."""
    memory.write(b"\x07nonsense")
    memory.write(None)
    memory.tell("vip", 7)
    sources, request = memory.recent().sources(), memory.recent().last_request("AUDIENCE", "vip", SLOT, 10)
    assert (sources.events, sources.unreadable) == (request.events, request.unreadable) == (1, 1)
    assert request.found == LastRequest((7,), (), events=1, without=0, invalid=0)


def test_the_request_is_of_the_newest_events(memory: Memory) -> None:
    """What was written last decides, whichever partition is read first."""
    memory.tell("vip", 1, 2, 3, partition=1)
    memory.tell("churn", 9)
    memory.tell("vip", 4, 5)
    memory.tell("vip", 3, partition=1, transition="EXIT")
    assert memory.recent().last_request("AUDIENCE", "vip", SLOT, 3).found == LastRequest((4, 5), (3,), 4, 0, 0)
    assert memory.recent().last_request("AUDIENCE", "vip", SLOT, 9).found == LastRequest((1, 2, 4, 5), (3,), 6, 0, 0)


def test_a_source_that_was_typed_in_is_looked_for_further_back(memory: Memory) -> None:
    """A source that the newest events do not tell of is found where it is, and its last events decide."""
    memory.tell("typed in", *range(100, 150), partition=1)
    memory.tell("vip", *range(60))
    memory.tell("vip", *range(60), partition=1)
    looked = memory.recent(most=4).last_request("AUDIENCE", "typed in", SLOT, 2)
    assert looked.found == LastRequest((148, 149), (), 2, 0, 0)
    assert looked.events == len(memory.broker.log[TopicPartition(TOPIC, 0)]) + 110, "no event was looked at twice"
    assert memory.recent(most=4).last_request("AUDIENCE", "vip", SLOT, 2).events == 4, "what is found ends the search"


def test_the_look_back_has_an_end(memory: Memory) -> None:
    """No more than so many events are looked at for a source; then it is told among how many it was not."""
    memory.tell("typed in", 1)
    memory.tell("vip", *range(30))
    looked = memory.recent(most=2, look_back=30).last_request("AUDIENCE", "typed in", SLOT, 2)
    assert (looked.found, looked.events) == (LastRequest((), (), 0, 0, 0), 30)
    assert memory.recent(most=2, look_back=31).last_request("AUDIENCE", "typed in", SLOT, 2).found.adds == (1,)


def test_a_search_without_time_is_given_up(memory: Memory) -> None:
    """What was read in part says nothing of the last events: it counts as not looked at."""
    memory.tell("typed in", 1)
    memory.tell("vip", *range(30))
    looks = count()

    def clock() -> float:
        return 0.0 if next(looks) < 15 else WITHIN + 1

    looked = memory.recent(most=5, clock=clock).last_request("AUDIENCE", "typed in", SLOT, 2)
    assert (looked.found.events, looked.events) == (0, 5)


def test_kafka_that_is_too_slow_is_told(memory: Memory) -> None:
    """Where there was no time even for the newest events, there is no answer, and it says what to do."""
    memory.tell("vip", 1, 2, 3)
    said = r"newest events of journey.membership could not be read within 20 s.*Try"
    with pytest.raises(ReadFailed, match=said):
        memory.recent(clock=partial(next, iter([0.0, 1.0, WITHIN + 1]))).sources()
    with pytest.raises(ReadFailed, match=said):
        memory.recent(clock=partial(next, iter([0.0, WITHIN + 1]))).last_request("AUDIENCE", "vip", SLOT, 2)


def test_topics_without_events(memory: Memory) -> None:
    """From empty topics there is nothing to tell, and nothing fails."""
    sources, request = memory.recent().sources(), memory.recent().last_request("AUDIENCE", "vip", SLOT, 2)
    assert (sources.found.sources, sources.found.oldest, sources.events) == ((), None, 0)
    assert (request.found.events, request.events) == (0, 0)


class World:
    """A cluster with two topics, the first of three partitions, and a reader of both. Messages are a second apart."""

    def __init__(self, cluster: MockCluster, schema_id: int, reader: TopicReader) -> None:
        self.cluster = cluster
        self.reader = reader
        self._schema_id = schema_id
        self._producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0, "log_level": 2})
        self._seconds = count(1_780_000_000)

    def tell(self, source: str, *contacts: int, partition: int = 0, topic: str = TOPIC) -> None:
        """Append changes."""
        for contact in contacts:
            value = avro.frame(self._schema_id, change(source, str(contact)))
            self._producer.produce(topic, value, partition=partition, timestamp=1000 * next(self._seconds))
        assert self._producer.flush(20) == 0

    def recent(self, topics: Sequence[str] = (TOPIC, NEW), most: int = MOST) -> RecentEvents:
        """Give what is tested."""
        return RecentEvents(self.reader, topics, most=most)


@pytest.fixture
def world() -> Iterator[World]:
    """Yield a world."""
    client = new_client({"url": "mock://recent"})
    schema_id = client.register_schema("changes-value", Schema(avro.CHANGE_SCHEMA.text, "AVRO"))
    with MockCluster({TOPIC: 3, NEW: 1}) as cluster, closing(SchemaRegistry(client)) as registry:
        properties = {"bootstrap.servers": cluster.bootstrap, "group.id": "group"}
        with closing(TopicReader(properties, registry)) as reader:
            yield World(cluster, schema_id, reader)


@pytest.mark.process
def test_all_topics_and_partitions_are_looked_at(world: World) -> None:
    """The newest events of every partition of every topic are seen, and made into a request."""
    world.tell("old", 1, 2, 3)
    world.tell("vip", 4, 5)
    world.tell("vip", 6, partition=2)
    world.tell("vip", 7, 8, topic=NEW)
    looked = world.recent(most=7).sources()
    assert {each.source_id: each.events for each in looked.found.sources} == {"vip": 5, "old": 2}
    request = world.recent().last_request("AUDIENCE", "vip", SLOT, 3)
    assert (request.found.adds, request.found.events, request.events) == ((6, 7, 8), 3, 8)
    assert world.recent(most=1).last_request("AUDIENCE", "old", SLOT, 2).found.adds == (2, 3)


@pytest.mark.process
def test_what_retention_took_is_not_missed(world: World) -> None:
    """Where the log begins late, or is gone, what is left is looked at."""
    world.tell("vip", 1, 2, 3)
    world.tell("vip", 4, partition=1)
    world.cluster.delete_records(TOPIC, 0, before=2)
    world.cluster.delete_records(TOPIC, 1, before=1)
    assert world.recent().last_request("AUDIENCE", "vip", SLOT, 9).found == LastRequest((3,), (), 1, 0, 0)


@pytest.mark.process
def test_a_topic_that_is_not_there(world: World) -> None:
    """A wrong name is told as such."""
    with pytest.raises(ReadFailed, match="topic nowhere is not there: check its name under topics"):
        world.recent([TOPIC, "nowhere"]).sources()


@pytest.mark.process
def test_a_broker_that_is_away() -> None:
    """Nobody waits for long: the error names the address and what the network says."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
    properties: dict[str, str | float] = {"bootstrap.servers": address, "group.id": "group", "log_level": 2}
    with (
        closing(SchemaRegistry(new_client({"url": "mock://away"}))) as registry,
        closing(TopicReader(properties, registry, patience=0.5)) as reader,
        pytest.raises(ReadFailed, match=rf"cannot be read from Kafka at {address}: .*Connection refused.*Check boot"),
    ):
        RecentEvents(reader, [TOPIC]).sources()


@pytest.mark.process
def test_a_registry_that_is_away(world: World) -> None:
    """Without the schemas there is no answer, which must not look like one without sources."""
    world.tell("vip", 1)
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    properties = {"bootstrap.servers": world.cluster.bootstrap, "group.id": "group"}
    with (
        closing(SchemaRegistry(new_client({"url": url}))) as registry,
        closing(TopicReader(properties, registry)) as reader,
        pytest.raises(ReadFailed, match="cannot be had from the registry: ConnectError: Connection refused"),
    ):
        RecentEvents(reader, [TOPIC]).sources()
