"""Contacts that HubSpot did not find, to be tried again: one created seconds ago is known a moment later.

- Only an addition is tried again: a contact that does not exist is on no list.
- The first answer is the end of the change: its result is written, its offset may be committed. So nothing in here
  holds an offset, and whoever takes the partition over knows nothing of it.
- The tries are spread so that each wait is twice the one before, and the last try is `over` seconds after the first
  answer: 3 over an hour are after about 9, 26 and 60 minutes.
- A newer change of the contact, whatever it asks for, ends it: the newest intent wins.
- Only an answer uses up a try. What came back without one goes again with the next request.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, get_args

from consumer.changes import Action, Assignment, Change
from consumer.flight import Flight, Retry
from consumer.offsets import Offsets
from consumer.outcomes import Applied, Terminal, Verdict

End = Literal["found", "not_found", "given_up", "refused", "superseded", "forgotten", "no_room"]
"""What becomes of a try, or of a contact that was to be tried.

found, not_found: an answer, after the latter it goes on waiting. given_up: the last try did not find it, or none was
answered for too long. refused: the request was refused for good. superseded: a newer change came. forgotten: the
partition was given up, or the service stops. no_room: as many wait as may.
"""

ENDS: tuple[End, ...] = get_args(End)


@dataclass(frozen=True, slots=True)
class Tries:
    """How often contacts are tried again, within how many seconds, and how many of a list may wait for that at once.

    What was due `give_up_after` seconds ago and still has no answer is given up.
    """

    retries: int = 0
    over: float = 0.0
    most: int = 0
    give_up_after: float = 0.0

    def wait(self, answers: int) -> float:
        """Give the seconds until the next try, after so many answers since the first."""
        return self.over * 2.0**answers / (2.0**self.retries - 1)


NEVER = Tries()
"""Nothing is tried again."""


class NotFound:
    """The contacts of one list that wait to be tried again."""

    def __init__(self, tries: Tries) -> None:
        self._tries = tries
        self._unanswered: dict[int, Retry] = {}  # came back without an answer
        # By the number of answers: all in a queue wait equally long, so each is in the order in which it is due.
        self._queues: list[dict[int, Retry]] = [self._unanswered, *({} for _ in range(tries.retries))]
        self.number = 0
        self._told: Counter[End] = Counter()

    def __len__(self) -> int:
        return self.number

    def next_due(self) -> float | None:
        """When the next try is due; None if none is."""
        return min((next(iter(queue.values())).due for queue in self._queues if queue), default=None)

    def take(self, now: float, most: int, waits: Callable[[int], bool]) -> dict[int, Retry]:
        """Take what is due for a request, `most` at most. A contact that `waits` elsewhere stays: it is sent anyway."""
        taken: dict[int, Retry] = {}
        for queue in self._queues:
            for contact, retry in queue.items():
                if retry.due > now or len(taken) >= most:
                    break
                if not waits(contact):
                    taken[contact] = retry
            for contact in taken:
                queue.pop(contact, None)
        self.number -= len(taken)
        return taken

    def newer(self, contact: int) -> None:
        """Let go of a contact of which a newer change was read."""
        self._told["superseded"] += self._pop(contact)

    def answered(self, flight: Flight, verdict: Verdict, ours: Offsets, now: float) -> None:
        """Bring in what became of a request: of the contacts that it tried again, and of those it asked for first.

        `ours` are the assignments that this member still has.
        """
        for contact, retry in flight.retries.items():
            missing = isinstance(verdict, Applied) and contact in verdict.missing
            if isinstance(verdict, Applied) and not missing:
                self._told["found"] += 1
            elif retry.change.assignment not in ours:
                self._told["forgotten"] += 1
            elif contact in flight.superseded:
                self._told["superseded"] += 1
            elif isinstance(verdict, Terminal):
                self._told["refused"] += 1
            elif missing:
                self._missed(contact, retry.change, retry.answers + 1, now)
            elif now - retry.due >= self._tries.give_up_after:
                self._told["given_up"] += 1
            else:
                self._unanswered[contact] = retry
                self.number += 1
        if isinstance(verdict, Applied) and self._tries.retries:
            self._answered_first(flight, verdict, ours, now)

    def forget(self, assignments: Collection[Assignment] | None = None) -> None:
        """Let go of all that came from these assignments; of everything, if None."""
        for queue in self._queues:
            gone = [
                contact
                for contact, retry in queue.items()
                if assignments is None or retry.change.assignment in assignments
            ]
            for contact in gone:
                del queue[contact]
            self.number -= len(gone)
            self._told["forgotten"] += len(gone)

    def tell(self) -> Counter[End]:
        """Give what happened since the last time this was asked."""
        told, self._told = +self._told, Counter()
        return told

    def _answered_first(self, flight: Flight, verdict: Applied, ours: Offsets, now: float) -> None:
        if self.number:
            for contact in flight.contacts.keys() - verdict.missing:
                # It waited here, and its change was sent once more for the sake of a late effect.
                self._told["found"] += self._pop(contact)
        for contact in verdict.missing:
            change = flight.contacts.get(contact)
            if (
                change is not None
                and change.action is Action.ADD
                and change.assignment in ours
                and contact not in flight.superseded
                and not any(contact in queue for queue in self._queues)
            ):
                self._missed(contact, change, 0, now)

    def _missed(self, contact: int, change: Change, answers: int, now: float) -> None:
        """Let a contact wait for its next try; `answers` is how many there were since the first."""
        if answers == self._tries.retries:
            self._told["given_up"] += 1
            return
        if answers:
            self._told["not_found"] += 1
        if len(self) >= self._tries.most:
            self._told["no_room"] += 1
            return
        self.number += 1
        self._queues[answers + 1][contact] = Retry(change, answers, now + self._tries.wait(answers))

    def _pop(self, contact: int) -> bool:
        for queue in self._queues:
            if contact in queue:
                del queue[contact]
                self.number -= 1
                return True
        return False
