"""The request on the wire of one list, and what an answer makes of each of its contacts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from consumer.changes import Assignment, Change
from consumer.outcomes import Applied, ContactOutcome, Outcome, Request
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
    contacts: Mapping[int, Change]
    retries: Mapping[int, Retry]
    batch: Batch | None
    for_guard: bool = False
    assignments: frozenset[Assignment] = field(init=False)
    superseded: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Note whose changes it carries."""
        self.assignments = frozenset(change.assignment for change in self.changes().values())

    def __contains__(self, contact: int) -> bool:
        return contact in self.contacts or contact in self.retries

    @property
    def size(self) -> int:
        """How many contacts it carries."""
        return len(self.contacts) + len(self.retries)

    def changes(self) -> Mapping[int, Change]:
        """Give the change that decided each contact, retries included."""
        if not self.retries:
            return self.contacts
        return {**self.contacts, **{contact: retry.change for contact, retry in self.retries.items()}}


def outcomes_of(flight: Flight, verdict: Applied) -> tuple[ContactOutcome, ...]:
    """Give each contact its outcome: sent = added + removed + not found + merged + unchanged."""

    def outcome(contact: int) -> Outcome:
        if contact in verdict.missing:
            return Outcome.NOT_FOUND
        if contact in verdict.merged:
            return Outcome.MERGED
        if contact in verdict.added:
            return Outcome.ADDED
        return Outcome.REMOVED if contact in verdict.removed else Outcome.UNCHANGED

    return tuple(ContactOutcome(contact, outcome(contact), change) for contact, change in flight.changes().items())
