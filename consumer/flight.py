"""The request on the wire of one list, and what an answer makes of each of its contacts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from consumer.changes import Assignment, Change
from consumer.outcomes import Applied, ContactOutcome, Outcome, Request
from consumer.window import Batch


@dataclass(slots=True)
class Flight:
    """A request, the change that decided each of its contacts, and the batch that they were cut from.

    A look at the list carries no contact, and belongs to no batch.
    """

    request: Request
    contacts: Mapping[int, Change]
    batch: Batch | None
    assignments: frozenset[Assignment] = field(init=False)

    def __post_init__(self) -> None:
        """Note whose changes it carries."""
        self.assignments = frozenset(change.assignment for change in self.contacts.values())

    def __contains__(self, contact: int) -> bool:
        return contact in self.contacts

    def __len__(self) -> int:
        return len(self.contacts)


def outcomes_of(flight: Flight, verdict: Applied) -> tuple[ContactOutcome, ...]:
    """Give each contact its outcome: sent = added + removed + not found + unchanged."""

    def outcome(contact: int) -> Outcome:
        if contact in verdict.missing:
            return Outcome.NOT_FOUND
        if contact in verdict.added:
            return Outcome.ADDED
        return Outcome.REMOVED if contact in verdict.removed else Outcome.UNCHANGED

    return tuple(ContactOutcome(contact, outcome(contact), change) for contact, change in flight.contacts.items())
