"""From messages to changes: decode, route, fold. An event is never dropped silently.

A message whose schema is not known yet is held, and so is all that follows in its partition, until the registry has
answered. While the registry cannot be reached the partition waits; a schema that the registry does not know, asked
again and again for 60 s, makes its events undecodable.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol

from consumer import avro, log
from consumer.avro import HEADER, IncompatibleSchema, MembershipEvent, Undecodable, WriterSchema
from consumer.changes import Assignment, Change, Message, TopicPartition
from consumer.kafka.registry import Found, Lookup, Unknown
from consumer.metrics import Metrics
from consumer.outcomes import DeadLetter, Details, RawEvent
from consumer.packed import Packed, Told, pack, place_of, unpacked
from consumer.partitions import Partition, Partitions
from consumer.router import ACTIONS, NOBODYS, Invalid, Router, Skipped

if TYPE_CHECKING:
    from consumer.decoder import Decoder

UNKNOWN_FOR = 60.0  # seconds for which the registry must not know a schema before it is believed
BELIEVED_FOR = 600.0  # seconds for which it is believed then
ASK_AGAIN_FIRST = 1.0
ASK_AGAIN_MOST = 30.0
MOST_SCHEMAS = 1_000  # known at once: who reads more asks for the oldest again

_log = log.get(__name__)


class _SchemaNotKnownYet(Exception):  # noqa: N818 - says what is so, as the caller's branch does
    """A message cannot be read before the registry has answered."""


class Registry(Protocol):
    """The Schema Registry's look-ups, which never block."""

    def lookup(self, schema_id: int) -> None:
        """Start a look-up."""

    def take(self) -> Sequence[Lookup]:
        """Give those that have finished."""


class Windows(Protocol):
    """Takes what intake makes of the messages: see `Delivery`."""

    def fold(
        self,
        connector: str,
        changes: Sequence[Told],
        assignment: Assignment,
        now: float,
        inherited_since: float | None,
    ) -> None:
        """Take changes of one assignment for a connector's list, in the order of the log."""

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
        self._decoders: dict[bytes, Decoder] = {}  # of these, by what their messages begin with
        self._skipped: Counter[tuple[str, str, str]] = Counter()
        self._waits: dict[int, _Wait] = {}

    def take(self, messages: Sequence[Message], now: float, wall: float) -> set[TopicPartition]:
        """Take messages in; give the partitions that have to wait for a schema and should be paused."""
        waiting = set()
        for place, run in _runs(messages):
            partition = self._partitions.get(place)
            if partition is None or partition.stuck:
                continue  # no longer ours: whoever owns it reads it
            self._metrics.for_topic(partition.key.topic).inc(len(run))
            left = run if partition.held else run[self._read(partition, run, now, wall) :]
            if left and not partition.held:
                partition.hold = self._partitions.offsets.hold(partition.assignment, left[0].offset() or 0)
                waiting.add(partition.key)
            partition.held.extend(left)
        self._count_skipped()
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
        self._count_skipped()
        return freed

    def _read(self, partition: Partition, messages: Iterable[Message], now: float, wall: float) -> int:
        """Bring messages to their end, or to the windows, up to one whose schema is not known yet; give how many.

        Each takes a few microseconds, so what most have in common is looked up once, and nothing is called in vain.
        """
        decoders, routes, numbers = self._decoders, self._router.by_source, self._numbers
        assignment, behind = partition.assignment, partition.behind()
        inherited_since: float | None = partition.assigned_at
        where = {name: place_of(action, assignment, self._partitions.offsets) for name, action in ACTIONS.items()}
        folds: defaultdict[str, list[Told]] = defaultdict(list)
        header = decode = None
        done = 0
        offset: int | None = None
        for message in messages:
            value = message.value() or b""
            if not (header and value.startswith(header)):
                header = value[:HEADER]
                decode = decoders.get(header)
            event = decode(value) if decode is not None else None
            if event is None:
                try:
                    event = self._read_unusual(partition, message, now, wall)
                except _SchemaNotKnownYet:
                    break
            done += 1
            offset = message.offset() or 0
            if event is None:
                continue
            if inherited_since is not None and offset >= behind:
                self._fold(folds, assignment, now, inherited_since)
                inherited_since = None
            _, source_type, source_id, _, transition, occurred_at, identifiers = event
            _, timestamp = message.timestamp()
            change = pack(next(numbers), offset, occurred_at, max(timestamp, 0), where[transition])
            for route in routes.get((source_type, source_id), NOBODYS):
                contact = route.contact(identifiers)
                if isinstance(contact, int):
                    folds[route.connector].append((contact, change))
                else:
                    self._not_delivered(contact, transition, change, wall)
        self._fold(folds, assignment, now, inherited_since)
        if offset is not None:
            self._partitions.processed(partition, offset)
        return done

    def _fold(
        self, folds: dict[str, list[Told]], assignment: Assignment, now: float, inherited_since: float | None
    ) -> None:
        for connector, changes in folds.items():
            self._windows.fold(connector, changes, assignment, now, inherited_since)
        folds.clear()

    def _read_unusual(self, partition: Partition, message: Message, now: float, wall: float) -> MembershipEvent | None:
        """Read what no schema's own decoder can; None if that was its end. Raises _SchemaNotKnownYet."""
        value = message.value()
        if value is None:
            self._skipped["", "tombstone", ""] += 1
            return None
        try:
            schema_id, body = avro.split_wire(value)
            schema = self._schema(schema_id, partition.key, now)
            if schema is None:
                raise _SchemaNotKnownYet
            return _decode(body, schema)
        except Undecodable as error:
            self._undecodable(partition, message, str(error), wall)
            return None

    def _schema(self, schema_id: int, key: TopicPartition, now: float) -> WriterSchema | _Useless | None:
        schema = self._schemas.get(schema_id)
        if isinstance(schema, _Useless) and schema.until <= now:
            del self._schemas[schema_id]
            schema = None
        if schema is None:
            self._waits.setdefault(schema_id, _Wait(ask_at=now)).partitions[key] = None
        return schema

    def _not_delivered(self, why: Skipped | Invalid, transition: str, change: Packed, wall: float) -> None:
        if isinstance(why, Skipped):
            self._skipped[why.connector, why.reason, transition] += 1
        else:
            offsets = self._partitions.offsets
            refused = unpacked(change, offsets)
            hold = offsets.hold(refused.assignment, refused.offset)
            self._windows.refuse(why.connector, why.identifier, refused, wall, hold.release)

    def _count_skipped(self) -> None:
        for (connector, reason, transition), events in self._skipped.items():
            self._metrics.events_skipped(connector, reason, transition, events)
        self._skipped.clear()

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

    def _release(self, key: TopicPartition, now: float, wall: float) -> bool:
        """Read what a partition held, until the next unknown schema; True if nothing is left."""
        partition = self._partitions.get(key)
        if partition is None:
            return False
        hold = partition.hold
        for _ in range(self._read(partition, partition.held, now, wall)):
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
        if isinstance(schema, WriterSchema) and schema.decoder is not None:
            self._decoders[avro.frame(schema_id, b"")] = schema.decoder
        if len(self._schemas) > MOST_SCHEMAS:
            forgotten = next(iter(self._schemas))
            del self._schemas[forgotten]
            self._decoders.pop(avro.frame(forgotten, b""), None)


def _runs(messages: Iterable[Message]) -> Iterator[tuple[tuple[str | None, int | None], list[Message]]]:
    """Give messages that lie in one partition and follow each other together, with topic and number."""
    run: list[Message] = []
    topic = number = None
    for message in messages:
        if message.partition() != number or message.topic() != topic:
            if run:
                yield (topic, number), run
            run, topic, number = [], message.topic(), message.partition()
        run.append(message)
    if run:
        yield (topic, number), run


def _decode(body: bytes, schema: WriterSchema | _Useless) -> MembershipEvent:
    if isinstance(schema, _Useless):
        raise Undecodable(schema.why)
    return avro.decode(body, schema)


def _headers(message: Message) -> tuple[tuple[str, bytes | None], ...]:
    headers = message.headers() or ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)
