"""Results and dead letters, read back from librdkafka's mock cluster with the registry's schemas."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from structlog.testing import capture_logs

from consumer.avro import DEAD_LETTER_SCHEMA, RESULT_SCHEMA, Schema, compile_writer, decode_record, split_wire
from consumer.changes import Action, Assignment, Change
from consumer.errors import KafkaFailed
from consumer.kafka.registry import SchemaRegistry, new_client
from consumer.kafka.sink import KafkaSink, Record
from consumer.outcomes import ContactOutcome, DeadLetter, Details, Outcome, RawEvent, RefusedContact, Result
from tests.fakes.mock_cluster import INIT_PRODUCER_ID, PRODUCE, MockCluster

pytestmark = pytest.mark.process

RESULTS = "hubspot.membership.results"
DEAD_LETTERS = "hubspot.membership.dead-letters"
SCHEMAS = {RESULTS: RESULT_SCHEMA, DEAD_LETTERS: DEAD_LETTER_SCHEMA}
ASSIGNMENT = Assignment("journey.membership", 3, 1)
SENT_AT = 1_780_000_000.25
MOST_TURNS = 1_500
FEW_TURNS = 20
TURN = 0.02


def result(request_id: str = "request-1", contacts: int = 1) -> Result:
    """Return the result of one request that added contacts 1, 2, 3, and so on."""
    outcomes = (
        ContactOutcome(number, Outcome.ADDED, Change(number, Action.ADD, ASSIGNMENT, 100 + number, 1_700, 1_800))
        for number in range(1, contacts + 1)
    )
    return Result("vip", "acme", 10, request_id, 200, "abc", SENT_AT, SENT_AT + 0.5, tuple(outcomes))


def refused(contacts: int = 1) -> DeadLetter:
    """Return the dead letter of one request that HubSpot refused."""
    changes = (
        RefusedContact(str(number), Action.REMOVE, Change(number, Action.REMOVE, ASSIGNMENT, number, 1_700, 0))
        for number in range(contacts)
    )
    details = Details(404, "OBJECT_NOT_FOUND", "The list does not exist.", "abc")
    return DeadLetter("LIST_NOT_FOUND", SENT_AT, details, "vip", "acme", 10, "request-1", tuple(changes))


def undecodable(value: bytes | None, key: bytes | None = b"profile", **headers: bytes | None) -> DeadLetter:
    """Return the dead letter of one event."""
    event = RawEvent("journey.membership", 3, 7, 1_700, key, value, tuple(headers.items()))
    return DeadLetter("UNDECODABLE", SENT_AT, Details(message="wrong magic byte"), event=event)


class Unsteady:
    """A registry in memory that may be away."""

    def __init__(self, client: SchemaRegistryClient) -> None:
        self._client = client
        self.away = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any of the client's methods
        if self.away:
            raise SchemaRegistryError(503, 50301, "away")
        return getattr(self._client, name)


class Written(NamedTuple):
    """A message as read back."""

    key: bytes | None
    record: dict[str, Any]
    size: int


class World:
    """A sink, and a reader of what it writes. `done` holds the records that are acknowledged, in that order."""

    def __init__(self, bootstrap: str, stack: ExitStack, **properties: str | float) -> None:
        self.client = new_client({"url": f"mock://{uuid.uuid4()}"})
        self.unsteady = Unsteady(self.client)
        registry = SchemaRegistry(self.unsteady)  # type: ignore[arg-type]  # it has all that a client has
        stack.callback(registry.close)
        settings = {"bootstrap.servers": bootstrap, "group.id": "group", "linger.ms": 0, **properties}
        self.sink = KafkaSink(settings, registry, RESULTS, DEAD_LETTERS)
        stack.callback(self.sink.close)
        self._reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "log_level": 0})
        stack.callback(self._reader.close)
        self._reader.assign([TopicPartition(topic, 0, 0) for topic in SCHEMAS])
        self._raw: list[Message] = []
        self.done: list[Record] = []

    def send(self, *records: Record) -> None:
        """Send records."""
        for record in records:
            self.sink.send(record, lambda sent=record: self.done.append(sent))  # type: ignore[misc]  # inference

    def turn(self, times: int = 1) -> None:
        """Let the sink work, and read."""
        for _ in range(times):
            self.sink.serve()
            message = self._reader.poll(TURN)
            if message is not None and message.error() is None:
                self._raw.append(message)

    def until(self, done: Callable[[], object]) -> None:
        """Turn until it is so."""
        for _ in range(MOST_TURNS):
            if done():
                return
            self.turn()
        raise AssertionError("it does not come about")

    def finish(self, messages: int) -> list[Written]:
        """Turn until all is acknowledged and so many messages can be read; give them."""
        self.until(lambda: self.sink.pending == 0 and len(self._raw) >= messages)
        assert self.sink.weight == 0
        return self.written

    @property
    def written(self) -> list[Written]:
        """What was read, decoded with the schema that the registry has for it."""
        return [self._decoded(each) for each in self._raw]

    def _decoded(self, message: Message) -> Written:
        value = message.value() or b""
        schema_id, body = split_wire(value)
        text = self.client.get_schema(schema_id).schema_str or ""
        reader: Schema = SCHEMAS[message.topic() or ""]
        return Written(message.key(), decode_record(body, compile_writer(text, reader=reader)), len(value))


class Broker:
    """A cluster, and the worlds that were made on it."""

    def __init__(self, cluster: MockCluster, stack: ExitStack) -> None:
        self.cluster = cluster
        self._stack = stack

    def world(self, **properties: str | float) -> World:
        """Make a world; it is closed at the end."""
        return World(self.cluster.bootstrap, self._stack, **properties)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Yield a broker with both topics."""
    with MockCluster(dict.fromkeys(SCHEMAS, 1)) as cluster, ExitStack() as stack:
        yield Broker(cluster, stack)


def test_a_result_arrives_as_its_schema_says(broker: Broker) -> None:
    """Every part of a result can be read by whoever asks the registry; its key is the list's."""
    world = broker.world()
    world.send(result(contacts=2))

    (written,) = world.finish(1)

    assert written.key == b"acme/10"
    assert written.record == {
        "connector": "vip",
        "account": "acme",
        "list_id": 10,
        "request_id": "request-1",
        "status": 200,
        "correlation_id": "abc",
        "sent_at": 1_780_000_000_250,
        "answered_at": 1_780_000_000_750,
        "contacts": [
            {
                "record_id": number,
                "outcome": "ADDED",
                "action": "ADD",
                "topic": "journey.membership",
                "partition": 3,
                "offset": 100 + number,
                "occurred_at": 1_700,
            }
            for number in (1, 2)
        ],
    }


def test_a_dead_letter_arrives_as_its_schema_says(broker: Broker) -> None:
    """A refused change bears the reason, HubSpot's words, the contact and the change; its key is the list's."""
    world = broker.world()
    world.send(refused())

    (written,) = world.finish(1)

    assert written.key == b"acme/10"
    assert written.record == {
        "reason": "LIST_NOT_FOUND",
        "connector": "vip",
        "account": "acme",
        "list_id": 10,
        "request_id": "request-1",
        "status": 404,
        "category": "OBJECT_NOT_FOUND",
        "message": "The list does not exist.",
        "correlation_id": "abc",
        "recorded_at": 1_780_000_000_250,
        "contacts": [
            {
                "record_id": "0",
                "action": "REMOVE",
                "topic": "journey.membership",
                "partition": 3,
                "offset": 0,
                "occurred_at": 1_700,
            }
        ],
        "event": None,
    }


@pytest.mark.parametrize(
    ("value", "key", "headers"),
    [(b"\x01\x00poison", b"profile", {"origin": b"\xff", "empty": None}), (b"", None, {}), (None, b"", {})],
    ids=["poison", "empty", "tombstone"],
)
def test_an_undecodable_event_is_kept_whole(
    broker: Broker, value: bytes | None, key: bytes | None, headers: dict[str, bytes | None]
) -> None:
    """The raw key, value and headers are in the dead letter byte by byte, and where they came from."""
    world = broker.world()
    world.send(undecodable(value, key, **headers))

    (written,) = world.finish(1)

    assert written.key == key
    assert written.record["account"] is None
    assert written.record["event"] == {
        "topic": "journey.membership",
        "partition": 3,
        "offset": 7,
        "timestamp": 1_700,
        "key": key,
        "value": value,
        "headers": [{"name": name, "value": content} for name, content in headers.items()],
        "value_length": len(value or b""),
        "value_sha256": None if value is None else hashlib.sha256(value).hexdigest(),
        "truncated": False,
    }


def test_done_means_acknowledged(broker: Broker) -> None:
    """A record is pending from the start, and done once, when Kafka has it and not before."""
    world = broker.world()
    first, second = result("first"), refused()
    world.send(first, second)
    assert (world.sink.pending, world.done) == (2, [])
    assert world.sink.weight > 2

    world.finish(2)
    world.turn(FEW_TURNS)

    assert sorted(map(id, world.done)) == sorted(map(id, (first, second)))


def test_records_wait_in_order_for_the_registry(broker: Broker) -> None:
    """While the schemas cannot be registered nothing is written; then everything is, in order."""
    world = broker.world()
    world.unsteady.away = True
    with capture_logs() as logs:
        world.send(*(result(f"request-{number}") for number in range(5)))
        world.until(lambda: logs)
        world.turn(FEW_TURNS)
    assert (world.written, world.done, world.sink.pending) == ([], [], 5)
    assert "503" in logs[0]["problem"]

    world.unsteady.away = False
    written = world.finish(5)

    assert [each.record["request_id"] for each in written] == [f"request-{number}" for number in range(5)]


@pytest.mark.parametrize("record", [result(contacts=1000), refused(contacts=1000)], ids=["result", "dead letter"])
def test_a_record_too_large_is_split_between_its_contacts(broker: Broker, record: Record) -> None:
    """What passes message.max.bytes becomes several messages that fit, with every contact once, and is done once."""
    world = broker.world(**{"message.max.bytes": 10_000})
    others = [result("before"), result("after")]
    world.send(others[0], record, others[1])
    world.until(lambda: world.sink.pending == 0)
    world.until(lambda: sum(len(each.record["contacts"]) for each in world.written) >= 1002)

    parts = [each for each in world.written if each.record["request_id"] == "request-1"]
    assert len(parts) > 1
    assert all(each.size < 10_000 and each.key == b"acme/10" for each in parts)
    told = [contact["record_id"] for each in parts for contact in each.record["contacts"]]
    assert told == [contact[0] for contact in record.contacts]
    assert sorted(map(id, world.done)) == sorted(map(id, [record, *others]))


def test_a_record_too_large_for_the_broker_is_split(broker: Broker) -> None:
    """The broker's own limit may be lower than ours: its refusal splits as well."""
    broker.cluster.fail(PRODUCE, KafkaError.MSG_SIZE_TOO_LARGE)
    world = broker.world()
    record = result(contacts=4)
    world.send(record)

    written = world.finish(2)

    assert [[each["record_id"] for each in part.record["contacts"]] for part in written] == [[1, 2], [3, 4]]
    assert world.done == [record]


def test_a_split_record_is_done_with_its_last_part(broker: Broker) -> None:
    """While one part of a record is not acknowledged, the record is not done, whatever became of the others."""
    codes = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.NO_ERROR, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    broker.cluster.fail(PRODUCE, *codes)
    world = broker.world(**{"batch.num.messages": 1})
    record = result(contacts=2)
    world.send(record)
    with capture_logs() as logs:
        world.until(lambda: logs and world.written)
    assert (len(world.written), world.sink.pending, world.done) == (1, 1, [])

    assert len(world.finish(2)) == 2
    assert world.done == [record]


def test_an_event_too_large_is_cut_down(broker: Broker) -> None:
    """Of a raw event that does not fit, the beginnings are kept, with the hash and the length of the whole value."""
    world = broker.world(**{"message.max.bytes": 20_000})
    value = bytes(range(256)) * 400
    record = undecodable(value, key=b"k" * 50_000, origin=b"h" * 50_000)
    world.send(record)

    (written,) = world.finish(1)

    event = written.record["event"]
    assert event["truncated"]
    assert event["value_length"] == len(value)
    assert event["value_sha256"] == hashlib.sha256(value).hexdigest()
    assert value.startswith(event["value"])
    assert len(event["value"]) > 1_000
    assert event["key"] == b"k" * len(event["value"])
    assert event["headers"] == [{"name": "origin", "value": b"h" * len(event["value"])}]
    assert written.size < 20_000
    assert world.done == [record]


def test_an_event_of_nothing_but_headers_is_cut_down(broker: Broker) -> None:
    """Any number of headers fits in the end."""
    world = broker.world(**{"message.max.bytes": 10_000})
    world.send(undecodable(b"", **{f"name-{number}": b"h" * 100 for number in range(1_000)}))

    (written,) = world.finish(1)

    assert written.record["event"]["truncated"]
    assert len(written.record["event"]["headers"]) == 100


def test_what_cannot_be_made_smaller_ends_the_service(broker: Broker) -> None:
    """A single contact that does not fit is no reason to drop it: the message says what to raise."""
    broker.cluster.fail(PRODUCE, KafkaError.MSG_SIZE_TOO_LARGE)
    world = broker.world()
    world.send(result())

    with pytest.raises(KafkaFailed, match=r"raise its message\.max\.bytes"):
        world.finish(1)
    assert world.done == []


def test_what_was_not_taken_is_sent_again(broker: Broker) -> None:
    """A delivery that failed is said in the log and repeated until it is acknowledged; others are not held up."""
    broker.cluster.fail(PRODUCE, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    world = broker.world()
    record = result()
    with capture_logs() as logs:
        world.send(record)
        world.until(lambda: logs)
        assert world.done == []
        world.send(refused())
        world.finish(2)

    assert {each["error"] for each in logs} == {"TOPIC_AUTHORIZATION_FAILED"}
    assert record in world.done
    assert len(world.done) == 2


def test_a_passing_refusal_is_the_clients_own_affair(broker: Broker) -> None:
    """While a partition has no leader the client repeats by itself, and nobody hears of it."""
    broker.cluster.fail(PRODUCE, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_ENOUGH_REPLICAS)
    world = broker.world()
    with capture_logs() as logs:
        world.send(result())
        assert len(world.finish(1)) == 1

    assert logs == []


def test_records_wait_for_room_in_order(broker: Broker) -> None:
    """When the client's own queue is full, the rest waits and nothing is lost."""
    world = broker.world(**{"queue.buffering.max.messages": 2})
    world.send(*(result(f"request-{number}") for number in range(50)))

    written = world.finish(50)

    assert [each.record["request_id"] for each in written] == [f"request-{number}" for number in range(50)]
    assert len(world.done) == 50


def test_what_only_a_new_process_can_mend_ends_this_one(broker: Broker) -> None:
    """A producer that the broker refuses for good gives up, says why, and calls nothing done."""
    broker.cluster.fail(INIT_PRODUCER_ID, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    world = broker.world()
    world.send(result())

    with pytest.raises(KafkaFailed, match="the producer cannot go on"):
        world.finish(1)
    world.sink.close()

    assert world.done == []


def test_closing_calls_nothing_done_that_is_not() -> None:
    """At the end, what no broker has acknowledged is left: it is made again from the log."""
    with ExitStack() as stack:
        world = World("127.0.0.1:9", stack)
        world.send(result(), refused())
        world.turn(FEW_TURNS)
        with capture_logs() as logs:
            world.sink.close()

    assert (world.done, world.sink.pending) == ([], 2)
    assert not [each for each in logs if each["event"].startswith("record not written")]
