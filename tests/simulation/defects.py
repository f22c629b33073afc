"""Planted defects: each makes the service break one of its promises, to see that the simulation notices.

A defect swaps parts of the service's classes for as long as its context lasts. The service itself has no hook for that.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from consumer.accounts import Account
from consumer.changes import Assignment, Change, TopicPartition
from consumer.delivery import Delivery
from consumer.doubts import Doubt, Doubts
from consumer.drift import Comparison
from consumer.guard import Guard, Removals, Ruling
from consumer.history import Position
from consumer.list_sync import ListSync, Settled
from consumer.loop import Loop
from consumer.not_found import NotFound
from consumer.offsets import Hold, Offsets
from consumer.outcomes import DeadLetter, Recoverable, Verdict
from consumer.packed import PackedChanges, Told, offset_of
from consumer.partitions import Partition
from consumer.permit import Fence, Permit
from consumer.pursuit import Pursuit
from consumer.rate_limit import RateLimit
from consumer.window import Batch, Window

Defect = Callable[[], Any]
"""Makes a context in which the service is defective."""


@contextmanager
def _swapped(owner: type, **parts: object) -> Iterator[None]:
    """Replace attributes of a class, and put them back."""
    before = {name: owner.__dict__[name] for name in parts}
    try:
        for name, part in parts.items():
            setattr(owner, name, part)
        yield
    finally:
        for name, part in before.items():
            setattr(owner, name, part)


def _commits_before_the_dead_letter_is_acknowledged() -> Any:  # noqa: ANN401 - a context manager
    def bury(self: Delivery, record: DeadLetter, done: Callable[[], None]) -> None:
        self._outside.sink.send(record, lambda: self._outside.metrics.dead_letters(record.reason))
        done()

    return _swapped(Delivery, bury=bury)


def _commits_before_the_result_is_acknowledged() -> Any:  # noqa: ANN401 - as above
    send = Delivery._write

    def write(self: Delivery, lane: Any, answer: Any, settled: Settled) -> None:  # noqa: ANN401 - passed on
        send(self, lane, answer, settled)
        if settled.outcomes:
            settled.batch.holds.release()

    return _swapped(Delivery, _write=write)


def _commits_the_newest_offset_of_a_batch() -> Any:  # noqa: ANN401 - as above
    fold = Window.fold_all

    def cover(self: Window, changes: Sequence[Told], assignment: Assignment, due_at: float) -> int:
        held = self.holds.first.get(assignment)
        more = fold(self, changes, assignment, due_at)
        self.holds.forget(assignment)
        newest = offset_of(changes[-1][1])
        self.holds.cover(assignment, newest if held is None else max(newest, held.offset))
        return more

    return _swapped(Window, fold_all=cover)


def _resends_the_frozen_batch() -> Any:  # noqa: ANN401 - as above
    fold_back = ListSync._fold_back

    def frozen(self: ListSync, flight: Any, now: float) -> None:  # noqa: ANN401 - a private class
        fold_back(self, flight, now)
        self._window._intents.update(flight.contacts.ours())

    return _swapped(ListSync, _fold_back=frozen)


def _ignores_the_epoch() -> Any:  # noqa: ANN401 - as above
    hold = Offsets.hold

    def hold_anything(self: Offsets, assignment: Assignment, offset: int) -> Hold:
        return hold(self, assignment, offset) if assignment in self else Hold(offset)

    stack = ExitStack()
    stack.enter_context(_swapped(PackedChanges, ours=PackedChanges.copy))
    stack.enter_context(_swapped(Offsets, hold=hold_anything))
    return stack


def _drops_a_window_on_revoke_and_commits() -> Any:  # noqa: ANN401 - as above
    def hand_over(self: Loop, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._delivery.forget(partition.assignment)
        keys = {partition.key for partition in partitions}
        offsets = {key: offset for key, offset in self._partitions.committable().items() if key in keys}
        if offsets and self._source is not None:
            self._ask_commit(self._source, offsets)

    return _swapped(Loop, _hand_over=hand_over)


def _sends_two_requests_on_one_list() -> Any:  # noqa: ANN401 - as above
    next_request, answered = ListSync.next_request, ListSync.answered

    def ready_at(self: ListSync) -> float | None:
        if self._batch is not None or not self._looked:
            return self.not_before
        return None if self._window.due_at is None else max(self._window.due_at, self.not_before)

    def at_once(self: ListSync, *words: Any, **more: Any) -> Any:  # noqa: ANN401 - passed on
        self._flight = None
        return next_request(self, *words, **more)

    def maybe(self: ListSync, *words: Any, **more: Any) -> list[Settled]:  # noqa: ANN401 - passed on
        return answered(self, *words, **more) if self._flight else []

    return _swapped(ListSync, ready_at=ready_at, next_request=at_once, answered=maybe)


def _does_not_confirm_late_effects() -> Any:  # noqa: ANN401 - as above
    def unanswered(self: Doubts, contacts: Mapping[int, Change], now: float) -> Doubt:
        del contacts
        return Doubt(now, self._offsets)

    return _swapped(Doubts, unanswered=unanswered)


def _does_not_inherit_late_effects() -> Any:  # noqa: ANN401 - as above
    def inherits(self: Doubts, contact: int, change: Change, assigned_at: float) -> None:
        del self, contact, change, assigned_at

    return _swapped(Doubts, inherits=inherits)


def _forgets_what_is_contested_when_a_doubt_ends() -> Any:  # noqa: ANN401 - as above
    def contested(self: Doubt) -> dict[int, Change]:
        del self
        return {}

    return _swapped(Doubt, contested=contested)


def _flushes_before_it_has_caught_up() -> Any:  # noqa: ANN401 - as above
    def is_gated(self: Delivery, lane: Any) -> bool:  # noqa: ANN401 - passed by
        del self, lane
        return False

    return _swapped(Delivery, _is_gated=is_gated)


def _resets_the_rate_on_429() -> Any:  # noqa: ANN401 - as above
    answered = Account.answered

    def generous(self: Account, verdict: Verdict, *words: Any, **more: Any) -> int:  # noqa: ANN401 - passed on
        if isinstance(verdict, Recoverable) and verdict.reason == "429":
            self._limit = RateLimit(self._limit.limit)
        return answered(self, verdict, *words, **more)

    return _swapped(Account, answered=generous)


def _folds_back_without_the_first_offset() -> Any:  # noqa: ANN401 - as above
    def fold_back(self: ListSync, flight: Any, now: float) -> None:  # noqa: ANN401 - a private class
        for contact, change in flight.contacts.ours().items():
            if self._window.get(contact) is None:
                self._window._intents[contact] = change
                self._window.due_at = now
        self._gather(now)
        if flight.batch is not None:
            flight.batch.close_part()

    return _swapped(ListSync, _fold_back=fold_back)


def _sends_after_its_session() -> Any:  # noqa: ANN401 - as above
    def open_at(self: Fence, now: float) -> bool:
        del self, now
        return True

    return _swapped(Fence, open_at=open_at)


def _sends_after_the_revoke() -> Any:  # noqa: ANN401 - as above
    def withdraw(self: Permit) -> None:
        del self

    return _swapped(Permit, withdraw=withdraw)


def _believes_that_every_commit_was_taken() -> Any:  # noqa: ANN401 - as above
    def committed(self: Loop, offsets: Mapping[TopicPartition, int], errors: Mapping[TopicPartition, str]) -> None:
        del errors
        self._unanswered -= 1
        for key, offset in offsets.items():
            self._partitions.committed(key, offset)

    return _swapped(Loop, committed=committed)


def _keeps_the_first_intent() -> Any:  # noqa: ANN401 - as above
    fold = Window.fold_all

    def fold_first(self: Window, changes: Sequence[Told], assignment: Assignment, due_at: float) -> int:
        return sum(
            fold(self, [(contact, change)], assignment, due_at)
            for contact, change in changes
            if contact not in self._intents
        )

    return _swapped(Window, fold_all=fold_first)


def _forgets_the_unsent_rest_of_a_batch() -> Any:  # noqa: ANN401 - as above
    def rest(self: Batch) -> PackedChanges:
        if self._unsent:
            self.cut(len(self._unsent))
        return PackedChanges(self._unsent.offsets)

    return _swapped(Batch, rest=rest)


def _holds_nothing_for_an_invalid_id() -> Any:  # noqa: ANN401 - as above
    refuse = Delivery.refuse

    def hasty(self: Delivery, connector: str, identifier: str, change: Change, wall: float, done: Any) -> None:  # noqa: ANN401 - passed on
        done()
        refuse(self, connector, identifier, change, wall, done)

    return _swapped(Delivery, refuse=hasty)


def _lets_go_of_a_batch_with_its_first_request() -> Any:  # noqa: ANN401 - as above
    def close_part(self: Batch) -> None:
        self._parts -= 1
        self.holds.release()

    return _swapped(Batch, close_part=close_part)


def _tries_again_what_has_left() -> Any:  # noqa: ANN401 - as above
    def newer(self: NotFound, contact: int) -> None:
        del self, contact

    return _swapped(NotFound, newer=newer)


def _tries_again_what_left_while_it_was_asked_for() -> Any:  # noqa: ANN401 - as above
    def newer(self: ListSync, contact: int, sent: Change) -> None:
        del self, contact, sent

    return _swapped(ListSync, _newer=newer)


def _keeps_the_tries_of_a_revoked_partition() -> Any:  # noqa: ANN401 - as above
    def forget(self: NotFound, assignments: Any = None) -> None:  # noqa: ANN401 - passed by
        del self, assignments

    return _swapped(NotFound, forget=forget)


def _does_not_doubt_a_try() -> Any:  # noqa: ANN401 - as above
    unanswered = Doubts.unanswered

    def of_the_batch_alone(self: Doubts, contacts: Mapping[int, Change], now: float) -> Doubt:
        unanswered(self, contacts, now)
        return Doubt(now, self._offsets)

    return _swapped(Doubts, unanswered=of_the_batch_alone)


def _does_not_hold() -> Any:  # noqa: ANN401 - as above
    def weigh(self: Guard, window: Window, newest: int, now: float) -> Ruling:
        del self, window, newest, now
        return Ruling.GO

    return _swapped(Guard, weigh=weigh)


def _weighs_each_flush_by_itself() -> Any:  # noqa: ANN401 - as above
    def recent(self: Removals, now: float) -> float:
        del self, now
        return 0.0

    return _swapped(Removals, recent=recent)


def _releases_for_ever() -> Any:  # noqa: ANN401 - as above
    release = Guard.release

    def for_ever(self: Guard, newest: int) -> None:
        release(self, newest + 1_000_000)

    return _swapped(Guard, release=for_ever)


def _rebuilds_without_looking_back() -> Any:  # noqa: ANN401 - as above
    told = Pursuit.told

    def deaf(self: Pursuit, contact: int, *change: Any) -> None:  # noqa: ANN401 - passed on
        if contact not in self._handed:
            told(self, contact, *change)

    return _swapped(Pursuit, told=deaf)


def _takes_what_is_on_its_way_for_drift() -> Any:  # noqa: ANN401 - as above
    def waits(self: Comparison, contact: int) -> bool | None:
        return None if self._intents.get(contact) is None else False

    return _swapped(Comparison, _waits=waits)


def _audits_without_dead_letters() -> Any:  # noqa: ANN401 - as above
    def letter(self: Comparison, contact: int, change: Position, recorded_at: int, reason: str) -> None:
        del self, contact, change, recorded_at, reason

    return _swapped(Comparison, letter=letter)


def _overlooks_unknown_members_in_an_audit() -> Any:  # noqa: ANN401 - as above
    match = Comparison._match

    def overlook(self: Comparison) -> None:
        match(self)
        del self._unknown[:]

    return _swapped(Comparison, _match=overlook)


def _lends_what_the_rate_does_not_have() -> Any:  # noqa: ANN401 - as above
    def lend(self: Account, now: float, *, refresh: bool) -> None:
        del self, now, refresh

    return _swapped(Account, lend=lend)


DEFECTS: dict[str, tuple[Defect, int]] = {
    defect.__name__.strip("_").replace("_", " "): (defect, seed)
    for defect, seed in (
        (_commits_before_the_dead_letter_is_acknowledged, 7),
        (_commits_before_the_result_is_acknowledged, 11),
        (_commits_the_newest_offset_of_a_batch, 11),
        (_resends_the_frozen_batch, 22),
        (_ignores_the_epoch, 7),
        (_drops_a_window_on_revoke_and_commits, 57),
        (_sends_two_requests_on_one_list, 3),
        (_does_not_confirm_late_effects, 35),
        (_does_not_inherit_late_effects, 13),
        (_forgets_what_is_contested_when_a_doubt_ends, 0),
        (_flushes_before_it_has_caught_up, 8),
        (_resets_the_rate_on_429, 45),
        (_folds_back_without_the_first_offset, 4),
        (_sends_after_its_session, 7),
        (_sends_after_the_revoke, 248),
        (_believes_that_every_commit_was_taken, 3),
        (_keeps_the_first_intent, 0),
        (_forgets_the_unsent_rest_of_a_batch, 9),
        (_holds_nothing_for_an_invalid_id, 91),
        (_lets_go_of_a_batch_with_its_first_request, 0),
        (_tries_again_what_has_left, 89),
        (_tries_again_what_left_while_it_was_asked_for, 330),
        (_keeps_the_tries_of_a_revoked_partition, 177),
        (_does_not_doubt_a_try, 372),
        (_does_not_hold, 20),
        (_weighs_each_flush_by_itself, 42),
        (_releases_for_ever, 413),
        (_rebuilds_without_looking_back, 27),
        (_takes_what_is_on_its_way_for_drift, 24),
        (_audits_without_dead_letters, 55),
        (_overlooks_unknown_members_in_an_audit, 28),
        (_lends_what_the_rate_does_not_have, 44),
    )
}
"""All of them by name, each with the first seed that finds it."""
