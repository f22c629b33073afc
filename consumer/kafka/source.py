"""The changes topics, read by one member of a consumer group through confluent-kafka.

Partitions come and go cooperatively. Where a partition begins is never left to chance: librdkafka may not reset an
offset by itself. A partition without a committed offset starts where `auto.offset.reset` says; one whose offset is out
of range is reported and left standing, for to jump would lose changes silently.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
)
from confluent_kafka import TopicPartition as KafkaPartition

from consumer import log
from consumer.changes import TopicPartition
from consumer.errors import KafkaFailed
from consumer.kafka.clients import Properties, consumer_properties
from consumer.ports import Listener

MOST_MESSAGES = 1_000  # in one poll: enough to be fast, few enough for the loop to turn often
ASK_AGAIN = 1.0  # seconds until a failed question about offsets is put again
LEAVING_POLL = 0.05  # seconds of a poll while the group is left
LEAVING_POLLS = 40
ANSWER_WITHIN = 5.0  # seconds for each part of such a question

_END = KafkaError._PARTITION_EOF  # noqa: SLF001 - the client's public names
_FATAL = KafkaError._FATAL  # noqa: SLF001 - as above
_RESET = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001 - as above

Answer = Future[tuple[int | None, int, int]]
"""Will hold the committed offset of a partition (None: none), its end, and how many partitions its topic has."""

_log = log.get(__name__)


@dataclass(slots=True)
class _Start:
    """The question where a partition was committed and where it ends, and what came of it."""

    ask_at: float
    asked: Answer | None = None
    answered: bool = False
    committed_at: int | None = None
    reset: bool = False
    stalled: bool = False


class KafkaSource:
    """One member of the group. All its methods are for the loop's thread, which the listener is called in as well."""

    def __init__(self, properties: Properties, topics: Collection[str], listener: Listener) -> None:
        self._first = OFFSET_END if properties.get("auto.offset.reset") == "latest" else OFFSET_BEGINNING
        self._listener = listener
        self._starts: dict[TopicPartition, _Start] = {}
        self._totals: dict[str, int] = {}  # of partitions, by topic
        self._paused: set[TopicPartition] = set()
        self._ended: list[TopicPartition] = []
        self._problem: Exception | None = None
        self._questions = _Questions(properties)
        self._consumer = Consumer(
            consumer_properties(
                properties,
                {
                    "auto.offset.reset": "error",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "enable.partition.eof": True,
                    "partition.assignment.strategy": "cooperative-sticky",
                    "on_commit": self._on_commit,
                    "error_cb": _on_error,
                },
            )
        )
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def poll(self, timeout: float) -> Sequence[Message]:
        """Give at most MOST_MESSAGES messages. Raises KafkaFailed when the client cannot go on."""
        ended, self._ended = self._ended, []
        for each in ended:  # only now: the messages before the end were given by the last poll
            self._listener.end_reached(each)
        try:
            polled = self._consumer.consume(MOST_MESSAGES, timeout)
        except KafkaException as error:
            raise KafkaFailed(f"the consumer cannot go on: {error.args[0].str()}") from error
        self._raise_kept()
        messages = [message for message in polled if message.error() is None]
        if len(messages) < len(polled):
            for message in polled:
                if (event := message.error()) is not None:
                    self._on_event(message, event)
        if self._paused:
            self._pause_again(messages)
        self._ask()
        return messages

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Read nothing of these until they are resumed; right after the assignment a few messages may still come."""
        self._paused.update(partitions)
        self._consumer.pause([KafkaPartition(*each) for each in partitions])

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Read these again."""
        self._paused.difference_update(partitions)
        self._consumer.resume([KafkaPartition(*each) for each in partitions])

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Start to commit these offsets; the listener hears what came of it."""
        try:
            self._consumer.commit(
                offsets=[KafkaPartition(*each, offset) for each, offset in offsets.items()], asynchronous=True
            )
        except KafkaException as error:
            self._listener.committed({}, dict.fromkeys(offsets, error.args[0].name()))

    def end(self, partition: TopicPartition) -> int | None:
        """Give the partition's end as the last fetch told it."""
        try:
            known = self._consumer.get_watermark_offsets(KafkaPartition(*partition), cached=True)
        except KafkaException:
            return None
        return known[1] if known is not None and known[1] >= 0 else None

    def total(self) -> int:
        """Give how many partitions the topics have of which this member has any, or had; 0 before that is known."""
        return sum(self._totals.values())

    def close(self) -> None:
        """Leave the group. The revoke callback runs once more.

        It runs before the client's own `close`: librdkafka now and then waits for ever when a rebalance is answered
        from within that.
        """
        with suppress(KafkaException, RuntimeError):  # it cannot go on, or is closed already: both can be closed
            self._consumer.unsubscribe()
            for _ in range(LEAVING_POLLS):
                self._consumer.consume(MOST_MESSAGES, LEAVING_POLL)
                if not self._consumer.assignment():
                    break
        self._consumer.close()
        self._questions.close()
        self._raise_kept()

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Keep an exception until the client's call is over.

        One that goes through `consume` leaves messages behind that nobody frees, and `close` would wait for ever.
        """
        try:
            yield
        except Exception as problem:  # noqa: BLE001 - it is raised later, whatever it is
            self._problem = self._problem or problem

    def _raise_kept(self) -> None:
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def _on_assign(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        with self._keeping():
            self._consumer.incremental_assign(partitions)  # first: a pause before it has no effect
            ours = [TopicPartition(each.topic, each.partition) for each in partitions]
            for each in ours:
                self._starts[each] = _Start(ask_at=time.monotonic())
            self._listener.assigned(ours)

    def _on_revoke(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        with self._keeping():
            self._listener.revoked(self._drop(partitions))

    def _on_lost(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        with self._keeping():
            self._listener.lost(self._drop(partitions))

    def _drop(self, partitions: list[KafkaPartition]) -> list[TopicPartition]:
        gone = [TopicPartition(each.topic, each.partition) for each in partitions]
        self.resume(self._paused.intersection(gone))  # or they would come back paused
        for each in gone:
            self._starts.pop(each, None)
        self._ended = [each for each in self._ended if each not in gone]
        return gone

    def _on_commit(self, error: KafkaError | None, partitions: list[KafkaPartition]) -> None:
        offsets: dict[TopicPartition, int] = {}
        errors: dict[TopicPartition, str] = {}
        for each in partitions:
            failed = each.error or error
            key = TopicPartition(each.topic, each.partition)
            if failed is None:
                offsets[key] = each.offset
            else:
                errors[key] = failed.name()
        with self._keeping():
            self._listener.committed(offsets, errors)

    def _on_event(self, message: Message, error: KafkaError) -> None:
        """Take what librdkafka puts between the messages."""
        if error.fatal() or error.code() == _FATAL:
            raise KafkaFailed(f"the consumer cannot go on: {error.str()}")
        if error.code() not in (_END, _RESET):
            _log.warning("Kafka reports an error", error=error.name(), message=error.str(), topic=message.topic())
        partition = TopicPartition(message.topic() or "", message.partition() or 0)
        start = self._starts.get(partition)
        if start is None:
            return  # no longer ours, or no partition's
        if error.code() == _END:
            self._ended.append(partition)
        elif error.code() == _RESET:
            start.reset = True
        else:
            # librdkafka may have failed to learn where the partition starts, and then reads nothing of it any more.
            start.stalled = True

    def _pause_again(self, messages: Sequence[Message]) -> None:
        """Repeat a pause that was lost: librdkafka drops one that crosses the start of fetching after an assignment."""
        came = {TopicPartition(each.topic() or "", each.partition() or 0) for each in messages}
        if lost := self._paused & came:
            self.pause(lost)

    def _ask(self) -> None:
        """See to the partitions whose start is not known yet, or has to be decided."""
        now = time.monotonic()
        for partition, start in list(self._starts.items()):
            if not start.answered:
                self._ask_start(partition, start, now)
            elif start.reset or start.stalled:
                self._begin(partition, start)

    def _ask_start(self, partition: TopicPartition, start: _Start, now: float) -> None:
        if start.asked is None:
            if now >= start.ask_at:
                start.asked = self._questions.ask(partition)
            return
        if not start.asked.done():
            return
        try:
            committed, end, self._totals[partition.topic] = start.asked.result()
        except KafkaException as error:
            _log.warning("where a partition starts is not known yet", topic=partition.topic, error=str(error))
            start.asked = None
            start.ask_at = now + ASK_AGAIN
            return
        start.answered = True
        start.committed_at = committed
        self._listener.started(partition, start.committed_at, end)

    def _begin(self, partition: TopicPartition, start: _Start) -> None:
        """Begin a partition where it is committed, or else where the configuration says; report one out of range."""
        reset, start.reset, start.stalled = start.reset, False, False
        read_up_to = self._consumer.position([KafkaPartition(*partition)])[0].offset  # negative: nothing was read
        if reset and (start.committed_at is not None or read_up_to >= 0):
            self._listener.out_of_range(partition, start.committed_at)
            return
        if read_up_to >= 0:
            return  # it goes on by itself
        begin = self._first if start.committed_at is None else start.committed_at
        # A seek is refused in this state; handing the partition out anew is not, but now and then it ends a pause.
        self._consumer.incremental_unassign([KafkaPartition(*partition)])
        self._consumer.incremental_assign([KafkaPartition(*partition, begin)])


class _Questions:
    """Asks where partitions are committed and where they end, and how many there are, on its own thread and client.

    The client is a consumer that joins no group. An admin client would not do: librdkafka 2.16 crashes when a broker
    answers its question about a group's offsets with NOT_COORDINATOR, as it does while it restarts.
    """

    def __init__(self, properties: Properties) -> None:
        self._client = Consumer(consumer_properties(properties, {"enable.auto.commit": False, "error_cb": _on_error}))
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="offsets")

    def ask(self, partition: TopicPartition) -> Answer:
        """Start to ask; the future gives what an Answer holds, or raises KafkaException."""
        return self._worker.submit(self._ask, KafkaPartition(*partition))

    def close(self) -> None:
        """Ask nothing more; a question that is on its way is waited for, ANSWER_WITHIN at most for each part."""
        self._worker.shutdown(cancel_futures=True)
        self._client.close()

    def _ask(self, partition: KafkaPartition) -> tuple[int | None, int, int]:
        [committed] = self._client.committed([partition], timeout=ANSWER_WITHIN)
        if committed.error is not None:
            raise KafkaException(committed.error)
        ends = self._client.get_watermark_offsets(partition, timeout=ANSWER_WITHIN)
        if ends is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - the client's public name
        topic = self._client.list_topics(partition.topic, timeout=ANSWER_WITHIN).topics[partition.topic]
        self._client.poll(0)  # gives its log lines, which would pile up
        return committed.offset if committed.offset >= 0 else None, ends[1], len(topic.partitions)


def _on_error(error: KafkaError) -> None:
    _log.warning("Kafka reports an error", error=error.name(), message=error.str())
