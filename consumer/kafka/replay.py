"""The changes topics as a replay reads them: assigned, from given offsets on, in no group; nothing is committed.

A question for the ends of the partitions goes through a client of its own: one that is fetching would have it wait.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from consumer import log
from consumer.changes import TopicPartition
from consumer.errors import KafkaFailed
from consumer.kafka.clients import Properties, consumer_properties
from consumer.ports import Listener

MOST_MESSAGES = 1_000  # in one poll
ASK_AGAIN = 1.0  # seconds until a failed question is put again
ANSWER_WITHIN = 5.0  # seconds for the end of one partition

_END = KafkaError._PARTITION_EOF  # noqa: SLF001 - the client's public name

_log = log.get(__name__)


class ReplaySource:
    """Reads on for ever. All its methods are for the loop's thread, which the listener is called in as well."""

    def __init__(self, properties: Properties, starts: Mapping[TopicPartition, int], listener: Listener) -> None:
        self._listener = listener
        self._starts = dict(starts)
        self._positions = dict(starts)
        self._ends: dict[TopicPartition, int] = {}
        self._ended: list[TopicPartition] = []
        self._commits: dict[TopicPartition, int] = {}
        self._asked: Future[dict[TopicPartition, int]] | None = None
        self._looked = False
        self._look_at = 0.0
        self._assigned = False
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ends")
        errors = {"error_cb": _on_error, "enable.auto.commit": False}
        self._questions = Consumer(consumer_properties(properties, errors))
        own = {**errors, "enable.partition.eof": True, "auto.offset.reset": "earliest"}  # retention may be faster
        self._consumer = Consumer(consumer_properties(properties, own))
        self.look()

    def poll(self, timeout: float) -> Sequence[Message]:
        """Give at most MOST_MESSAGES messages. Raises KafkaFailed when the client cannot go on."""
        self._tell()
        if not self._assigned:
            self._begin(timeout)
            return []
        try:
            polled = self._consumer.consume(MOST_MESSAGES, timeout)
        except KafkaException as error:
            raise KafkaFailed(f"the consumer cannot go on: {error.args[0].str()}") from error
        messages = []
        for message in polled:
            event = message.error()
            if event is None:
                messages.append(message)
                self._positions[_place(message)] = (message.offset() or 0) + 1
            elif event.code() == _END:
                where = _place(message)
                self._positions[where] = max(self._positions[where], message.offset() or 0)
                self._ended.append(where)
            elif event.fatal():
                raise KafkaFailed(f"the consumer cannot go on: {event.str()}")
            else:
                _log.warning("Kafka reports an error", error=event.name(), message=event.str(), topic=message.topic())
        self._take_ends()
        return messages

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Read nothing of these until they are resumed."""
        self._consumer.pause([KafkaPartition(*each) for each in partitions])

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Read these again."""
        self._consumer.resume([KafkaPartition(*each) for each in partitions])

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Acknowledge, and keep nothing: the group's offsets are the service's."""
        self._commits.update(offsets)

    def end(self, partition: TopicPartition) -> int | None:
        """Give the partition's end as last heard."""
        return self._ends.get(partition)

    def total(self) -> int:
        """Give 0: a replay reads what it needs, and nobody else reads the rest for it."""
        return 0

    def look(self) -> None:
        """Start to ask where the partitions end now."""
        self._looked = False
        self._asked = self._worker.submit(self._ask)

    def looked(self) -> bool:
        """Tell whether all has been given that was there when `look` was called last."""
        return self._looked and all(self._positions[key] >= end for key, end in self._ends.items())

    def read(self) -> tuple[int, int]:
        """Give how many offsets have been read, and how many there are, as last heard."""
        total = sum(max(end, self._starts[key]) - self._starts[key] for key, end in self._ends.items())
        return sum(self._positions[key] - start for key, start in self._starts.items()), total

    def close(self) -> None:
        """Close the connections; a question that is on its way is waited for."""
        self._worker.shutdown(cancel_futures=True)
        self._consumer.close()
        self._questions.close()

    def _begin(self, timeout: float) -> None:
        """Assign once the ends are known. Where a partition is begun stands for what the group has committed."""
        wait(() if self._asked is None else (self._asked,), timeout)
        self._take_ends()
        if self._looked:
            self._assigned = True
            self._consumer.assign([KafkaPartition(*key, offset) for key, offset in self._starts.items()])
            self._listener.assigned(list(self._starts))
            for key, end in self._ends.items():
                self._listener.started(key, self._starts[key], end)

    def _tell(self) -> None:
        ended, self._ended = self._ended, []
        for each in ended:  # only now: the messages before the end were given by the last poll
            self._listener.end_reached(each)
        commits, self._commits = self._commits, {}
        if commits:
            self._listener.committed(commits, {})

    def _take_ends(self) -> None:
        """Take the answer of a look; one that failed is asked again."""
        if self._asked is None and not self._looked and time.monotonic() >= self._look_at:
            self.look()
        if self._asked is None or not self._asked.done():
            return
        asked, self._asked = self._asked, None
        try:
            self._ends.update(asked.result())
        except KafkaException as error:
            _log.warning("where the log ends is not known yet", error=error.args[0].str())
            self._look_at = time.monotonic() + ASK_AGAIN
        else:
            self._looked = True

    def _ask(self) -> dict[TopicPartition, int]:
        ends = {}
        for key in self._starts:
            found = self._questions.get_watermark_offsets(KafkaPartition(*key), timeout=ANSWER_WITHIN)
            if found is None:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - the client's public name
            ends[key] = found[1]
        self._questions.poll(0)  # gives its log lines, which would pile up
        return ends


def _place(message: Any) -> TopicPartition:  # noqa: ANN401 - an event of the client is shaped like a message
    return TopicPartition(message.topic(), message.partition())


def _on_error(error: KafkaError) -> None:
    _log.warning("Kafka reports an error", error=error.name(), message=error.str())
