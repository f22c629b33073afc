"""One HubSpot list, kept equal to one audience or journey. Pure: time and chance are passed in.

Changes fold into the window. When the window is due a flush takes all of it as a batch, which leaves as one request
after the other, never two at once. A retry is a later flush: what failed for a passing reason folds back into the
window, where only the newest intents survive, and the list is not due before the retry time. What HubSpot did not find
waits beside the window (`not_found.py`), and travels in requests that have room for it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from consumer.changes import Assignment, Change
from consumer.doubts import Doubts
from consumer.flight import NOBODY, Flight, Outcomes, outcomes_of
from consumer.guard import Guard, Held, Limit, Ruling
from consumer.not_found import NEVER, NotFound, Tries
from consumer.offsets import Holds, Offsets
from consumer.outcomes import (
    GAVE_UP,
    TOKEN_EXPIRED,
    UNUSABLE,
    Applied,
    Details,
    NotSent,
    Recoverable,
    Request,
    Scope,
    Terminal,
    Verdict,
)
from consumer.packed import Packed, PackedChanges, Told, number_of, unpacked
from consumer.retry import Backoff, Parking, Patience, Repeats
from consumer.window import Batch, Window

Trigger = Literal["age", "size", "drain", "revoke"]
"""Why a window leaves."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says of windows and retries (seconds), and of the guard."""

    max_age: float
    max_contacts: int
    settle: float
    give_up_after: float
    not_found: Tries = NEVER
    guard: Limit | None = None


@dataclass(frozen=True, slots=True)
class Flush:
    """The request to send next, and what made the window leave.

    None: it left before, and this is more of its batch, or contacts that were not found before.
    """

    request: Request
    trigger: Trigger | None


@dataclass(frozen=True, slots=True)
class Settled:
    """Contacts of `batch` that came to an end: with an outcome each, or refused together by `terminal`."""

    batch: Batch
    request_id: str | None = None
    outcomes: Outcomes = NOBODY
    refused: Mapping[int, Change] = field(default_factory=dict)
    terminal: Terminal | None = None


class ListSync:
    """The state of one list. The loop asks `ready_at`, sends `next_request`, and brings the verdict to `answered`."""

    def __init__(self, connector: str, account: str, list_id: int, rules: Rules, offsets: Offsets) -> None:
        self.connector = connector
        self.account = account
        self.list_id = list_id
        self.not_before = float("-inf")
        self.parking = Parking()
        self._rules = rules
        self._offsets = offsets
        self._window = Window(offsets)
        self._batch: Batch | None = None
        self._flight: Flight | None = None
        self._doubts = Doubts(rules.settle, offsets)
        self.not_found = NotFound(rules.not_found)
        self._backoff = Backoff()
        self._repeats = Repeats()
        self._patience = Patience(rules.give_up_after)
        self.guard = Guard(rules.guard, rules.give_up_after, offsets)
        self._ruling = Ruling.GO
        self._size = rules.max_contacts
        self._newest: Packed = 0
        self._heeds = False  # True since anything was sent or inherited that a newer change may matter to
        self._tried = 0  # the highest number that a flush took
        self._looked = False
        self._unusable = False

    @property
    def pending(self) -> int:
        """How many contacts wait in the window or its batch, or are on the wire."""
        on_the_wire = self._flight.size if self._flight else 0
        return len(self._window) + (len(self._batch) if self._batch else 0) + on_the_wire

    @property
    def on_the_wire(self) -> Request | None:
        """The request that was sent and not answered yet."""
        return self._flight.request if self._flight else None

    @property
    def was_limited(self) -> bool:
        """Tell whether its latest request met HubSpot's limit, so that its turn was none."""
        return self._repeats.reason == "429"

    @property
    def doubtful(self) -> bool:
        """True while a request without an answer may still take effect."""
        return bool(self._doubts)

    @property
    def next_calls(self) -> int:
        """How many HTTP requests the next request takes, token refreshes aside."""
        some = self._batch is not None or len(self._window) > 0 or len(self.not_found) > 0
        return int(self._must_look) + int(some)

    @property
    def newest(self) -> int:
        """The highest number folded."""
        return number_of(self._newest)

    def fold(
        self, changes: Sequence[Told], assignment: Assignment, now: float, inherited_since: float | None = None
    ) -> int:
        """Take changes of one assignment in, in the order of the log; give how many contacts wait more than before.

        Each of the others superseded one, or was superseded itself. `inherited_since` is when the partition was
        assigned, for changes that its previous owner may have sent.
        """
        self._newest = max(self._newest, changes[-1][1])
        if self._heeds or inherited_since is not None:
            for contact, change in changes:
                self._heed(contact, unpacked(change, self._offsets), now, inherited_since)
        return self._window.fold_all(changes, assignment, now + self._rules.max_age)

    def may_wake_earlier(self, more: int) -> bool:
        """Tell whether `more` contacts in the window have brought forward the time that `changes_ready_at` tells."""
        size = len(self._window)
        return size == more or size - more < self._rules.max_contacts <= size

    def _heed(self, contact: int, change: Change, now: float, inherited_since: float | None) -> None:
        """See to what a newer change means for what was sent, or waits to be tried again."""
        self.not_found.newer(contact)
        if self._flight is not None and contact in self._flight:
            self._flight.superseded.add(contact)
        self._doubts.intends(contact, change)
        if inherited_since is not None and now < inherited_since + self._rules.settle:
            self._doubts.inherits(contact, change, inherited_since)
        self._heeds = self._flight is not None or bool(self._doubts.open) or self.not_found.number > 0

    def hasten(self, now: float) -> None:
        """Make what waits due now."""
        if self._window.due_at is not None:
            self._window.due_at = min(self._window.due_at, now)

    def ready_at(self) -> float | None:
        """When the next request may leave; None while one is on the wire or nothing waits.

        What was not found goes along with whatever leaves once it is due; `max_age` later it leaves alone.
        """
        if self._flight is not None:
            return None
        due = self.changes_ready_at()
        retry = self.not_found.next_due() if self.not_found else None
        if retry is None:
            return due
        alone = max(retry + self._rules.max_age, self.not_before, self.guard.again_at)
        return alone if due is None else min(due, alone)

    def changes_ready_at(self) -> float | None:
        """When the changes that wait may leave, once nothing is on the wire; None if none wait."""
        due_at = self._window.due_at
        if self._batch is not None or not self._looked or len(self._window) >= self._rules.max_contacts:
            due_at = self.not_before
        return None if due_at is None else max(due_at, self.not_before, self.guard.again_at)

    def wakes_at(self) -> float | None:
        """When there is something to do: a request to send, or a doubt that ends."""
        times = [time for time in (self.ready_at(), self._doubts.next_end()) if time is not None]
        return min(times, default=None)

    def settle_doubts(self, now: float) -> None:
        """End the doubts whose time is over: what they contest is sent once more."""
        for doubt in self._doubts.ended(now):
            self._window.merge(doubt.contested().ours(), now)
            doubt.holds.release()

    @property
    def held(self) -> Held | None:
        """The flush that the guard holds."""
        return self.guard.held

    def is_held(self, now: float) -> bool:
        """Ask the guard about the flush that is due: call it right before `next_request`, which heeds what it says."""
        self._ruling = self.guard.weigh(self._window, self.newest, now) if self._flush_is_due(now) else Ruling.GO
        return self._ruling is Ruling.HOLD

    def release(self) -> int:
        """Let go what the guard holds; give how many contacts that are."""
        self.guard.release(self.newest)
        return len(self._window)

    def next_request(
        self, now: float, request_id: str, trigger: Trigger | None = None, *, probe: bool = False
    ) -> Flush:
        """Cut the next request. `trigger` overrides why the window leaves: `drain` or `revoke`.

        What probes a parked list, or its account (`probe`), carries one contact: it may well be refused again.
        Raises RuntimeError while the one before is not answered.
        """
        if self._flight is not None:
            raise RuntimeError(f"list {self.list_id} has a request on the wire: wait for its answer")
        left_by: Trigger | None = None
        ruling, self._ruling = self._ruling, Ruling.GO
        if self._flush_is_due(now):
            self._tried = self.newest
            if ruling is not Ruling.LOOK:
                left_by = trigger or ("size" if len(self._window) >= self._rules.max_contacts else "age")
                self._batch = self._flushed(now, ruling)
        batch = self._batch
        size = 1 if probe or self.parking else self._size
        contacts = batch.cut(size) if batch is not None else PackedChanges(self._offsets)
        if batch is not None and not len(batch):
            self._batch = None
        room = 0 if ruling is Ruling.LOOK else size - len(contacts)
        again = self.not_found.take(now, room, lambda contact: contact in contacts or self._has(contact))
        if again and batch is None:
            # It holds nothing: their offsets were given up with the first answer.
            batch = Batch(PackedChanges(self._offsets), Holds(self._offsets))
        adds, removes = contacts.by_action()
        request = Request(
            request_id=request_id,
            connector=self.connector,
            account=self.account,
            list_id=self.list_id,
            adds=(*adds, *again),
            removes=tuple(removes),
            look=self._must_look or ruling is Ruling.LOOK,
            again=tuple(again),
        )
        self._flight = Flight(request, contacts, again, batch, for_guard=ruling is Ruling.LOOK)
        self._heeds = True
        self._flight.superseded.update(
            each for each in self._window.also(contacts) if self._newer(each, contacts[each])
        )
        return Flush(request, left_by)

    def weigh(self, verdict: Verdict) -> Verdict:
        """Turn a passing failure that came too often in a row into a terminal one; ask once for each verdict."""
        if isinstance(verdict, Recoverable):
            return self._repeats.failed(verdict)
        if not isinstance(verdict, NotSent):
            self._repeats.reset()
        return verdict

    def answered(
        self, verdict: Verdict, now: float, chance: float, *, spend: bool = False, size: int | None = None
    ) -> list[Settled]:
        """Bring in what became of the request on the wire, weighed before; give what came to an end.

        Each `Settled` keeps one part of its batch open: open one more for each record, then close that one. With
        `spend` a refused list lets go of all that waits instead of keeping the rest for the next probe. `size` is what
        a look told.
        """
        flight = self._flight
        if flight is None:
            raise RuntimeError(f"list {self.list_id} got an answer that it did not wait for")
        self._flight = None
        if flight.request.look and not isinstance(verdict, NotSent | Recoverable):
            self._looked = True
            self._unusable = isinstance(verdict, Terminal) and verdict.reason in UNUSABLE
            if not isinstance(verdict, Terminal) or verdict.scope is Scope.BATCH:
                self.guard.shown(size, now, asked=flight.for_guard)
        self.not_found.answered(flight, verdict, self._offsets, now)
        match verdict:
            case Applied() if flight.for_guard:  # a look tells nothing of whether a change would be taken
                return []
            case Applied():
                return self._applied(flight, verdict, now)
            case Terminal():
                return self._refused(flight, verdict, now, spend=spend)
            case Recoverable():
                return self._failed(flight, verdict, now, chance)
            case NotSent():
                self._fold_back(flight, now)
                return []

    def give_up(self, number: int, terminal: Terminal, now: float) -> list[Settled]:
        """End all that waits and is numbered `number` or lower: `terminal` is why."""
        batch = self._take(lambda _, change: change.number <= number, now)
        gone = batch.rest()
        return [Settled(batch, refused=gone, terminal=terminal)] if gone else []

    def drop(self, unwanted: Callable[[int, Change], bool], now: float) -> None:
        """Let go of what waits and is unwanted, without a word."""
        batch = self._take(unwanted, now)
        batch.rest()
        batch.close_part()

    def waits(self, contact: int) -> bool:
        """Tell whether the contact waits or is on the wire."""
        return self._has(contact) or (self._flight is not None and contact in self._flight)

    def may_take_effect(self, contact: int) -> bool:
        """Tell whether something that was sent for the contact may still take effect."""
        return contact in self._doubts or (self._flight is not None and contact in self._flight)

    def carries(self, assignments: Iterable[Assignment]) -> bool:
        """Tell whether anything of these assignments waits or is on the wire."""
        flying = self._flight.assignments if self._flight else frozenset()
        return any(
            each in self._window.holds or each in flying or (self._batch is not None and each in self._batch.holds)
            for each in assignments
        )

    def flies(self, assignments: Iterable[Assignment] | None = None) -> bool:
        """Tell whether a request is on the wire that carries anything (of these assignments)."""
        if self._flight is None:
            return False
        return self._flight.size > 0 if assignments is None else not self._flight.assignments.isdisjoint(assignments)

    def forget(self, assignment: Assignment) -> None:
        """Drop all that waits of one assignment. What is on the wire stays there."""
        self._window.forget(assignment)
        self.not_found.forget((assignment,))
        if not len(self._window):
            self.guard.emptied()
        if self._batch is not None and assignment in self._batch.holds:
            self._batch.forget(assignment)
            if not len(self._batch):
                self._batch = None

    @property
    def _must_look(self) -> bool:
        return self._unusable or not self._looked

    def _has(self, contact: int) -> bool:
        """Tell whether the contact waits in the window or its batch."""
        return self._window.get(contact) is not None or (self._batch is not None and contact in self._batch)

    def _newer(self, contact: int, sent: Change) -> Change | None:
        """Give the change of the contact in the window, if it is newer than what was, or is being, sent."""
        newest = self._window.get(contact)
        return newest if newest is not None and newest.number > sent.number else None

    def _flush_is_due(self, now: float) -> bool:
        full = len(self._window) >= self._rules.max_contacts
        return self._batch is None and self._window.due_at is not None and (full or self._window.due_at <= now)

    def _flushed(self, now: float, ruling: Ruling) -> Batch:
        """Take the window, or what a release covers of it."""
        if ruling is Ruling.RELEASED:
            return self._take(lambda _, change: change.number <= self.guard.released, now)
        self.guard.left(self.newest)
        return self._window.take()

    def _take(self, chosen: Callable[[int, Change], bool], now: float) -> Batch:
        """Take what is chosen out of all that waits."""
        self._gather(now)
        due_at = now if self._window.due_at is None else self._window.due_at
        waiting = self._window.take()
        taken = PackedChanges(self._offsets)
        holds = Holds(self._offsets)
        for contact, change in waiting.rest().items():
            if chosen(contact, change):
                taken[contact] = change
                holds.cover(change.assignment, change.offset)
            else:
                self._window.fold(contact, change, due_at)
        waiting.close_part()
        if not len(self._window):
            self.guard.emptied()
        return Batch(taken, holds)

    def _applied(self, flight: Flight, verdict: Applied, now: float) -> list[Settled]:
        self._succeeded()
        if flight.batch is None:
            return []
        outcomes = outcomes_of(flight, verdict)
        self.guard.applied(outcomes, now)
        return [Settled(flight.batch, flight.request.request_id, outcomes=outcomes)]

    def _succeeded(self) -> None:
        self._backoff.succeeded()
        self.parking.succeeded()
        self._size = min(self._rules.max_contacts, self._size * 2)

    def _refused(self, flight: Flight, verdict: Terminal, now: float, *, spend: bool) -> list[Settled]:
        self._backoff.succeeded()
        settled = []
        if flight.batch is not None:
            refused = flight.contacts.ours()
            settled = [Settled(flight.batch, flight.request.request_id, refused=refused, terminal=verdict)]
        if verdict.scope is Scope.BATCH:
            return settled
        self._gather(now)
        if verdict.scope is Scope.LIST:
            self.not_before = self.parking.refused(now)
        if spend:
            return settled + self.give_up(self.newest, verdict, now)
        return settled + self._lose_patience(verdict.details, now)

    def _failed(self, flight: Flight, verdict: Recoverable, now: float, chance: float) -> list[Settled]:
        at_once = verdict.account_wide or verdict.reason == TOKEN_EXPIRED  # then the account, or nothing, holds it back
        self.not_before = now if at_once else self._backoff.failed(now, chance, verdict.wait)
        if verdict.halve and flight.size > 0:
            self._size = max(1, flight.size // 2)
        if verdict.late and flight.size > 0:
            doubt = self._doubts.unanswered(flight.contacts, now)
            for contact, retry in flight.retries.items():
                doubt.may_have_been_sent(contact, retry.change)  # holds nothing: its offset was given up
        self._fold_back(flight, now)
        if verdict.late:
            for contact, sent in flight.changes().items():
                newest = self._newer(contact, sent)
                if newest is not None:
                    self._doubts.intends(contact, newest)
        return self._lose_patience(verdict.details, now)

    def _lose_patience(self, details: Details, now: float) -> list[Settled]:
        given_up = self._patience.failed(now, self._tried)
        return self.give_up(given_up, Terminal(details, GAVE_UP, Scope.BATCH), now) if given_up else []

    def _fold_back(self, flight: Flight, now: float) -> None:
        """Put what was sent in vain, and the unsent rest of its batch, back into the window, due at once."""
        self._window.merge(flight.contacts.ours(), now)
        self._gather(now)
        if flight.batch is not None:
            flight.batch.close_part()

    def _gather(self, now: float) -> None:
        """Put the unsent rest of the batch back into the window."""
        batch, self._batch = self._batch, None
        if batch is not None:
            self._window.merge(batch.rest(), now)
            batch.close_part()
