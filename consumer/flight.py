"""The request on the wire of one list, and what an answer makes of each of its contacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, overload

from consumer.changes import Assignment, Change
from consumer.offsets import Offsets
from consumer.outcomes import Applied, ContactOutcome, Outcome, Request
from consumer.packed import Packed, PackedChanges, packed, timestamps, unpacked
from consumer.window import Batch


class Retry(NamedTuple):
    """An addition that was not found: its change, how many tries were answered since, and when the next one is due."""

    change: Change
    answers: int
    due: float


@dataclass(slots=True)
class Flight:
    """A request, the change that decided each of its contacts, and the batch that holds their offsets.

    `retries` were not found before, and the batch holds nothing of theirs. `superseded` are the contacts of which a
    newer change was read already. A look at the list carries no contact, and belongs to no batch; `for_guard` wants to
    know the list's size alone.
    """

    request: Request
    contacts: PackedChanges
    retries: Mapping[int, Retry]
    batch: Batch | None
    for_guard: bool = False
    assignments: frozenset[Assignment] = field(init=False)
    superseded: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Note whose changes it carries."""
        self.assignments = self.changes().assignments()

    def __contains__(self, contact: int) -> bool:
        return contact in self.contacts or contact in self.retries

    @property
    def size(self) -> int:
        """How many contacts it carries."""
        return len(self.contacts) + len(self.retries)

    def changes(self) -> PackedChanges:
        """Give the change that decided each contact, retries included."""
        if not self.retries:
            return self.contacts
        changes = self.contacts.copy()
        changes.update({contact: retry.change for contact, retry in self.retries.items()})
        return changes


OUTCOMES = tuple(Outcome)
"""Every outcome, by its code."""

_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}


class Outcomes(Sequence[ContactOutcome]):
    """What became of the contacts of a request, one after the other; held in columns, for there may be thousands.

    `codes` are places in OUTCOMES.
    """

    __slots__ = ("_offsets", "changes", "codes", "contacts")

    def __init__(self, contacts: Sequence[int], codes: bytes, changes: Sequence[Packed], offsets: Offsets) -> None:
        self.contacts = contacts
        self.codes = codes
        self.changes = changes
        self._offsets = offsets

    @classmethod
    def of(cls, told: Sequence[ContactOutcome]) -> "Outcomes":
        """Give the same as columns."""
        if isinstance(told, cls):
            return told
        offsets = Offsets()
        for assignment in {each.change.assignment for each in told}:
            offsets.assign(assignment)
        codes = bytes(_CODES[each.outcome] for each in told)
        return cls([each.contact for each in told], codes, [packed(each.change, offsets) for each in told], offsets)

    def __len__(self) -> int:
        return len(self.contacts)

    @overload
    def __getitem__(self, index: int) -> ContactOutcome: ...

    @overload
    def __getitem__(self, index: slice) -> "Outcomes": ...

    def __getitem__(self, index: int | slice) -> "ContactOutcome | Outcomes":
        if isinstance(index, slice):
            return Outcomes(self.contacts[index], self.codes[index], self.changes[index], self._offsets)
        change = unpacked(self.changes[index], self._offsets)
        return ContactOutcome(self.contacts[index], OUTCOMES[self.codes[index]], change)

    def counts(self) -> Mapping[Outcome, int]:
        """Count the contacts by outcome."""
        return {outcome: self.codes.count(code) for code, outcome in enumerate(OUTCOMES)}

    def timestamps(self) -> list[int]:
        """Give Kafka's timestamp of each deciding change."""
        return timestamps(self.changes)

    def assignment(self, where: int) -> Assignment:
        """Give the assignment that a packed change tells of, by its last field."""
        return self._offsets.at(where >> 1)


def outcomes_of(flight: Flight, verdict: Applied) -> Outcomes:
    """Give each contact its outcome: sent = added + removed + not found + merged + unchanged."""
    changes = flight.changes()
    by_contact: dict[int, int] = {}
    for contacts, outcome in (
        (verdict.added, Outcome.ADDED),
        (verdict.removed, Outcome.REMOVED),
        (verdict.merged, Outcome.MERGED),
        (verdict.missing, Outcome.NOT_FOUND),
    ):
        by_contact.update(dict.fromkeys(contacts, _CODES[outcome]))
    get, unchanged = by_contact.get, _CODES[Outcome.UNCHANGED]
    codes = bytes([get(contact, unchanged) for contact in changes.packed])
    return Outcomes(list(changes.packed), codes, list(changes.packed.values()), changes.offsets)


NOBODY = Outcomes.of(())
