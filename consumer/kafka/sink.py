"""Results and dead letters, written by an idempotent producer.

A record is done when Kafka has acknowledged every message it became: when each delivery report came without an error.
Messages that are too large are split, or cut down; all others are sent again until they are taken.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from consumer import log
from consumer.avro import DEAD_LETTER_SCHEMA, RESULT_SCHEMA, encode, frame
from consumer.changes import Change
from consumer.encoder import encode_contacts
from consumer.errors import KafkaFailed
from consumer.flight import NOBODY, Outcomes
from consumer.kafka.clients import Properties, producer_properties
from consumer.kafka.registry import Registered, SchemaRegistry
from consumer.outcomes import DeadLetter, RawEvent, Result

SEND_AGAIN = 1.0  # seconds until a message that was not taken, or a schema that was not registered, is tried again
FIRST_CUT = 65_536  # bytes of a raw event that is too large as a whole; halved until it fits

_SCHEMAS = {Result: RESULT_SCHEMA, DeadLetter: DEAD_LETTER_SCHEMA}
_TOO_LARGE = KafkaError.MSG_SIZE_TOO_LARGE
_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 - the client's public names

_NOBODY = encode_contacts(NOBODY)

_log = log.get(__name__)

Record = Result | DeadLetter


class _Delivery:
    """Counts the messages of one record down."""

    __slots__ = ("_done", "_left", "record")

    def __init__(self, record: Record, done: Callable[[], None]) -> None:
        self.record = record
        self._done = done
        self._left = 1

    def split(self, parts: int) -> None:
        self._left += parts - 1

    def acknowledged(self) -> bool:
        """Note one message; True if it was the record's last."""
        self._left -= 1
        if self._left == 0:
            self._done()
        return self._left == 0


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A record, or a part of one, on its way to Kafka. `kept`: bytes of its raw event that are sent."""

    record: Record
    delivery: _Delivery
    kept: int | None = None


class KafkaSink:
    """Writes both topics. All its methods are for the loop's thread."""

    def __init__(
        self, properties: Properties, registry: SchemaRegistry, results_topic: str, dead_letters_topic: str
    ) -> None:
        # A broker's limit is for a whole batch: parts of a record that was too large must not travel together again.
        own = {"enable.idempotence": True, "acks": "all", "batch.num.messages": 1, "error_cb": _on_error}
        self._producer = Producer(producer_properties(properties, own))
        self._registry = registry
        self._topics = {Result: results_topic, DeadLetter: dead_letters_topic}
        self._ids: dict[str, int] = {}  # of the registered schemas, by subject
        self._register_at = 0.0
        self._waiting: deque[_Parcel] = deque()
        self._waits_until = 0.0
        self._pending = 0
        self._weight = 0

    @property
    def pending(self) -> int:
        """How many records are not acknowledged yet."""
        return self._pending

    @property
    def weight(self) -> int:
        """What these records take, as many waiting contacts do."""
        return self._weight

    def send(self, record: Record, done: Callable[[], None]) -> None:
        """Take a record; `done` is called once Kafka has all of it."""
        self._pending += 1
        self._weight += record.weight
        self._waiting.append(_Parcel(record, _Delivery(record, done)))

    def serve(self) -> None:
        """Send what waits and take the delivery reports. Raises KafkaFailed when the producer cannot go on."""
        now = time.monotonic()
        if len(self._ids) < len(self._topics):
            self._register(now)
        else:
            while self._waiting and now >= self._waits_until and self._produce(self._waiting.popleft()):
                pass
        try:
            self._producer.poll(0)
        except KafkaException as error:
            raise KafkaFailed(f"the producer cannot go on: {error.args[0].str()}") from error

    def close(self) -> None:
        """Take no more delivery reports; what is not acknowledged will be made again from the log."""
        self._producer.purge()
        with suppress(KafkaException, KafkaFailed):
            self._producer.poll(0)

    def _register(self, now: float) -> None:
        for done in self._registry.take_registrations():
            if isinstance(done.outcome, Registered):
                self._ids[done.subject] = done.outcome.schema_id
            else:
                _log.warning("schema not registered yet", subject=done.subject, problem=done.outcome.message)
        if now >= self._register_at:
            self._register_at = now + SEND_AGAIN
            for kind, topic in self._topics.items():
                if _subject(topic) not in self._ids:
                    self._registry.register(_subject(topic), _SCHEMAS[kind].text)

    def _produce(self, parcel: _Parcel) -> bool:
        """Hand a parcel to the producer; False if it has no room now."""
        topic = self._topics[type(parcel.record)]
        value = frame(self._ids[_subject(topic)], _body(parcel))
        try:
            self._producer.produce(
                topic, value, _key(parcel), on_delivery=lambda error, _: self._reported(parcel, error)
            )
        except BufferError:
            self._waiting.appendleft(parcel)
            return False
        except KafkaException as error:
            self._reported(parcel, error.args[0])
        return True

    def _reported(self, parcel: _Parcel, error: KafkaError | None) -> None:
        if error is None:
            if parcel.delivery.acknowledged():
                self._pending -= 1
                self._weight -= parcel.delivery.record.weight
        elif error.code() == _TOO_LARGE:
            parts = list(_smaller(parcel))
            parcel.delivery.split(len(parts))
            self._waiting.extendleft(reversed(parts))
        elif error.fatal():
            raise KafkaFailed(f"the producer cannot go on: {error.str()}")
        elif error.code() not in _PURGED:
            _log.warning("record not written, sent again", error=error.name(), message=error.str())
            self._waiting.append(parcel)
            self._waits_until = time.monotonic() + SEND_AGAIN


def _smaller(parcel: _Parcel) -> Iterator[_Parcel]:
    """Split a record between its contacts, or cut down the raw event that it carries."""
    record = parcel.record
    if len(record.contacts) > 1:
        middle = len(record.contacts) // 2
        for contacts in (record.contacts[:middle], record.contacts[middle:]):
            yield replace(parcel, record=replace(record, contacts=contacts))  # type: ignore[arg-type]  # same kind
    elif isinstance(record, DeadLetter) and record.event is not None and parcel.kept != 0:
        yield replace(parcel, kept=FIRST_CUT if parcel.kept is None else parcel.kept // 2)
    else:
        raise KafkaFailed("a record with a single contact is too large for the broker: raise its message.max.bytes")


def _subject(topic: str) -> str:
    return f"{topic}-value"


def _key(parcel: _Parcel) -> bytes | None:
    record = parcel.record
    if isinstance(record, DeadLetter) and record.event is not None:
        return None if record.event.key is None else record.event.key[: parcel.kept]
    return f"{record.account}/{record.list_id}".encode()


def _body(parcel: _Parcel) -> bytes:
    record = parcel.record
    if isinstance(record, DeadLetter):
        return encode(DEAD_LETTER_SCHEMA, _dead_letter(record, parcel.kept))
    return _result(record)


def _result(record: Result) -> bytes:
    head = {
        "connector": record.connector,
        "account": record.account,
        "list_id": record.list_id,
        "request_id": record.request_id,
        "status": record.status,
        "correlation_id": record.correlation_id,
        "sent_at": _millis(record.sent_at),
        "answered_at": _millis(record.answered_at),
        "contacts": [],  # the last field, encoded apart
    }
    return encode(RESULT_SCHEMA, head).removesuffix(_NOBODY) + encode_contacts(Outcomes.of(record.contacts))


def _dead_letter(record: DeadLetter, kept: int | None) -> dict[str, Any]:
    return {
        "reason": record.reason,
        "connector": record.connector,
        "account": record.account,
        "list_id": record.list_id,
        "request_id": record.request_id,
        "status": record.details.status,
        "category": record.details.category,
        "message": record.details.message,
        "correlation_id": record.details.correlation_id,
        "recorded_at": _millis(record.recorded_at),
        "contacts": [{"record_id": each.record_id, **_decided_by(each.change)} for each in record.contacts],
        "event": None if record.event is None else _event(record.event, kept),
    }


def _decided_by(change: Change) -> dict[str, Any]:
    return {
        "action": change.action.value,
        "topic": change.assignment.topic,
        "partition": change.assignment.partition,
        "offset": change.offset,
        "occurred_at": change.occurred_at,
    }


def _event(event: RawEvent, kept: int | None) -> dict[str, Any]:
    """Tell the raw event: whole, or the first `kept` bytes of each part, with the value's hash and length."""
    value = event.value
    return {
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
        "timestamp": event.timestamp,
        "key": None if event.key is None else event.key[:kept],
        "value": None if value is None else value[:kept],
        "headers": [
            {"name": name[:kept], "value": None if content is None else content[:kept]}
            for name, content in (event.headers if kept is None else event.headers[:100])
        ],
        "value_length": 0 if value is None else len(value),
        "value_sha256": None if value is None else hashlib.sha256(value).hexdigest(),
        "truncated": kept is not None,
    }


def _millis(seconds: float) -> int:
    return round(seconds * 1000)


def _on_error(error: KafkaError) -> None:
    _log.warning("Kafka reports an error", error=error.name(), message=error.str())
