"""From messages to changes: decode, route, fold. An event is never dropped silently.

A message whose schema is not known yet is held, and so is all that follows in its partition, until the registry has
answered. While the registry cannot be reached the partition waits; a schema that the registry does not know, asked
again and again for 60 s, makes its events undecodable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from consumer import avro, log
from consumer.avro import IncompatibleSchema, MembershipEvent, Undecodable, WriterSchema
from consumer.changes import Change, Message, TopicPartition
from consumer.kafka.registry import Found, Lookup, Unknown
from consumer.metrics import Metrics
from consumer.outcomes import DeadLetter, Details, RawEvent
from consumer.partitions import Partition, Partitions
from consumer.router import ACTIONS, Delivered, Invalid, Router, Skipped

UNKNOWN_FOR = 60.0  # seconds for which the registry must not know a schema before it is believed
BELIEVED_FOR = 600.0  # seconds for which it is believed then
ASK_AGAIN_FIRST = 1.0
ASK_AGAIN_MOST = 30.0
MOST_SCHEMAS = 1_000  # known at once: who reads more asks for the oldest again

_log = log.get(__name__)


class Registry(Protocol):
    """The Schema Registry's look-ups, which never block."""

    def lookup(self, schema_id: int) -> None:
        """Start a look-up."""

    def take(self) -> Sequence[Lookup]:
        """Give those that have finished."""


class Windows(Protocol):
    """Takes what intake makes of the messages: see `Delivery`."""

    def fold(self, connector: str, contact: int, change: Change, now: float, inherited_since: float | None) -> None:
        """Take a change for a connector's list."""

    def refuse(self, connector: str, identifier: str, change: Change, wall: float, done: Callable[[], None]) -> None:
        """Take a change whose identifier is no record id; `done` is called once Kafka has its dead letter."""

    def bury(self, record: DeadLetter, done: Callable[[], None]) -> None:
        """Take a dead letter; `done` is called once Kafka has it."""


@dataclass(slots=True)
class _Wait:
    """A schema that is being asked for."""

    ask_at: float
    pause: float = ASK_AGAIN_FIRST
    unknown_since: float | None = None
    partitions: dict[TopicPartition, None] = field(default_factory=dict)  # in the order in which they came


@dataclass(frozen=True, slots=True)
class _Useless:
    """A schema whose events cannot be read, and why; believed until `until`."""

    why: str
    until: float


class Intake:
    """Owns the partitions' messages until they are folded, skipped or dead letters."""

    def __init__(
        self,
        partitions: Partitions,
        router: Router,
        registry: Registry,
        metrics: Metrics,
        windows: Windows,
    ) -> None:
        self._partitions = partitions
        self._router = router
        self._registry = registry
        self._metrics = metrics
        self._windows = windows
        self._numbers = count(1)
        self._schemas: dict[int, WriterSchema | _Useless] = {}
        self._waits: dict[int, _Wait] = {}

    def take(self, messages: Sequence[Message], now: float, wall: float) -> set[TopicPartition]:
        """Take messages in; give the partitions that have to wait for a schema and should be paused."""
        waiting = set()
        consumed: dict[str, int] = {}
        for message in messages:
            partition = self._partitions.get((message.topic(), message.partition()))
            if partition is None or partition.stuck:
                continue  # no longer ours: whoever owns it reads it
            consumed[partition.key.topic] = consumed.get(partition.key.topic, 0) + 1
            if partition.held:
                partition.held.append(message)
            elif not self._read(partition, message, now, wall):
                self._hold(partition, message)
                waiting.add(partition.key)
        for topic, number in consumed.items():
            self._metrics.for_topic(topic).inc(number)
        return waiting

    def turn(self, now: float, wall: float) -> set[TopicPartition]:
        """Ask for schemas and take the answers; give the partitions that need not wait any more."""
        for lookup in self._registry.take():
            self._answered(lookup, now)
        freed: set[TopicPartition] = set()
        for schema_id, wait in list(self._waits.items()):
            if schema_id in self._schemas:
                del self._waits[schema_id]
                freed |= {key for key in wait.partitions if self._release(key, now, wall)}
            elif now >= wait.ask_at:
                wait.ask_at = now + wait.pause
                wait.pause = min(ASK_AGAIN_MOST, wait.pause * 2)
                self._registry.lookup(schema_id)
        return freed

    def _read(self, partition: Partition, message: Message, now: float, wall: float) -> bool:
        """Bring one message to its end, or to the windows; False if its schema is not known yet."""
        offset = message.offset() or 0
        value = message.value()
        if value is None:
            self._metrics.events_skipped("", "tombstone", "")
            self._partitions.processed(partition, offset)
            return True
        try:
            schema_id, body = avro.split_wire(value)
            schema = self._schema(schema_id, partition.key, now)
            if schema is None:
                return False
            event = _decode(body, schema)
        except Undecodable as error:
            self._undecodable(partition, message, str(error), wall)
        else:
            self._route(partition, message, event, now, wall)
        self._partitions.processed(partition, offset)
        return True

    def _schema(self, schema_id: int, key: TopicPartition, now: float) -> WriterSchema | _Useless | None:
        schema = self._schemas.get(schema_id)
        if isinstance(schema, _Useless) and schema.until <= now:
            del self._schemas[schema_id]
            schema = None
        if schema is None:
            self._waits.setdefault(schema_id, _Wait(ask_at=now)).partitions[key] = None
        return schema

    def _route(self, partition: Partition, message: Message, event: MembershipEvent, now: float, wall: float) -> None:
        action = ACTIONS[event.transition]
        offset = message.offset() or 0
        number = next(self._numbers)
        change = Change(number, action, partition.assignment, offset, event.occurred_at, max(0, message.timestamp()[1]))
        for where in self._router.route(event):
            match where:
                case Delivered(connector, contact):
                    inherited = partition.assigned_at if partition.was_behind(offset) else None
                    self._windows.fold(connector, contact, change, now, inherited)
                case Skipped(connector, reason):
                    self._metrics.events_skipped(connector, reason, event.transition)
                case Invalid(connector, identifier):
                    hold = self._partitions.offsets.hold(partition.assignment, offset)
                    self._windows.refuse(connector, identifier, change, wall, hold.release)

    def _undecodable(self, partition: Partition, message: Message, why: str, wall: float) -> None:
        offset = message.offset() or 0
        kind, timestamp = message.timestamp()
        event = RawEvent(
            topic=partition.key.topic,
            partition=partition.key.partition,
            offset=offset,
            timestamp=timestamp if kind else None,
            key=message.key(),
            value=message.value(),
            headers=_headers(message),
        )
        _log.warning(
            "event cannot be decoded", topic=event.topic, partition=event.partition, offset=offset, problem=why
        )
        hold = self._partitions.offsets.hold(partition.assignment, offset)
        self._windows.bury(DeadLetter("UNDECODABLE", wall, Details(message=why), event=event), hold.release)

    def _hold(self, partition: Partition, message: Message) -> None:
        partition.held.append(message)
        partition.hold = self._partitions.offsets.hold(partition.assignment, message.offset() or 0)

    def _release(self, key: TopicPartition, now: float, wall: float) -> bool:
        """Read what a partition held, until the next unknown schema; True if nothing is left."""
        partition = self._partitions.get(key)
        if partition is None:
            return False
        hold = partition.hold
        while partition.held and self._read(partition, partition.held[0], now, wall):
            partition.held.popleft()
        partition.hold = None
        if partition.held:
            partition.hold = self._partitions.offsets.hold(partition.assignment, partition.held[0].offset() or 0)
        if hold is not None:
            hold.release()
        return not partition.held

    def _answered(self, lookup: Lookup, now: float) -> None:
        wait = self._waits.get(lookup.schema_id)
        if wait is None:
            return
        match lookup.outcome:
            case Found(text, references):
                try:
                    self._learn(lookup.schema_id, avro.compile_writer(text, references))
                except IncompatibleSchema as error:
                    self._learn(lookup.schema_id, _Useless(str(error), float("inf")))
            case Unknown():
                wait.unknown_since = now if wait.unknown_since is None else wait.unknown_since
                if now - wait.unknown_since >= UNKNOWN_FOR:
                    why = f"the registry does not know schema {lookup.schema_id}"
                    self._learn(lookup.schema_id, _Useless(why, now + BELIEVED_FOR))
            case unreachable:
                wait.unknown_since = None
                _log.warning(
                    "schema cannot be had, its partitions wait",
                    schema_id=lookup.schema_id,
                    partitions=sorted(map(tuple, wait.partitions)),
                    problem=unreachable.message,
                )

    def _learn(self, schema_id: int, schema: WriterSchema | _Useless) -> None:
        self._schemas[schema_id] = schema
        if len(self._schemas) > MOST_SCHEMAS:
            del self._schemas[next(iter(self._schemas))]


def _decode(body: bytes, schema: WriterSchema | _Useless) -> MembershipEvent:
    if isinstance(schema, _Useless):
        raise Undecodable(schema.why)
    return avro.decode(body, schema)


def _headers(message: Message) -> tuple[tuple[str, bytes | None], ...]:
    headers = message.headers() or ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)
