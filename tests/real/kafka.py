"""What a test does with the broker: topics, events, offsets, and what the service wrote."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported, but not by __all__
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

CHANGE = (Path(__file__).parents[2] / "schemas" / "membership_change.avsc").read_text()

_ANSWER_WITHIN = 20.0
_END = KafkaError._PARTITION_EOF


class Event(NamedTuple):
    """One membership change: a contact entered or left a source."""

    contact: int | str
    transition: str = "ENTER"
    source_id: str = "vip"


class Kafka:
    """Clients of one broker and of one registry, apart from the service's own code."""

    def __init__(self, bootstrap: str, registry: SchemaRegistryClient) -> None:
        self._properties: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap, "log_level": 2}
        self._registry = registry
        self._admin = AdminClient(self._properties)
        self._producer = Producer({**self._properties, "linger.ms": 0})
        self._groups: dict[str, Consumer] = {}
        self._serializers: dict[str, AvroSerializer] = {}
        self._deserializer = AvroDeserializer(registry)

    def close(self) -> None:
        """Hang up."""
        for each in self._groups.values():
            each.close()
        self._registry.close()

    def create(self, topic: str, partitions: int = 1, **config: str | int) -> None:
        """Make a topic; `config` with underscores for points."""
        settings = {name.replace("_", "."): str(value) for name, value in config.items()}
        new = NewTopic(topic, partitions, 1, config=settings)
        self._admin.create_topics([new])[topic].result(_ANSWER_WITHIN)

    def configure(self, topic: str, name: str, value: str | int) -> None:
        """Change one setting of a topic."""
        entry = ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        self._admin.incremental_alter_configs([resource])[resource].result(_ANSWER_WITHIN)

    def allow(self, topic: str, user: str, *operations: AclOperation) -> None:
        """Let a user do these with a topic, and nothing else."""
        where = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL)
        allow = AclPermissionType.ALLOW
        bindings = [AclBinding(*where, f"User:{user}", "*", each, allow) for each in operations]
        for made in self._admin.create_acls(bindings).values():
            made.result(_ANSWER_WITHIN)

    def delete_records(self, topic: str, before: int, partition: int = 0) -> None:
        """Let the partition begin at `before`."""
        which = TopicPartition(topic, partition, before)
        self._admin.delete_records([which])[which].result(_ANSWER_WITHIN)

    def committed(self, group: str, topic: str, partition: int = 0) -> int:
        """Give how far a partition is committed, 0 if it is not."""
        # Of a consumer, for an AdminClient that is answered NOT_COORDINATOR crashes.
        if group not in self._groups:
            self._groups[group] = Consumer({**self._properties, "group.id": group})
        (found,) = self._groups[group].committed([TopicPartition(topic, partition)], timeout=_ANSWER_WITHIN)
        return max(0, found.offset)

    def end(self, topic: str, partition: int = 0) -> int:
        """Give the offset of the next message."""
        which = TopicPartition(topic, partition)
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client leaves it untyped
        return int(self._admin.list_offsets({which: latest})[which].result(_ANSWER_WITHIN).offset)

    def commit(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        """Set a group's offset, as `kafka-consumer-groups --reset-offsets` does; the group must be empty."""
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition, offset)])
        self._admin.alter_consumer_group_offsets([wanted])[group].result(_ANSWER_WITHIN)

    def members(self, group: str) -> dict[str, set[int]]:
        """Give the members of a group and the partitions that each has."""
        described = self._admin.describe_consumer_groups([group])[group].result(_ANSWER_WITHIN)
        return {
            each.member_id: {partition.partition for partition in each.assignment.topic_partitions}
            for each in described.members
        }

    def tell(self, topic: str, *events: Event, partition: int = 0) -> None:
        """Append events as a platform would whose schema is ours."""
        for event in events:
            self.send(topic, self.encode(topic, record(event)), str(event.contact), partition)
        self.flush()

    def encode(self, topic: str, value: Mapping[str, Any], schema: str = CHANGE) -> bytes:
        """Make a value as Confluent's serializer does; the schema is registered."""
        if schema not in self._serializers:
            self._serializers[schema] = AvroSerializer(self._registry, schema)
        encoded = self._serializers[schema](dict(value), SerializationContext(topic, MessageField.VALUE))
        assert encoded is not None
        return encoded

    def send(self, topic: str, value: bytes | None, key: str, partition: int = 0) -> None:
        """Append one message; `flush` waits for it."""
        self._producer.produce(topic, value, key, partition=partition, on_delivery=_raise)

    def flush(self) -> None:
        """Wait until all is written."""
        assert self._producer.flush(_ANSWER_WITHIN) == 0

    def read(self, topic: str) -> list[dict[str, Any]]:
        """Give all that a topic holds, decoded."""
        return [self.decode(topic, value) for value in self._values(topic)]

    def decode(self, topic: str, value: bytes) -> dict[str, Any]:
        """Read a value as Confluent's deserializer does."""
        decoded = self._deserializer(value, SerializationContext(topic, MessageField.VALUE))
        assert isinstance(decoded, dict)
        return decoded

    def _values(self, topic: str) -> list[bytes]:
        consumer = Consumer({**self._properties, "group.id": "reader", "enable.partition.eof": True})
        numbers = list(consumer.list_topics(topic, _ANSWER_WITHIN).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
        values: list[bytes] = []
        ended = 0
        while ended < len(numbers):
            message = consumer.poll(_ANSWER_WITHIN)
            assert message is not None, f"{topic} cannot be read"
            error = message.error()
            if error is None:
                values.append(message.value() or b"")
            else:
                assert error.code() == _END, error.str()
                ended += 1
        consumer.close()
        return values


def record(event: Event) -> dict[str, Any]:
    """Give the fields of an event."""
    return {
        "event_id": "00000000-0000-0000-0000-000000000000",
        "source_type": "AUDIENCE",
        "source_id": event.source_id,
        "profile_id": str(event.contact),
        "transition": event.transition,
        "occurred_at": 1_780_000_000_000,
        "identifiers": {"2006": str(event.contact)},
    }


def schema(**changes: Any) -> str:  # noqa: ANN401 - fields of an event
    """Give the change schema's text with some of its properties replaced."""
    return json.dumps({**json.loads(CHANGE), **changes})


def _raise(error: KafkaError | None, _: object) -> None:
    assert error is None, error
