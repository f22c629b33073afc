"""Which offset of a partition is committable.

The rule: *committable* is the next offset to read such that nothing below it is unfinished. Whoever has something
unfinished (a window, a batch, a message held undecoded, a record that Kafka has not acknowledged) keeps a *hold* on
the first offset concerned; the committable offset is the smallest hold, or, without any, one past the last message
processed. Holds are released out of order. The committable offset never moves backwards: a hold below it is refused.
"""

import heapq
from collections.abc import Iterator
from itertools import count

from consumer.changes import Assignment

SWEEP_FROM = 64
"""Holds of a partition from which on released ones are looked for."""


class Hold:
    """A promise not to commit past `offset`."""

    __slots__ = ("offset", "released")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.released = False

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        self.released = True


class OffsetAlreadyCommittableError(Exception):
    """Somebody wanted to hold an offset that may have been committed already: a defect of the caller."""


class PartitionOffsets:
    """The holds of one assignment."""

    __slots__ = ("_committable", "_holds", "_next", "_sweep_at", "_ties")

    def __init__(self) -> None:
        self._holds: list[tuple[int, int, Hold]] = []
        self._ties = count()
        self._sweep_at = SWEEP_FROM
        self._next: int | None = None
        self._committable: int | None = None

    def hold(self, offset: int) -> Hold:
        """Hold `offset`. Raises OffsetAlreadyCommittableError when it is below what `committable` said before."""
        if self._committable is not None and offset < self._committable:
            raise OffsetAlreadyCommittableError(f"offset {offset} was given up: {self._committable} is committable")
        if len(self._holds) >= self._sweep_at:
            self._sweep()
        hold = Hold(offset)
        heapq.heappush(self._holds, (offset, next(self._ties), hold))
        return hold

    def processed(self, offset: int) -> None:
        """All that the message at `offset` started is held by now."""
        self._next = offset + 1

    def committable(self) -> int | None:
        """Give the offset that may be committed; None before the first message was processed."""
        while self._holds and self._holds[0][2].released:
            heapq.heappop(self._holds)
        self._committable = self._holds[0][0] if self._holds else self._next
        return self._committable

    def _sweep(self) -> None:
        """Drop what is released. One hold may last for a day, and all that came after it would pile up behind it."""
        self._holds = [entry for entry in self._holds if not entry[2].released]
        heapq.heapify(self._holds)
        self._sweep_at = max(SWEEP_FROM, 2 * len(self._holds))


class Offsets:
    """The offsets of all assignments that are ours. `total`: how many partitions the topics have; 0: not known."""

    def __init__(self) -> None:
        self._partitions: dict[Assignment, PartitionOffsets] = {}
        self._places: dict[Assignment, int] = {}
        self._assignments: list[Assignment] = []
        self.total = 0

    def __contains__(self, assignment: Assignment) -> bool:
        return assignment in self._partitions

    def __len__(self) -> int:
        return len(self._partitions)

    def assign(self, assignment: Assignment) -> None:
        """Start with nothing held."""
        self._partitions[assignment] = PartitionOffsets()
        self._places[assignment] = len(self._assignments)
        self._assignments.append(assignment)

    def revoke(self, assignment: Assignment) -> None:
        """Forget it and all that is held of it."""
        self._partitions.pop(assignment, None)

    def place(self, assignment: Assignment) -> int:
        """Give the number that stands for an assignment, for ever: what is on the wire outlives a revoke."""
        return self._places[assignment]

    def at(self, place: int) -> Assignment:
        """Give the assignment that a number stands for."""
        return self._assignments[place]

    def hold(self, assignment: Assignment, offset: int) -> Hold:
        """Hold an offset of an assignment that is ours."""
        return self._partitions[assignment].hold(offset)

    def processed(self, assignment: Assignment, offset: int) -> None:
        """All that the message at `offset` started is held by now."""
        self._partitions[assignment].processed(offset)

    def committable(self, assignment: Assignment) -> int | None:
        """Give the offset that may be committed, if any."""
        partition = self._partitions.get(assignment)
        return None if partition is None else partition.committable()


class Holds:
    """What one holder holds: one first offset for each assignment."""

    __slots__ = ("_offsets", "first")

    def __init__(self, offsets: Offsets) -> None:
        self._offsets = offsets
        self.first: dict[Assignment, Hold] = {}

    def __contains__(self, assignment: Assignment) -> bool:
        return assignment in self.first

    def __iter__(self) -> Iterator[Assignment]:
        return iter(self.first)

    def cover(self, assignment: Assignment, offset: int) -> None:
        """See to it that `offset` is held."""
        hold = self.first.get(assignment)
        if hold is not None and hold.offset <= offset:
            return
        self.first[assignment] = self._offsets.hold(assignment, offset)
        if hold is not None:
            hold.release()

    def forget(self, assignment: Assignment) -> None:
        """Let go of one assignment."""
        hold = self.first.pop(assignment, None)
        if hold is not None:
            hold.release()

    def release(self) -> None:
        """Let go of everything."""
        for hold in self.first.values():
            hold.release()
        self.first.clear()
