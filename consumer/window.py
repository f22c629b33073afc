"""The collapsing window of one list, and the batch that a flush makes of it.

For each contact a window keeps one intent: the change with the highest number, which is the latest in the log. So
folding is commutative, associative and idempotent, and no contact is ever asked to enter and to leave at once. The age
of a window counts from its first change: later changes never push its due time back.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from consumer.changes import Assignment, Change
from consumer.offsets import Holds, Offsets
from consumer.packed import Packed, PackedChanges, Told, offset_of, packed


class Window:
    """The newest intent of every contact that waits for one list."""

    __slots__ = ("_intents", "_offsets", "due_at", "holds")

    def __init__(self, offsets: Offsets) -> None:
        self._offsets = offsets
        self._intents = PackedChanges(offsets)
        self.holds = Holds(offsets)
        self.due_at: float | None = None

    def __len__(self) -> int:
        return len(self._intents)

    def removals(self) -> list[int]:
        """Give the numbers of the changes that remove."""
        return self._intents.removals()

    def get(self, contact: int) -> Change | None:
        """Give the contact's intent, if it waits here."""
        return self._intents.get(contact)

    def also(self, contacts: PackedChanges) -> AbstractSet[int]:
        """Give those of the contacts that wait here, too."""
        return self._intents.packed.keys() & contacts.packed.keys()

    def fold(self, contact: int, change: Change, due_at: float) -> bool:
        """Take a change in; the window is due at `due_at` at the latest. False if one of two changes was superseded."""
        told = [(contact, packed(change, self._offsets))]
        return self.fold_all(told, change.assignment, due_at) > 0

    def fold_all(self, changes: Sequence[Told], assignment: Assignment, due_at: float) -> int:
        """Fold changes of one assignment, in the order of the log; give how many contacts the window has more then."""
        intents = self._intents.packed
        before = len(intents)
        first: Packed | None = None
        for contact, change in changes:
            known = intents.get(contact)
            if known is None or known < change:
                intents[contact] = change
                if first is None:
                    first = change
        if first is not None:
            self.holds.cover(assignment, offset_of(first))
        if self.due_at is None or due_at < self.due_at:
            self.due_at = due_at
        return len(intents) - before

    def merge(self, intents: PackedChanges, due_at: float) -> None:
        """Take over what a batch has left, as if each were folded; `intents` belong to the window from now on.

        The smaller side is folded into the larger one, so that a million contacts cost little more than their holds.
        """
        larger = len(intents) > len(self._intents)
        if larger:
            intents, self._intents = self._intents, intents
        for contact, change in intents.items():
            self.fold(contact, change, due_at)
        if larger:
            for assignment, offset in self._intents.first().items():
                self.holds.cover(assignment, offset)
            self.due_at = due_at if self.due_at is None else min(self.due_at, due_at)

    def take(self) -> "Batch":
        """Empty the window into a batch, holds and all."""
        batch = Batch(self._intents, self.holds)
        self._intents = PackedChanges(self._offsets)
        self.holds = Holds(self._offsets)
        self.due_at = None
        return batch

    def forget(self, assignment: Assignment) -> None:
        """Drop all that came from one assignment."""
        if assignment not in self.holds:
            return
        self.holds.forget(assignment)
        self._intents.forget(assignment)
        if not self._intents:
            self.due_at = None


class Batch:
    """What one flush took out of a window: unsent intents, and the holds until all of it has a durable end.

    A batch has open *parts*: the unsent rest is one, what was cut from it for a request is one, and so is each record
    that Kafka has not acknowledged yet. The holds go when the last part is closed.
    """

    __slots__ = ("_parts", "_unsent", "holds")

    def __init__(self, intents: PackedChanges, holds: Holds) -> None:
        self._unsent = intents
        self.holds = holds
        self._parts = 1

    def __len__(self) -> int:
        return len(self._unsent)

    def __iter__(self) -> Iterator[Change]:
        return iter(self._unsent.values())

    def __contains__(self, contact: int) -> bool:
        return contact in self._unsent

    @property
    def done(self) -> bool:
        """True once nothing of it is left and nothing is held."""
        return self._parts == 0

    def cut(self, size: int) -> PackedChanges:
        """Take the next `size` intents for a request, which is a new part."""
        self.open_part()
        contacts = self._unsent.cut(size)
        if not self._unsent:
            self.close_part()
        return contacts

    def rest(self) -> PackedChanges:
        """Take all that is unsent. Hold it elsewhere, or close a part for it, before the last part is closed."""
        return self._unsent.rest()

    def open_part(self) -> None:
        """Something more of this batch has to end before its offsets may be committed."""
        self._parts += 1

    def close_part(self) -> None:
        """One part ended; the last one releases the holds."""
        self._parts -= 1
        if self._parts == 0:
            self.holds.release()

    def forget(self, assignment: Assignment) -> None:
        """Drop all unsent intents of one assignment."""
        self.holds.forget(assignment)
        if self._unsent:
            self._unsent.forget(assignment)
            if not self._unsent:
                self.close_part()
