"""What became of the contacts that a replay or a rebuild sent, for people and for programs. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from consumer.outcomes import DEAD_LETTER_REASONS, Outcome


class Ended(Protocol):
    """What is looked at of a Replay that has come to its end."""

    @property
    def stopped_early(self) -> bool:
        """Whether it was stopped before all was done."""

    def outcomes(self) -> Counter[str]:
        """Count what HubSpot said of its contacts."""

    def failures(self) -> Counter[str]:
        """Count why contacts became dead letters."""

    def left(self) -> int:
        """Count what was not sent."""


@dataclass(slots=True)
class Summary:
    """What became of what was chosen, in contacts (in events, where no contact is known)."""

    superseded: int = 0
    skipped: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    impossible: Counter[str] = field(default_factory=Counter)
    left: int = 0
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        """1 if anything failed again, could not be replayed, or was left."""
        return 1 if self.failed or self.impossible or self.left or self.stopped else 0

    def add(self, done: Ended) -> None:
        """Add what became of a replay's contacts."""
        self.outcomes += done.outcomes()
        self.failed += done.failures()
        self.left, self.stopped = done.left(), done.stopped_early

    def as_object(self) -> dict[str, Any]:
        """Give it for programs."""
        return {
            "applied": {outcome.lower(): self.outcomes[outcome] for outcome in Outcome},
            "superseded": self.superseded,
            "skipped": self.skipped,
            "failed": dict(sorted(self.failed.items())),
            "not_replayable": dict(sorted(self.impossible.items())),
            "left": self.left,
            "stopped": self.stopped,
        }

    def rows(self) -> Iterator[tuple[str, int, str]]:
        """Yield what there is of it for people: what became of how many, and why."""
        meanings = {
            Outcome.ADDED: "applied, added to the list",
            Outcome.REMOVED: "applied, removed from the list",
            Outcome.UNCHANGED: "applied, was so already",
            Outcome.NOT_FOUND: "applied, no such contact in HubSpot",
            Outcome.MERGED: "applied, to the contact that it was merged into",
        }
        yield from ((told, self.outcomes[outcome], "") for outcome, told in meanings.items() if self.outcomes[outcome])
        if self.superseded:
            yield "superseded", self.superseded, "a change at least as new was applied since"
        if self.skipped:
            yield "skipped", self.skipped, "can be read by now, and concerns no list"
        for reason, count in sorted(self.failed.items()):
            yield "failed", count, f"{reason}: {DEAD_LETTER_REASONS.get(reason, '')}"
        for why, count in sorted(self.impossible.items()):
            yield "not replayable", count, why
        if self.left:
            yield "left", self.left, "stopped before: start it again"
