"""The partitions that are ours: their epochs, whether we have caught up, and what is committable. Pure.

On assignment the end of each partition is noted. Until all below it has been read the partition is *catching up*: what
is read again after a crash first collapses to the newest intents, and only then is anything sent. Nor is anything sent
before the group has a committed offset: so where it has none, no previous owner had anything on the wire.
"""

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from consumer.changes import Assignment, Message, TopicPartition
from consumer.offsets import Hold, Offsets


@dataclass(slots=True, eq=False)
class Partition:
    """One partition of ours. `held` are messages whose schema is not known yet, with the hold on the first of them."""

    key: TopicPartition
    assignment: Assignment
    assigned_at: float
    next_offset: int | None = None
    committed: int | None = None  # what the broker has, as far as we know
    asked: int | None = None  # what the latest commit asked for
    end: int | None = None  # noted at the assignment
    inherits: bool = True  # the previous owner may have had changes below `end` on the wire
    caught_up: bool = False
    stuck: bool = False  # its next offset is out of range
    held: deque[Message] = field(default_factory=deque)
    hold: Hold | None = None

    def behind(self) -> float:
        """Give the end that was found at the assignment: what is below, the previous owner may have sent."""
        if not self.inherits:
            return 0
        return float("inf") if self.end is None else self.end


class Partitions:
    """All of them, by topic and number."""

    def __init__(self, offsets: Offsets) -> None:
        self.offsets = offsets
        self.catching_up: set[Assignment] = set()
        self._ours: dict[TopicPartition, Partition] = {}
        self._epochs: dict[TopicPartition, int] = {}

    def __len__(self) -> int:
        return len(self._ours)

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._ours.values())

    def get(self, key: tuple[str | None, int | None]) -> Partition | None:
        """Give the partition if it is ours. A pair is as good a key as a TopicPartition."""
        return self._ours.get(key)  # type: ignore[call-overload, no-any-return]  # None is never a key

    def assign(self, keys: Collection[TopicPartition], now: float) -> None:
        """Begin a new epoch of each, with nothing held."""
        for key in keys:
            self._epochs[key] = epoch = self._epochs.get(key, 0) + 1
            assignment = Assignment(key.topic, key.partition, epoch)
            self._ours[key] = Partition(key, assignment, now)
            self.offsets.assign(assignment)
            self.catching_up.add(assignment)

    def started(self, key: TopicPartition, committed: int | None, end: int) -> None:
        """Take note of the offsets that were found at the assignment."""
        partition = self._ours.get(key)
        if partition is not None:
            if committed is not None:  # or else a commit of ours may have been faster
                self.committed(key, committed)
            partition.end = end
            partition.inherits = committed is not None
            behind = partition.next_offset if partition.next_offset is not None else committed
            if end == 0 or (behind is not None and behind >= end):
                self._caught_up(partition)

    def processed(self, partition: Partition, offset: int) -> None:
        """All that the message at `offset` started is held by now."""
        partition.next_offset = offset + 1
        self.offsets.processed(partition.assignment, offset)
        if partition.end is not None and partition.next_offset >= partition.end:
            self._caught_up(partition)

    def end_reached(self, key: TopicPartition) -> None:
        """All that the partition holds has been read, though its last offsets may bear no message."""
        partition = self._ours.get(key)
        if partition is None:
            return
        if partition.held:
            partition.end = (partition.held[-1].offset() or 0) + 1
        else:
            self._caught_up(partition)

    def committed(self, key: TopicPartition, offset: int) -> None:
        """Take note of what the broker has."""
        partition = self._ours.get(key)
        if partition is not None:
            partition.committed = offset
            if partition.caught_up:
                self.catching_up.discard(partition.assignment)

    def revoke(self, keys: Collection[TopicPartition]) -> list[Partition]:
        """Forget these; give those that were ours."""
        gone = [self._ours.pop(key) for key in keys if key in self._ours]
        for partition in gone:
            self.offsets.revoke(partition.assignment)
            self.catching_up.discard(partition.assignment)
        return gone

    def committable(self, *, again: bool = False) -> dict[TopicPartition, int]:
        """Give what may be committed and is not; with `again` also what is."""
        found = {}
        for key, partition in self._ours.items():
            offset = self.offsets.committable(partition.assignment)
            if offset is not None and (again or offset != partition.asked):
                found[key] = offset
        return found

    def _caught_up(self, partition: Partition) -> None:
        partition.caught_up = True
        if partition.committed is not None:
            self.catching_up.discard(partition.assignment)
