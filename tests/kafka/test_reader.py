"""A topic from end to end, against librdkafka's mock cluster: a real protocol on a real port.

The mock cluster answers no question for a time, so where `since` begins is tested against a real broker.
"""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from consumer import avro
from consumer.kafka.reader import CHANGES, RESULTS, Extent, Progress, ReadFailed, TopicReader
from consumer.kafka.registry import SchemaRegistry, new_client
from tests.fakes.mock_cluster import MockCluster

pytestmark = pytest.mark.process

TOPIC = "changes"
EMPTY = "empty"
PARTITIONS = 3


class World:
    """A cluster with two topics, a registry in memory, and a reader of both."""

    def __init__(self, cluster: MockCluster, client: SchemaRegistryClient, reader: TopicReader) -> None:
        self.cluster = cluster
        self.reader = reader
        self.registry = client
        self.schema_id = client.register_schema("changes-value", Schema(avro.CHANGE_SCHEMA.text, "AVRO"))
        self._producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0})

    def write(self, value: bytes | None, partition: int = 0) -> None:
        """Append a message."""
        self._producer.produce(TOPIC, value, partition=partition)
        assert self._producer.flush(20) == 0

    def tell(self, profile: str, partition: int = 0) -> None:
        """Append a change of a profile."""
        self.write(avro.frame(self.schema_id, avro.encode(avro.CHANGE_SCHEMA, change(profile))), partition)

    def profiles(self, progress: Progress | None = None) -> list[str | None]:
        """Read the topic: whose change each message is, None for what cannot be read."""
        entries = self.reader.read(TOPIC, CHANGES, progress=progress)
        return [None if each.record is None else each.record.profile_id for each in entries]


def change(profile: str) -> dict[str, object]:
    """Give a change of a profile."""
    return {"source_type": "AUDIENCE", "source_id": "vip", "profile_id": profile, "transition": "ENTER"}


@pytest.fixture
def world() -> Iterator[World]:
    """Yield a world."""
    client = new_client({"url": "mock://reader"})
    with MockCluster({TOPIC: PARTITIONS, EMPTY: 1}) as cluster, closing(SchemaRegistry(client)) as registry:
        properties: dict[str, str | float] = {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": "group",
            "fetch.wait.max.ms": 20,
        }
        with closing(TopicReader(properties, registry)) as reader:
            yield World(cluster, client, reader)


def test_all_is_read_a_partition_after_the_other(world: World) -> None:
    """Every message is given decoded, in the order of its partition's log."""
    for number in range(5):
        world.tell(f"b{number}", 2)
        world.tell(f"a{number}", 0)
    assert world.profiles() == ["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2", "b3", "b4"]
    assert world.profiles() == world.profiles(), "nothing was committed"


def test_reading_ends_where_the_topic_ended_when_it_began(world: World) -> None:
    """What is written meanwhile is left for the next time, so that reading ends."""
    world.tell("first")
    world.tell("second")

    def write_more(done: int, _total: int) -> None:
        if done == 0:
            world.tell("later")
            world.tell("elsewhere", 1)

    assert world.profiles(write_more) == ["first", "second"]
    assert world.profiles() == ["first", "second", "later", "elsewhere"]


def test_a_topic_without_messages(world: World) -> None:
    """Nothing is read from an empty topic, and progress says so."""
    told: list[tuple[int, int]] = []
    assert list(world.reader.read(EMPTY, CHANGES, progress=lambda *each: told.append(each))) == []
    assert told == [(0, 0), (0, 0)]


def test_progress_counts_up_to_the_end(world: World) -> None:
    """Whoever waits sees how much has been read of how much there is."""
    for number in range(3):
        world.tell(f"a{number}", 0)
        world.tell(f"b{number}", 1)
    told: list[tuple[int, int]] = []
    world.profiles(progress=lambda *each: told.append(each))
    assert told[0] == (0, 6)
    assert told[-1] == (6, 6)
    assert told == sorted(told)
    assert (3, 6) in told


def test_what_cannot_be_read_comes_with_its_problem(world: World) -> None:
    """Neither a tombstone nor bytes of any kind stop the reading, and each says what it is."""
    world.write(None)
    world.write(b"\x07nonsense")
    world.write(avro.frame(999, b"body"))
    other = world.registry.register_schema("other", Schema('{"type": "record", "name": "O", "fields": []}', "AVRO"))
    world.write(avro.frame(other, b""))
    world.tell("ana")
    entries = list(world.reader.read(TOPIC, CHANGES))
    assert [each.message.offset() for each in entries] == [0, 1, 2, 3, 4]
    assert (entries[0].record, entries[0].problem) == (None, None)
    assert "begins with byte 7" in (entries[1].problem or "")
    assert entries[2].problem == "the registry does not know schema 999"
    assert "lacks source_type" in (entries[3].problem or "")
    assert entries[4].record is not None


def test_a_schema_is_made_ready_once_for_each_way_of_reading(world: World) -> None:
    """A writer's schema that serves one form of record is not taken to serve another."""
    world.tell("ana")
    assert [each.problem for each in world.reader.read(TOPIC, CHANGES)] == [None]
    [entry] = world.reader.read(TOPIC, RESULTS)
    assert "lacks connector" in (entry.problem or "")


def test_what_retention_took_is_not_there(world: World) -> None:
    """Reading begins with the oldest message that is left, and the extents say that some are gone."""
    for number in range(5):
        world.tell(str(number))
    world.cluster.delete_records(TOPIC, 0, before=3)
    assert world.reader.extents(TOPIC) == [Extent(0, 3, 5), Extent(1, 0, 0), Extent(2, 0, 0)]
    assert world.profiles() == ["3", "4"]


def test_one_message_by_its_place(world: World) -> None:
    """A message is found by partition and offset; one that is not there, or no longer, is None."""
    for number in range(5):
        world.tell(str(number), 1)
    world.cluster.delete_records(TOPIC, 1, before=2)
    found = world.reader.read_one(TOPIC, 1, 3, CHANGES)
    assert found is not None
    assert found.record is not None
    assert (found.message.offset(), found.record.profile_id) == (3, "3")
    assert [world.reader.read_one(TOPIC, *place, CHANGES) for place in ((1, 1), (1, 5), (1, 9), (0, 0), (9, 0))] == [
        None
    ] * 5


def test_a_reader_may_be_left_in_the_middle(world: World) -> None:
    """Whoever has seen enough stops, and the next look begins anew."""
    for number in range(3):
        world.tell(str(number))
    entries = world.reader.read(TOPIC, CHANGES)
    next(entries)
    entries.close()
    assert world.profiles() == ["0", "1", "2"]


def test_a_topic_that_is_not_there(world: World) -> None:
    """A wrong name is told as such, and no topic comes into being by asking."""
    with pytest.raises(ReadFailed, match="topic nowhere is not there: check its name under topics"):
        list(world.reader.read("nowhere", CHANGES))
    assert "nowhere" not in Producer({"bootstrap.servers": world.cluster.bootstrap}).list_topics(timeout=20).topics


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
        list(reader.read(TOPIC, CHANGES))


def test_a_registry_that_is_away(world: World) -> None:
    """Without the schemas there is no answer, which must not look like an empty one."""
    world.tell("ana")
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    properties = {"bootstrap.servers": world.cluster.bootstrap, "group.id": "group"}
    with (
        closing(SchemaRegistry(new_client({"url": url}))) as registry,
        closing(TopicReader(properties, registry)) as reader,
        pytest.raises(ReadFailed, match="cannot be had from the registry: ConnectError: Connection refused"),
    ):
        list(reader.read(TOPIC, CHANGES))


def test_properties_that_kafka_does_not_know() -> None:
    """A misspelt property is told by its name."""
    with (
        closing(SchemaRegistry(new_client({"url": "mock://wrong"}))) as registry,
        pytest.raises(ReadFailed, match=r"properties under kafka are of no use: .*nonsense"),
    ):
        TopicReader({"bootstrap.servers": "127.0.0.1:1", "group.id": "group", "nonsense": 1}, registry)
