"""A topic, read from its beginning or from a time up to where it ends now: for questions, beside the running service.

Partitions are assigned, so the reader joins no group, and it commits nothing. They are read one after the other, each
in the order of its log; no more is held in memory than librdkafka fetches ahead.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from consumer.avro import (
    CHANGE_SCHEMA,
    DEAD_LETTER_SCHEMA,
    RESULT_SCHEMA,
    IncompatibleSchema,
    MembershipEvent,
    Schema,
    Undecodable,
    WriterSchema,
    compile_writer,
    decode,
    decode_record,
    split_wire,
)
from consumer.changes import Message
from consumer.errors import ConsumerError
from consumer.kafka.clients import Properties, consumer_properties
from consumer.kafka.questions import BrokerErrors, metadata
from consumer.kafka.registry import Found, SchemaRegistry, Unknown, Unreachable

PATIENCE = 8.0  # seconds without an answer from Kafka until the reader gives up
REGISTRY_PATIENCE = 30.0  # the same for the registry, whose client has a timeout of its own
MOST_MESSAGES = 1_000  # in one batch
BATCH_WITHIN = 0.1  # seconds that a batch may take to fill; one takes them where offsets are without a message

FETCH_WAIT = 10  # ms for which a broker may keep an answer that is empty: the next partition waits behind it

_END = KafkaError._PARTITION_EOF  # noqa: SLF001 - the client's public names

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Is told how many offsets have been read, and how many there are in all."""


class ReadFailed(ConsumerError):  # noqa: N818 - the name says what is the case
    """The topic could not be read to its end. The message says why and what to check."""


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """What the records of a topic are: the schema to read them as, and how."""

    schema: Schema
    decode: Callable[[bytes, WriterSchema], T]


CHANGES: Form[MembershipEvent] = Form(CHANGE_SCHEMA, decode)
RESULTS: Form[dict[str, Any]] = Form(RESULT_SCHEMA, decode_record)
DEAD_LETTERS: Form[dict[str, Any]] = Form(DEAD_LETTER_SCHEMA, decode_record)


class Entry(NamedTuple, Generic[T]):
    """A message and its record. No record: a tombstone or, where `problem` says why, bytes that cannot be read."""

    message: Message
    record: T | None
    problem: str | None = None


class Extent(NamedTuple):
    """What there is of a partition: offsets from `begin` (0: retention has taken nothing yet) until before `end`."""

    partition: int
    begin: int
    end: int


class TopicReader:
    """Reads topics; for one thread, one `read` at a time. The caller closes `registry`. Raises ReadFailed."""

    def __init__(self, properties: Properties, registry: SchemaRegistry, *, patience: float = PATIENCE) -> None:
        self._servers = properties["bootstrap.servers"]
        self._registry = registry
        self._patience = patience
        self._writers: dict[tuple[str, int], WriterSchema | str] = {}
        self._errors = BrokerErrors()
        own = {
            "allow.auto.create.topics": False,
            "auto.offset.reset": "earliest",  # retention may take what is about to be read
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "error_cb": self._errors,
            "fetch.wait.max.ms": FETCH_WAIT,
        }
        try:
            self._consumer = Consumer(consumer_properties(properties, own))
        except KafkaException as error:
            raise ReadFailed(f"the properties under kafka are of no use: {error.args[0].str()}") from error

    def extents(self, topic: str, since: float | None = None) -> list[Extent]:
        """Say what there is of each partition, of what was written at `since` (seconds since 1970) or later.

        Raises ReadFailed.
        """
        try:
            partitions = [KafkaPartition(topic, number) for number in self._partitions(topic)]
            extents = [
                Extent(each.partition, *self._consumer.get_watermark_offsets(each, timeout=self._patience))
                for each in partitions
            ]
            if since is None:
                return extents
            asked = [KafkaPartition(topic, each.partition, max(0, int(since * 1000))) for each in partitions]
            found = self._consumer.offsets_for_times(asked, timeout=self._patience)
            return [_from(extent, start) for extent, start in zip(extents, found, strict=True)]
        except KafkaException as error:
            raise self._failed(topic, error.args[0]) from error

    def committed(self, topic: str) -> dict[int, int | None]:
        """Say how far the group under `kafka` has committed each partition; None: nowhere yet. Raises ReadFailed."""
        try:
            asked = [KafkaPartition(topic, number) for number in self._partitions(topic)]
            found = self._consumer.committed(asked, timeout=self._patience)
            return {each.partition: _offset(each) for each in found}
        except KafkaException as error:
            raise self._failed(topic, error.args[0]) from error

    def read(
        self,
        topic: str,
        form: Form[T],
        *,
        since: float | None = None,
        extents: Sequence[Extent] | None = None,
        progress: Progress | None = None,
    ) -> Generator[Entry[T], None, None]:
        """Yield every message that `topic` holds now, or that was written at `since` (seconds since 1970) or later.

        With `extents` no more than those are read.

        Raises ReadFailed when Kafka or the registry does not answer. What cannot be decoded comes with its problem.
        """
        told = progress or (lambda _done, _total: None)
        if extents is None:
            extents = self.extents(topic, since)
        total = sum(each.end - each.begin for each in extents)
        done = 0
        told(0, total)
        for extent in extents:
            for batch in self._batches(topic, extent):
                for message in batch:
                    yield self._entry(message, form)
                if batch:
                    told(done + (batch[-1].offset() or 0) + 1 - extent.begin, total)
            done += extent.end - extent.begin
            told(done, total)

    def read_one(self, topic: str, partition: int, offset: int, form: Form[T]) -> Entry[T] | None:
        """Give the message at one place, None if it is not there (any more). Raises ReadFailed."""
        for extent in self.extents(topic):
            if extent.partition == partition:
                for batch in self._batches(topic, Extent(partition, offset, offset + 1)):
                    for message in batch:  # beyond the end librdkafka begins again from the beginning
                        return self._entry(message, form) if message.offset() == offset else None
        return None

    def complete_from(self, topic: str) -> float:
        """Say since when (seconds since 1970) nothing is missing: 0 where retention has taken nothing yet.

        Infinity where it has taken all of a partition. Raises ReadFailed.
        """
        found = 0.0
        for extent in self.extents(topic):
            if extent.begin > 0:
                first = next((each for batch in self._batches(topic, extent) for each in batch), None)
                found = max(found, float("inf") if first is None else first.timestamp()[1] / 1000)
        return found

    def decode(self, value: bytes, form: Form[T]) -> T | None:
        """Read a message's value, wherever it comes from; None where it cannot be. Raises ReadFailed."""
        return self._decoded(value, form)[0]

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def _partitions(self, topic: str) -> list[int]:
        found = metadata(self._consumer, self._errors, self._patience, topic)[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return sorted(found.partitions)

    def _batches(self, topic: str, extent: Extent) -> Iterator[list[Message]]:
        """Yield the messages of one partition."""
        if extent.begin >= extent.end:
            return
        self._consumer.assign([KafkaPartition(topic, extent.partition, extent.begin)])
        try:
            position = extent.begin
            while position < extent.end:
                batch = self._poll(topic, extent.partition, min(MOST_MESSAGES, extent.end - position))
                messages = [each for each in batch if each.error() is None]
                # Beyond the end lies what was written since; what ends a transaction has an offset, but is no message.
                ended = len(messages) < len(batch)
                position = extent.end if ended else (messages[-1].offset() or 0) + 1
                yield [each for each in messages if (each.offset() or 0) < extent.end]
        finally:
            self._consumer.unassign()

    def _poll(self, topic: str, partition: int, most: int) -> list[Any]:
        """Give the next messages of a partition, `most` at most, followed by its end if that was reached."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            try:
                polled = self._consumer.consume(most, BATCH_WITHIN)
            except KafkaException as error:
                raise self._failed(topic, error.args[0]) from error
            ours = [each for each in polled if (each.topic(), each.partition()) == (topic, partition)]
            for event in (each.error() for each in polled):
                if event is not None and event.code() != _END and (event.fatal() or ours):
                    raise self._failed(topic, event)
            if ours:
                return ours
        raise self._failed(topic, KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - the client's public names

    def _entry(self, message: Message, form: Form[T]) -> Entry[T]:
        value = message.value()
        if value is None:
            return Entry(message, None)
        decoded = self._decoded(value, form)
        return Entry(message, decoded[0], decoded[1])

    def _decoded(self, value: bytes, form: Form[T]) -> tuple[T | None, str | None]:
        """Give the record, or why there is none."""
        try:
            schema_id, body = split_wire(value)
            writer = self._writer(schema_id, form.schema)
            if isinstance(writer, str):
                return None, writer
            return form.decode(body, writer), None
        except Undecodable as error:
            return None, str(error)

    def _writer(self, schema_id: int, reader: Schema) -> WriterSchema | str:
        """Give a writer's schema made ready for reading, or why nothing of it can be read."""
        key = (reader.name, schema_id)
        if key not in self._writers:
            self._registry.lookup(schema_id)
            match [each.outcome for each in self._registry.take(REGISTRY_PATIENCE) if each.schema_id == schema_id]:
                case [Found(text, references)]:
                    self._writers[key] = _compiled(text, references, reader)
                case [Unknown()]:
                    self._writers[key] = f"the registry does not know schema {schema_id}"
                case [Unreachable(why)]:
                    raise ReadFailed(f"schema {schema_id} cannot be had from the registry: {why}")
                case _:
                    raise ReadFailed(f"the registry does not answer within {REGISTRY_PATIENCE:.0f} s")
        return self._writers[key]

    def _failed(self, topic: str, error: KafkaError) -> ReadFailed:
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return ReadFailed(f"topic {topic} is not there: check its name under topics, and what this user may read")
        why = self._errors.explain(error)
        return ReadFailed(
            f"topic {topic} cannot be read from Kafka at {self._servers}: {why}. Check bootstrap.servers, and user and "
            "password, under kafka"
        )


def _from(extent: Extent, start: KafkaPartition) -> Extent:
    """Cut off what is older than the answer to a question for a time; no offset means that nothing is as new."""
    offset = _offset(start)
    return extent._replace(begin=extent.end if offset is None else max(extent.begin, offset))


def _offset(answer: KafkaPartition) -> int | None:
    """Take the offset out of an answer about one partition; None where it says that there is none."""
    if answer.error is not None:
        raise KafkaException(answer.error)
    return answer.offset if answer.offset >= 0 else None


def _compiled(text: str, references: tuple[tuple[str, str], ...], reader: Schema) -> WriterSchema | str:
    try:
        return compile_writer(text, references, reader)
    except IncompatibleSchema as error:
        return str(error)
