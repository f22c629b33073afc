"""The log folded, against librdkafka's mock cluster: a real protocol on a real port."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema

from consumer import avro
from consumer.changes import Action
from consumer.history import Position
from consumer.intents import EVERYBODY, Folded, IdRange
from consumer.kafka.fold import fold_log
from consumer.kafka.reader import TopicReader
from consumer.kafka.registry import SchemaRegistry, new_client
from consumer.router import Route, Router
from tests.fakes.mock_cluster import MockCluster

pytestmark = pytest.mark.process

TOPIC = "changes"
OTHER = "more"
ROUTER = Router(
    [
        Route("vip", "AUDIENCE", "vip", "2006", enabled=True),
        Route("twin", "AUDIENCE", "vip", "2006", enabled=True),
        Route("churn", "AUDIENCE", "churn", "2006", enabled=True),
    ]
)


class World:
    """A cluster with two topics, and a reader of both."""

    def __init__(self, cluster: MockCluster, schema_id: int, reader: TopicReader) -> None:
        self.cluster = cluster
        self.reader = reader
        self._schema_id = schema_id
        self._producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0})

    def write(self, value: bytes | None, partition: int = 0, topic: str = TOPIC) -> None:
        """Append any bytes."""
        self._producer.produce(topic, value, partition=partition)
        assert self._producer.flush(20) == 0

    def tell(
        self, transition: str, contact: int, *, source: str = "vip", partition: int = 0, topic: str = TOPIC
    ) -> None:
        """Append a change, which occurred as many milliseconds after 1970 as its contact's number is."""
        change = {
            "source_type": "AUDIENCE",
            "source_id": source,
            "profile_id": str(contact),
            "transition": transition,
            "occurred_at": contact,
            "identifiers": {"2006": str(contact)},
        }
        self.write(avro.frame(self._schema_id, avro.encode(avro.CHANGE_SCHEMA, change)), partition, topic)

    def fold(self, most: int | None = None, **wanted: IdRange) -> Folded:
        """Fold all that is there."""
        extents = {topic: self.reader.extents(topic) for topic in (TOPIC, OTHER)}
        return fold_log(self.reader, extents, ROUTER, wanted, most=most)


@pytest.fixture
def world() -> Iterator[World]:
    """Yield a world."""
    client = new_client({"url": "mock://fold"})
    schema_id = client.register_schema("changes-value", Schema(avro.CHANGE_SCHEMA.text, "AVRO"))
    with MockCluster({TOPIC: 2, OTHER: 1}) as cluster, closing(SchemaRegistry(client)) as registry:
        properties: dict[str, str | float] = {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": "group",
            "fetch.wait.max.ms": 20,
        }
        with closing(TopicReader(properties, registry)) as reader:
            yield World(cluster, schema_id, reader)


def test_each_contact_has_its_newest_change(world: World) -> None:
    """Of each contact the last change in its log counts, with its place and its time, for every list of its source."""
    world.tell("ENTER", 7, partition=1)
    world.tell("ENTER", 8)
    world.tell("EXIT", 7, partition=1)
    world.tell("ENTER", 9, topic=OTHER)
    folded = world.fold(vip=EVERYBODY, twin=EVERYBODY)
    assert set(folded.intents) == {"vip", "twin"}
    for intents in folded.intents.values():
        assert {each: intents[each] for each in intents} == {
            7: (Action.REMOVE, Position(TOPIC, 1, 1), 7),
            8: (Action.ADD, Position(TOPIC, 0, 0), 8),
            9: (Action.ADD, Position(OTHER, 0, 0), 9),
        }


def test_only_what_is_asked_for_is_held(world: World) -> None:
    """Other connectors, and record ids outside of the range, take no memory; what cannot be read is counted."""
    for contact in range(1, 7):
        world.tell("ENTER", contact)
        world.tell("ENTER", contact, source="churn")
        world.tell("ENTER", contact, source="nobody's")
    world.write(b"no Avro")
    world.write(None)
    folded = world.fold(churn=IdRange(2, 5))
    assert {name: sorted(each) for name, each in folded.intents.items()} == {"churn": [3, 4, 5]}
    assert folded.ranges == {"churn": IdRange(2, 5)}
    assert folded.unreadable == 1


def test_a_log_that_is_too_large_is_folded_in_parts(world: World) -> None:
    """With fewer contacts at once than there are, the parts together are the whole, and none is larger than allowed."""
    for contact in range(1, 31):
        world.tell("ENTER", 1 + contact * 7 % 30, partition=contact % 2)
        world.tell("EXIT", 1 + contact * 11 % 30, source="churn")
    left = {"vip": EVERYBODY, "churn": IdRange(10)}
    found: dict[str, list[int]] = {"vip": [], "churn": []}
    parts = 0
    while left:
        folded = world.fold(most=8, **left)
        assert sum(map(len, folded.intents.values())) <= 8
        for name, intents in folded.intents.items():
            assert all(contact in folded.ranges[name] for contact in intents)
            found[name] += sorted(intents)
        reached = {name: each.up_to for name, each in folded.ranges.items()}
        left = {name: IdRange(reached[name], each.up_to) for name, each in left.items() if reached[name] < each.up_to}
        parts += 1
    assert found == {"vip": [*range(1, 31)], "churn": [*range(11, 31)]}
    assert parts > 1


def test_what_retention_has_taken(world: World) -> None:
    """Whether the log still begins at its beginning is told, for nobody knows who was in what is gone."""
    world.tell("ENTER", 7)
    world.tell("ENTER", 8)
    assert world.fold(vip=EVERYBODY).complete
    world.cluster.delete_records(TOPIC, 0, 1)
    folded = world.fold(vip=EVERYBODY)
    assert not folded.complete
    assert list(folded.intents["vip"]) == [8]


def test_too_little_room(world: World) -> None:
    """Room for less than two contacts is refused: nothing would ever be done."""
    with pytest.raises(ValueError, match="at least 2"):
        world.fold(most=1, vip=EVERYBODY)


def test_progress_counts_all_topics(world: World) -> None:
    """Whoever waits sees how much has been read of all topics together."""
    for contact in range(1, 4):
        world.tell("ENTER", contact)
        world.tell("ENTER", contact, topic=OTHER)
    told: list[tuple[int, int]] = []
    extents = {topic: world.reader.extents(topic) for topic in (TOPIC, OTHER)}
    fold_log(world.reader, extents, ROUTER, {"vip": EVERYBODY}, progress=lambda *each: told.append(each))
    assert told[0] == (0, 6)
    assert told[-1] == (6, 6)
    assert told == sorted(told)


def test_where_the_group_stands(world: World) -> None:
    """What the service's group has committed is told by partition; where it has not, that is told."""
    assert world.reader.committed(TOPIC) == {0: None, 1: None}
