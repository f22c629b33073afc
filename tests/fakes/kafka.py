"""Kafka in memory: topics, committed offsets, and members that own partitions. It refuses what a broker refuses.

Who owns what is told by the test (`assign`, `revoke`, `lose`) or by `tests.fakes.group.Group`, and heard by the member
in its next poll, as with the real client.
"""

from collections.abc import Callable, Collection, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from functools import partial

from confluent_kafka import Message

from consumer.changes import TopicPartition
from consumer.outcomes import DeadLetter, Result
from consumer.ports import Listener
from tests.fakes.clock import ScriptedClock

TOPIC = "journey.membership"
MOST_MESSAGES = 100
READING = 0.001  # seconds that a poll with messages takes


@dataclass
class MemoryBroker:
    """One topic's partitions, and the offsets that the group has committed."""

    partitions: int = 4
    log: dict[TopicPartition, MutableSequence[Message]] = field(default_factory=dict)
    begin: dict[TopicPartition, int] = field(default_factory=dict)
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    owners: dict[TopicPartition, "MemorySource"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in range(self.partitions):
            self.log[TopicPartition(TOPIC, number)] = []

    def append(self, key: str, value: bytes | None, partition: int, timestamp: float) -> Message:
        """Write a message; `timestamp` in seconds since 1970."""
        where = TopicPartition(TOPIC, partition)
        message = Message(
            topic=TOPIC,
            partition=partition,
            offset=self.end(where),
            key=key.encode(),
            value=value,
            headers=[("origin", b"test")],
            timestamp=(1, round(timestamp * 1000)),
        )
        self.log[where].append(message)
        return message

    def commit(self, member: "MemorySource", offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, str]:
        """Take the offsets of a member's own partitions; give Kafka's name of the error for the others."""
        ours = {key: offset for key, offset in offsets.items() if self.owners.get(key) is member}
        self.committed.update(ours)
        return {key: "UNKNOWN_MEMBER_ID" for key in offsets if key not in ours}

    def end(self, where: TopicPartition) -> int:
        """Next offset to be written."""
        return self.begin.get(where, 0) + len(self.log[where])


class MemorySource:
    """One member. A poll hears what happened to its partitions, then reads; time passes in it."""

    def __init__(self, broker: MemoryBroker, clock: ScriptedClock, listener: Listener) -> None:
        self._broker = broker
        self._clock = clock
        self._listener = listener
        self._rebalances: list[Callable[[], None]] = []
        self._news: list[Callable[[], None]] = []
        self._positions: dict[TopicPartition, int] = {}
        self._told_end: set[TopicPartition] = set()
        self._epochs: dict[TopicPartition, int] = {}
        self._unknown: set[TopicPartition] = set()  # nobody has told yet where they were committed and where they end
        self._unanswered: list[Callable[[], None]] = []
        self.paused: set[TopicPartition] = set()
        self.commit_errors: list[str] = []  # Kafka's names of errors for the next commits, one each
        self.answers_lookups = True  # or else they are kept back until it does
        self.answers_commits = True  # as above
        self.most_messages = MOST_MESSAGES  # in one poll
        self.reads_to: int | None = None  # an offset that no partition is read past
        self.slack = 0.0  # seconds that a poll takes at least when there is nothing to read
        self.in_group = True
        self.closed = False

    @property
    def owned(self) -> set[TopicPartition]:
        """What this member owns."""
        return set(self._positions)

    @property
    def rebalancing(self) -> bool:
        """True while the member has something to hear about its partitions."""
        return bool(self._rebalances)

    def position(self, key: TopicPartition) -> int:
        """Give the next offset that is read; 0 if the partition is not this member's."""
        return self._positions.get(key, 0)

    def assign(self, *numbers: int) -> None:
        """Give partitions to this member."""
        keys = [TopicPartition(TOPIC, number) for number in numbers]
        self._rebalances.append(lambda: self._assigned(keys))

    def revoke(self, *numbers: int) -> None:
        """Take partitions away, after the member has handed them over."""
        keys = [TopicPartition(TOPIC, number) for number in numbers]
        self._rebalances.append(lambda: self._gone(keys, self._listener.revoked))

    def lose(self, *numbers: int) -> None:
        """Take partitions away: the group has thrown the member out."""
        keys = [TopicPartition(TOPIC, number) for number in numbers]
        for key in keys:
            self._disown(key)
        self._rebalances.append(lambda: self._gone(keys, self._listener.lost))

    def cast_out(self) -> None:
        """Let its session end unheard: it owns nothing any more, and what it was to hear is void. See `lose`.

        What it was to hear in the poll that it sleeps in, it hears all the same; the group knows nothing of that.
        """
        self.in_group = False
        self._rebalances.clear()
        for key in self._positions:
            self._disown(key)

    def poll(self, timeout: float) -> Sequence[Message]:
        """Hear the news, then read."""
        if self.closed:
            raise RuntimeError("the consumer is closed")
        if self.answers_commits:
            self._news += self._unanswered
            self._unanswered = []
        if self.answers_lookups:
            self._look_up()
        news, self._rebalances, self._news = self._rebalances + self._news, [], []
        for tell in news:
            tell()
        messages: list[Message] = []
        for key in sorted(self._positions):
            if key not in self.paused:
                messages += self._read(key, self.most_messages - len(messages))
        self._clock.advance(READING if messages or news else max(timeout, self.slack))
        return messages

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Read nothing of these."""
        self._refuse_foreign(partitions)
        self.paused.update(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Read these again."""
        self._refuse_foreign(partitions)
        self.paused.difference_update(partitions)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit what is ours; the answer is news."""
        scripted = self.commit_errors.pop(0) if self.commit_errors else None
        errors = dict.fromkeys(offsets, scripted) if scripted else self._broker.commit(self, offsets)
        taken = {key: offset for key, offset in offsets.items() if key not in errors}
        self._unanswered.append(lambda: self._listener.committed(taken, errors))

    def end(self, partition: TopicPartition) -> int | None:
        """End of a partition of ours."""
        return self._broker.end(partition)

    def total(self) -> int:
        """Give the topic's partitions."""
        return self._broker.partitions

    def close(self) -> None:
        """Leave the group: what is owned is revoked once more."""
        if not self.closed:
            self.closed = True
            self._gone(list(self._positions), self._listener.revoked)

    def _assigned(self, keys: list[TopicPartition]) -> None:
        for key in keys:
            if self.in_group:
                self._broker.owners[key] = self
            self._positions[key] = self._broker.committed.get(key, self._broker.begin.get(key, 0))
            self._told_end.discard(key)
            self._epochs[key] = self._epochs.get(key, 0) + 1
        self.paused.difference_update(keys)
        self._listener.assigned(keys)
        self._unknown.update(keys)
        if self.answers_lookups:
            self._look_up()

    def _look_up(self) -> None:
        for key in sorted(self._unknown):
            committed, end = self._broker.committed.get(key), self._broker.end(key)
            self._news.append(partial(self._started, key, self._epochs[key], committed, end))
        self._unknown.clear()

    def _started(self, key: TopicPartition, epoch: int, committed: int | None, end: int) -> None:
        if key in self._positions and epoch == self._epochs[key]:
            self._listener.started(key, committed, end)

    def _gone(self, keys: list[TopicPartition], tell: Callable[[Collection[TopicPartition]], None]) -> None:
        tell(keys)
        for key in keys:
            self._positions.pop(key, None)
            self._unknown.discard(key)
            self.paused.discard(key)
            self._disown(key)

    def _disown(self, key: TopicPartition) -> None:
        if self._broker.owners.get(key) is self:
            del self._broker.owners[key]

    def _read(self, key: TopicPartition, most: int) -> Sequence[Message]:
        position = self._positions[key]
        end = self._broker.end(key)
        if position == end and key in self._told_end:
            return []
        begin = self._broker.begin.get(key, 0)
        if not begin <= position <= end:
            self._listener.out_of_range(key, position)
            return []
        last = min(position + most, end if self.reads_to is None else max(position, self.reads_to))
        messages = self._broker.log[key][position - begin : last - begin]
        self._positions[key] += len(messages)
        if self._positions[key] == end:
            if key not in self._told_end:
                self._told_end.add(key)
                self._news.append(partial(self._end_reached, key, self._epochs[key]))
        else:
            self._told_end.discard(key)
        return messages

    def _end_reached(self, key: TopicPartition, epoch: int) -> None:
        if key in self._positions and epoch == self._epochs[key]:
            self._listener.end_reached(key)

    def _refuse_foreign(self, partitions: Collection[TopicPartition]) -> None:
        foreign = set(partitions) - set(self._positions)
        if foreign:
            raise RuntimeError(f"not assigned: {sorted(foreign)}")


class MemorySink:
    """Results and dead letters, acknowledged at the next `serve`, or when the test lets it."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.dead_letters: list[DeadLetter] = []
        self.away = False  # nothing is acknowledged
        self._unacknowledged: list[tuple[Result | DeadLetter, Callable[[], None]]] = []

    @property
    def pending(self) -> int:
        """Records that are not acknowledged."""
        return len(self._unacknowledged)

    @property
    def weight(self) -> int:
        """What these records take, as many waiting contacts do."""
        return sum(record.weight for record, _ in self._unacknowledged)

    def send(self, record: Result | DeadLetter, done: Callable[[], None]) -> None:
        """Take a record."""
        self._unacknowledged.append((record, done))

    def serve(self) -> None:
        """Acknowledge."""
        if self.away:
            return
        waiting, self._unacknowledged = self._unacknowledged, []
        for record, done in waiting:
            self.keep(record)
            done()

    def keep(self, record: Result | DeadLetter) -> None:
        """Put a record into its topic."""
        if isinstance(record, Result):
            self.results.append(record)
        else:
            self.dead_letters.append(record)

    def crash(self, *, written: bool) -> None:
        """End without a word: nobody hears of what is not acknowledged, `written` or not."""
        waiting, self._unacknowledged = self._unacknowledged, []
        for record, _ in waiting if written else ():
            self.keep(record)


class MemoryLog:
    """The partitions as a replay reads them: from given offsets on, in no group. Commits are acknowledged, not kept."""

    def __init__(
        self, broker: MemoryBroker, clock: ScriptedClock, starts: Mapping[TopicPartition, int], listener: Listener
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._listener = listener
        self._starts = dict(starts)
        self._positions: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._told: dict[TopicPartition, int] = {}  # ends that were told
        self._commits: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self.stalled = False  # nothing comes from the broker
        self.closed = False

    def poll(self, timeout: float) -> Sequence[Message]:
        """Begin, or tell and read."""
        self._tell()
        messages: list[Message] = []
        if not self._positions:
            self._positions = dict(self._starts)
            self.look()
            self._listener.assigned(list(self._starts))
            for key, end in self._ends.items():
                self._listener.started(key, self._starts[key], end)
        elif not self.stalled:
            for key in sorted(self._positions.keys() - self._paused):
                position = self._positions[key]
                read = self._broker.log[key][position - self._broker.begin.get(key, 0) :][:MOST_MESSAGES]
                self._positions[key] += len(read)
                messages += read
        self._clock.advance(READING if messages else timeout)
        return messages

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Read nothing of these."""
        self._paused.update(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        """Read these again."""
        self._paused.difference_update(partitions)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Acknowledge in the next poll."""
        self._commits.update(offsets)

    def end(self, partition: TopicPartition) -> int | None:
        """End of a partition as the last look told it."""
        return self._ends.get(partition)

    def total(self) -> int:
        """Give nothing."""
        return 0

    def look(self) -> None:
        """Note the ends."""
        self._ends = {key: self._broker.end(key) for key in self._starts}

    def looked(self) -> bool:
        """Tell whether they are reached."""
        return all(self._positions[key] >= end for key, end in self._ends.items())

    def read(self) -> tuple[int, int]:
        """How much of how much."""
        ends = sum(self._ends.values())
        return sum(self._positions.values()), ends

    def close(self) -> None:
        """Read no more."""
        self.closed = True

    def _tell(self) -> None:
        for key, position in self._positions.items():
            if position == self._broker.end(key) and self._told.get(key) != position:
                self._told[key] = position
                self._listener.end_reached(key)
        commits, self._commits = self._commits, {}
        if commits:
            self._listener.committed(commits, {})
