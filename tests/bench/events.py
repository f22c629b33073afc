"""Events by the million: 90 bytes each, as a platform would write them whose schema is ours."""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from confluent_kafka import KafkaError, Producer

from tests.bench.measure import Parts
from tests.real.kafka import Kafka

FIRST_LIST = 5_000
FIRST_CONTACT = 50_000_000_000  # record ids have eleven digits by now
EVENT_BYTES = 90
PARTITIONS = 4

_NUMBER = "7" * 12  # what of the template is replaced in each event: the end of its id,
_SOURCE = "source-0"  # its source
_CONTACT = "1" * 11  # and its contact, twice
_MANY = 10_000  # events between two looks at the delivery reports


class Event(NamedTuple):
    """A contact enters or leaves a source, both counted from 0."""

    source: int
    contact: int
    leaves: bool = False


class Topic(NamedTuple):
    """A topic that was filled, how many events it holds, and the record ids of who is in each source of the sample."""

    name: str
    events: int
    members: dict[int, frozenset[int]]


class Writer:
    """Writes events to one topic, which it makes; a key is the contact, whose events are in one partition."""

    def __init__(self, parts: Parts, topic: str, partitions: int = PARTITIONS) -> None:
        self.topic = topic
        kafka = Kafka(parts.broker.bootstrap, parts.registry.client())
        kafka.create(topic, partitions)
        self._enter, self._leave = (_pattern(partial(kafka.encode, topic), each) for each in ("ENTER", "EXIT"))
        kafka.close()
        self._producer = Producer(
            {"bootstrap.servers": parts.broker.bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
        )
        self.written = 0
        self.partitions: set[int] = set()

    def write(self, events: Iterable[Event]) -> None:
        """Write them; they may not all have arrived yet."""
        produce, topic = self._producer.produce, self.topic
        for source, contact, leaves in events:
            key = b"%d" % (FIRST_CONTACT + contact)
            pattern = self._leave if leaves else self._enter
            while True:
                try:
                    produce(topic, pattern % (self.written, source, key, key), key, on_delivery=_raise)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self.written += 1
            if not self.written % _MANY:
                self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all have arrived."""
        while self._producer.flush(10.0):
            pass


def fill(parts: Parts, topic: str, events: Iterable[Event], sample: Container[int] = ()) -> Topic:
    """Make a topic with these events."""
    members: defaultdict[int, set[int]] = defaultdict(set)

    def watched() -> Iterator[Event]:
        for event in events:
            if event.source in sample:
                change = members[event.source].discard if event.leaves else members[event.source].add
                change(FIRST_CONTACT + event.contact)
            yield event

    writer = Writer(parts, topic)
    writer.write(watched())
    writer.flush()
    return Topic(topic, writer.written, {source: frozenset(its) for source, its in members.items()})


def source_id(number: int) -> str:
    """Give the id of a source."""
    return f"{number:08d}"


def _pattern(encode: Callable[[dict[str, object]], bytes], transition: str) -> bytes:
    """Give what makes an event's bytes of its number, its source and, twice, its contact's record id."""
    value = encode(
        {
            "event_id": f"00000000-0000-4000-8000-{_NUMBER}",
            "source_type": "AUDIENCE",
            "source_id": _SOURCE,
            "profile_id": _CONTACT,
            "transition": transition,
            "occurred_at": 1_780_000_000_000,
            "identifiers": {"2006": _CONTACT},
        }
    )
    assert len(value) == EVENT_BYTES, len(value)
    pattern = value.replace(b"%", b"%%")
    for given, wanted in ((_NUMBER, b"%012d"), (_SOURCE, b"%08d"), (_CONTACT, b"%b")):
        assert given.encode() in pattern
        pattern = pattern.replace(given.encode(), wanted)
    return pattern


def _raise(error: KafkaError | None, _: object) -> None:
    assert error is None, error
