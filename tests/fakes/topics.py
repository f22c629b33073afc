"""Topics in memory as an audit reads them: changes as a broker holds them, and the records of the other two."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from confluent_kafka import Message

from consumer import avro
from consumer.changes import TopicPartition
from consumer.kafka import sink
from consumer.kafka.audited import AuditedLog
from consumer.kafka.reader import CHANGES, Entry, Extent, Form, Progress
from consumer.outcomes import Result
from consumer.router import Router
from consumer.settings import Settings
from tests.fakes.kafka import MemoryBroker

T = TypeVar("T")
AT_ONCE = 1_000  # messages that are in memory, where they are made as they are read

Records = Mapping[str, Callable[[], Iterable[dict[str, Any]]]]
"""The records of a topic, by its name, as they are when it is read."""


_RESULT = avro.compile_writer(avro.RESULT_SCHEMA.text, reader=avro.RESULT_SCHEMA)


def result_record(result: Result) -> dict[str, Any]:
    """Give a result as those who read its topic get it."""
    return avro.decode_record(sink._result(result), _RESULT)


class MemoryReader:
    """What a TopicReader gives. Every value of the changes has the schema of our own."""

    def __init__(self, broker: MemoryBroker, records: Records) -> None:
        self._broker = broker
        self._records = records
        self._writer = avro.compile_writer(avro.CHANGE_SCHEMA.text)

    def extents(self, topic: str) -> list[Extent]:
        """Say what there is of each partition."""
        keys = sorted(key for key in self._broker.log if key.topic == topic)
        return [Extent(key.partition, self._broker.begin.get(key, 0), self._broker.end(key)) for key in keys]

    def committed(self, topic: str) -> dict[int, int | None]:
        """Say how far the group is."""
        keys = sorted(key for key in self._broker.log if key.topic == topic)
        return {key.partition: self._broker.committed.get(key) for key in keys}

    def read(
        self, topic: str, form: Form[T], *, extents: Sequence[Extent] | None = None, progress: Progress | None = None
    ) -> Iterator[Entry[T]]:
        """Yield what a topic holds."""
        told = progress or (lambda _done, _total: None)
        if topic in self._records:
            for record in self._records[topic]():
                yield Entry(Message(topic=topic), record)  # type: ignore[arg-type]  # a record of the topic's form
            told(1, 1)
            return
        chosen = self.extents(topic) if extents is None else extents
        total = sum(each.end - each.begin for each in chosen)
        done = 0
        told(0, total)
        for partition, begin, end in chosen:
            key = TopicPartition(topic, partition)
            first = self._broker.begin.get(key, 0)
            for start in range(begin, end, AT_ONCE):
                messages = self._broker.log[key][start - first : min(end, start + AT_ONCE) - first]
                for message in messages:
                    yield self._entry(message, form)
                done += len(messages)
                told(done, total)

    def _entry(self, message: Message, form: Form[T]) -> Entry[T]:
        value = message.value()
        if value is None:
            return Entry(message, None)
        assert form is CHANGES
        try:
            _, body = avro.split_wire(value)
            return Entry(message, form.decode(body, self._writer))
        except avro.Undecodable as error:
            return Entry(message, None, str(error))


def audited_log(settings: Settings, broker: MemoryBroker, records: Records, router: Router) -> AuditedLog:
    """Give the log of these topics as an audit reads it."""
    topics = settings.topics
    return AuditedLog(MemoryReader(broker, records), topics.changes, topics.results, topics.dead_letters, router)
