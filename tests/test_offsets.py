"""What is committable: never past something unfinished, never backwards, and the end when all is done.

The machine below drives real lists over several partitions in any order that hypothesis thinks of, next to a plain
model: a log, what became of each change, and a HubSpot whose requests without an answer take effect when they like.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.changes import Action, Assignment, Change
from consumer.list_sync import ListSync, Rules, Settled
from consumer.not_found import Tries
from consumer.offsets import SWEEP_FROM, Hold, Holds, OffsetAlreadyCommittableError, Offsets, PartitionOffsets
from consumer.outcomes import (
    TOKEN_EXPIRED,
    UNREADABLE,
    Applied,
    Details,
    NotSent,
    Outcome,
    Recoverable,
    Request,
    Scope,
    Terminal,
    Verdict,
)
from tests.strategies import ACTIONS, ADD, OK, REMOVE, change, fold

ASSIGNMENT = Assignment("changes", 0, 1)


def started() -> Offsets:
    """Give offsets with one assignment."""
    offsets = Offsets()
    offsets.assign(ASSIGNMENT)
    return offsets


def test_nothing_is_committable_before_the_first_message() -> None:
    """A partition of which nothing was read yet has nothing to commit, and nor has one that is not ours."""
    offsets = started()
    assert offsets.committable(ASSIGNMENT) is None
    assert offsets.committable(Assignment("changes", 0, 2)) is None


@given(st.data())
def test_the_smallest_hold_is_committable(data: st.DataObject) -> None:
    """Whatever the order in which holds are taken and released, the smallest one that is left is committable."""
    partition = PartitionOffsets()
    holds: dict[int, list[Hold]] = defaultdict(list)
    last = 0
    for offset in range(data.draw(st.integers(1, 40))):
        for _ in range(data.draw(st.integers(0, 2))):
            holds[offset].append(partition.hold(offset))
        partition.processed(offset)
        for chosen in data.draw(st.lists(st.sampled_from(sorted(holds)), max_size=3)) if holds else ():
            if chosen in holds:
                holds[chosen].pop().release()
                if not holds[chosen]:
                    del holds[chosen]
        committable = partition.committable()
        assert committable == min(holds, default=offset + 1)
        assert committable >= last
        last = committable


@pytest.mark.parametrize("order", [range(50), reversed(range(50)), [*range(0, 50, 2), *range(1, 50, 2)]])
def test_all_released_is_the_end(order: list[int]) -> None:
    """When everything is done, in whatever order, committable is one past the last message."""
    partition = PartitionOffsets()
    holds = [partition.hold(offset) for offset in range(50)]
    partition.processed(49)
    for index in order:
        assert partition.committable() != 50
        holds[index].release()
        holds[index].release()
    assert partition.committable() == 50


def test_what_was_given_up_cannot_be_held() -> None:
    """An offset below the committable one is refused, because it may have been committed; the one at it is not."""
    offsets = started()
    offsets.processed(ASSIGNMENT, 6)
    assert offsets.committable(ASSIGNMENT) == 7
    with pytest.raises(OffsetAlreadyCommittableError, match="offset 6 was given up: 7 is committable"):
        offsets.hold(ASSIGNMENT, 6)
    offsets.hold(ASSIGNMENT, 7)
    assert offsets.committable(ASSIGNMENT) == 7


def test_a_new_assignment_starts_with_nothing() -> None:
    """What was held before a partition left does not hold back the next assignment."""
    offsets = started()
    offsets.hold(ASSIGNMENT, 3)
    offsets.revoke(ASSIGNMENT)
    again = Assignment("changes", 0, 2)
    offsets.assign(again)
    offsets.processed(again, 9)
    assert ASSIGNMENT not in offsets
    assert offsets.committable(again) == 10


def test_a_hold_that_lasts_piles_nothing_up() -> None:
    """While one list holds an offset for a day, the released holds of all others take no room."""
    partition = PartitionOffsets()
    lasting = partition.hold(0)
    for offset in range(1, 10_000):
        partition.hold(offset).release()
        partition.processed(offset)
    assert len(partition._holds) <= SWEEP_FROM
    assert partition.committable() == 0
    lasting.release()
    assert partition.committable() == 10_000


@given(st.lists(st.integers(0, 20), min_size=1))
def test_holds_cover_the_first_of_their_offsets(covered: list[int]) -> None:
    """One holder holds the smallest of its offsets, whatever the order in which it learns of them."""
    offsets = started()
    holds = Holds(offsets)
    for offset in covered:
        holds.cover(ASSIGNMENT, offset)
    offsets.processed(ASSIGNMENT, 20)
    assert offsets.committable(ASSIGNMENT) == min(covered)
    assert list(holds) == [ASSIGNMENT]
    holds.forget(ASSIGNMENT)
    holds.forget(ASSIGNMENT)
    assert ASSIGNMENT not in holds
    assert offsets.committable(ASSIGNMENT) == 21


def test_holds_are_released_together() -> None:
    """Releasing a holder lets go of every assignment at once."""
    offsets, other = started(), Assignment("changes", 1, 1)
    offsets.assign(other)
    holds = Holds(offsets)
    for each in (ASSIGNMENT, other):
        holds.cover(each, 2)
        offsets.processed(each, 4)
    assert [offsets.committable(each) for each in (ASSIGNMENT, other)] == [2, 2]
    holds.release()
    assert [offsets.committable(each) for each in (ASSIGNMENT, other)] == [5, 5]


TRIES = Tries(retries=2, over=15.0, most=2, give_up_after=150.0)
MACHINE_RULES = Rules(max_age=5.0, max_contacts=2, settle=50.0, give_up_after=150.0, not_found=TRIES)
LISTS = (0, 1)
PARTITIONS = (0, 1)
CONTACTS = st.integers(1, 4)
LISTS_OF_A_CHANGE = st.sampled_from([(0,), (0,), (0, 1), (1,), ()])
VERDICTS: dict[str, Verdict] = {
    "ok": OK,
    "missing": OK,  # what was to be added does not exist
    "503": Recoverable(Details(), "503", wait=2.0),
    "timeout": Recoverable(Details(), "timeout", late=True, halve=True),
    "502": Recoverable(Details(), "502", late=True),
    "429": Recoverable(Details(), "429", wait=10.0, account_wide=True),
    "expired": Recoverable(Details(), TOKEN_EXPIRED),
    "unreadable": Recoverable(Details(), UNREADABLE),
    "400": Terminal(Details(), "BAD_REQUEST", Scope.BATCH),
    "404": Terminal(Details(), "LIST_NOT_FOUND", Scope.LIST),
    "401": Terminal(Details(), "UNAUTHORIZED", Scope.ACCOUNT),
    "dynamic": Terminal(Details(), "LIST_DYNAMIC", Scope.LIST),
    "not sent": NotSent(),
}
TAKEN = {"ok", "missing", "unreadable"}
"""Answers to requests that HubSpot took."""

Key = tuple[int, int]  # list and contact


@dataclass(eq=False)
class Entry:
    """What became of one change of one list. `done_at`: when the request left whose record Kafka has."""

    change: Change
    folded_at: float
    settled: bool = False
    done_at: float = float("-inf")
    refused: bool = False
    missing: bool = False
    tries: int = 0


@dataclass(frozen=True)
class Late:
    """An action that may take effect until `until`; `holds` is the change whose offset has to be kept as long.

    `ended` had its dead letter before anybody knew that the answer would not come: it is not sent once more.
    """

    action: Action
    until: float
    holds: Entry | None = None
    ended: Entry | None = None


@dataclass
class Record:
    """A record on its way to Kafka."""

    settled: Settled | None
    entries: list[Entry]
    sent_at: float
    hold: Hold | None = None


@dataclass
class Effect:
    """A request that HubSpot may or may not take, until `until`, as the process number `process` left it."""

    sync: int
    request: Request
    until: float
    process: int


@dataclass
class Part:
    """A partition: its log of contacts, actions and lists, and how far the member has read."""

    log: list[tuple[int, Action, tuple[int, ...]]] = field(default_factory=list)
    epoch: int = 0
    assignment: Assignment | None = None
    assigned_at: float = 0.0
    inherited_to: int = 0
    next_offset: int = 0
    committable: int = 0


class Machine(RuleBasedStateMachine):
    """Reads, flushes, answers, acknowledgements, time, rebalances and crashes, in any order."""

    verdicts: ClassVar = st.sampled_from(sorted(VERDICTS))

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.number = 0
        self.process = 0
        self.parts = [Part() for _ in PARTITIONS]
        self.hubspot: dict[Key, Action] = {}
        self.effects: list[Effect] = []
        self.newest_sent: dict[Key, int] = {}
        # Tries that may take effect though nobody who knows of them has the partition any more, and until when.
        self.orphans: dict[Key, float] = {}
        self.start()

    def start(self) -> None:
        """Begin a process, which knows nothing."""
        self.process += 1
        self.offsets = Offsets()
        self.syncs = [ListSync(f"list {each}", "acme", each, MACHINE_RULES, self.offsets) for each in LISTS]
        self.entries: dict[Key, list[Entry]] = defaultdict(list)
        self.late: dict[Key, list[Late]] = defaultdict(list)
        self.records: list[Record] = []
        self.sent_at = dict.fromkeys(LISTS, 0.0)
        for number in PARTITIONS:
            self.parts[number].assignment = None
            self.assign(number)

    # What the outside does.

    @rule(contact=CONTACTS, action=ACTIONS, lists=LISTS_OF_A_CHANGE, unread=st.integers(0, 3))
    def happen(self, contact: int, action: Action, lists: tuple[int, ...], unread: int) -> None:
        """Let a contact enter or leave; all its changes lie in one partition. Without a list it is skipped."""
        number = contact % len(self.parts)
        self.parts[number].log.append((contact, action, lists))
        if unread != 0:
            self.read(number, len(self.parts[number].log))

    @rule(number=st.sampled_from(PARTITIONS), most=st.integers(1, 4))
    def read(self, number: int, most: int) -> None:
        """Read on in a partition."""
        part = self.parts[number]
        for offset in range(part.next_offset, min(len(part.log), part.next_offset + most)):
            if part.assignment is not None:
                self.fold(part, part.assignment, offset)

    @precondition(lambda self: any(part.assignment for part in self.parts))
    @rule(index=st.integers(0))
    def undecodable(self, index: int) -> None:
        """Append something that cannot be read, and make a dead letter of it once it is the next to read."""
        part = self.parts[index % len(self.parts)]
        if part.assignment is None or part.next_offset != len(part.log):
            return
        part.log.append((0, ADD, ()))
        entry = Entry(change(part.assignment, 0, offset=part.next_offset), self.now, settled=True)
        self.entries[-1, part.next_offset] = [entry]
        hold = self.offsets.hold(part.assignment, part.next_offset)
        self.records.append(Record(None, [entry], self.now, hold))
        self.offsets.processed(part.assignment, part.next_offset)
        part.next_offset += 1

    @rule(each=st.sampled_from(LISTS), hasten=st.booleans())
    def send(self, each: int, hasten: bool) -> None:
        """Send a list's next request if it is ready."""
        sync = self.syncs[each]
        if hasten:
            sync.hasten(self.now)
        sync.settle_doubts(self.now)
        ready = sync.ready_at()
        if ready is None or ready > self.now:
            return
        calls, waiting = sync.next_calls, sync.pending
        flush = sync.next_request(self.now, "request")
        assert flush.request.calls <= calls
        assert sync.pending == waiting + len(flush.request.again)
        self.sent_at[each] = self.now
        self.check_request(each, flush.request, taken_now=flush.trigger is not None)

    @rule(each=st.sampled_from(LISTS), kind=verdicts, spend=st.booleans(), chance=st.floats(0, 0.99))
    def answer(self, each: int, kind: str, spend: bool, chance: float) -> None:
        """HubSpot answers, or does not."""
        sync = self.syncs[each]
        request = sync.on_the_wire
        if request is None:
            return
        said = VERDICTS[kind]
        if kind == "missing":
            said = replace(OK, missing=frozenset(request.adds))
        if kind in TAKEN:
            self.take_effect(each, request, existing=kind != "missing")
        verdict = sync.weigh(said)
        if isinstance(verdict, Recoverable) and verdict.late:
            self.leave_late(each, request)
        before = sync.pending
        for contact in request.again if isinstance(verdict, Applied) else ():
            self.count_try(each, contact)
        settled = sync.answered(verdict, self.now, chance, spend=spend)
        ended = len(request.adds) + len(request.removes)
        for one in settled:
            self.write(each, one, self.sent_at[each] if one.request_id else self.now)
        if isinstance(verdict, Applied) or (isinstance(verdict, Terminal) and verdict.scope is Scope.BATCH):
            assert sync.pending == before - ended
        else:
            assert sync.pending == self.waiting(each)
        assert sync.on_the_wire is None

    @rule(each=st.sampled_from(LISTS), kind=verdicts, acknowledged=st.booleans())
    def send_and_answer(self, each: int, kind: str, acknowledged: bool) -> None:
        """Send a request and answer it, in one go."""
        self.send(each, hasten=True)
        self.answer(each, kind, spend=False, chance=0.0)
        while acknowledged and self.records:
            self.acknowledge(0)

    @rule(index=st.integers(0, 20))
    def acknowledge(self, index: int) -> None:
        """Kafka has one of the records."""
        if self.records:
            record = self.records.pop(index % len(self.records))
            if record.settled is not None:
                record.settled.batch.close_part()
            if record.hold is not None:
                record.hold.release()
            for entry in record.entries:
                entry.done_at = max(entry.done_at, record.sent_at)

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0, 60.0]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass. At the latest possible moment, late requests take effect."""
        self.now += seconds
        for effect in [each for each in self.effects if each.until <= self.now]:
            self.effects.remove(effect)
            self.take_effect(effect.sync, effect.request)

    @precondition(lambda self: self.effects)
    @rule(index=st.integers(0, 20), taken=st.booleans())
    def end_late(self, index: int, taken: bool) -> None:
        """Let a late request take effect early, or never."""
        effect = self.effects.pop(index % len(self.effects))
        if taken:
            self.take_effect(effect.sync, effect.request)

    @rule(number=st.sampled_from(PARTITIONS), back=st.booleans())
    def revoke(self, number: int, back: bool) -> None:
        """Take a partition away, and perhaps give it back at once."""
        part = self.parts[number]
        if part.assignment is not None:
            self.offsets.revoke(part.assignment)
            for sync in self.syncs:
                sync.forget(part.assignment)
            part.assignment = None
        if back:
            self.assign(number)
            self.read(number, len(part.log))

    @rule(number=st.sampled_from(PARTITIONS))
    def assign(self, number: int) -> None:
        """Give a partition back: it is read again from what was committed."""
        part = self.parts[number]
        if part.assignment is None:
            part.epoch += 1
            part.assignment = Assignment("changes", number, part.epoch)
            part.assigned_at = self.now
            part.inherited_to = len(part.log)
            part.next_offset = part.committable
            self.offsets.assign(part.assignment)

    @precondition(lambda self: all(effect.process == self.process for effect in self.effects))
    @rule()
    def crash(self) -> None:
        """Die and begin again. What the process before the last left on the wire has ended by now."""
        for each, sync in enumerate(self.syncs):
            if sync.on_the_wire is not None:
                self.effects.append(
                    Effect(each, sync.on_the_wire, self.now + MACHINE_RULES.settle, self.process),
                )
        for effect in self.effects:
            self.orphans |= {(effect.sync, contact): effect.until for contact in effect.request.again}
        self.start()

    @rule(each=st.sampled_from(LISTS), younger=st.integers(0, 8))
    def give_up(self, each: int, younger: int) -> None:
        """End the account's patience for all but the youngest changes."""
        terminal = Terminal(Details(), "GAVE_UP", Scope.BATCH)
        number = self.number - younger
        for one in self.syncs[each].give_up(number, terminal, self.now):
            assert all(gone.number <= number for gone in one.refused.values())
            self.write(each, one, self.now)

    # What the model makes of it.

    def fold(self, part: Part, assignment: Assignment, offset: int) -> None:
        """Bring one event to its lists."""
        contact, action, lists = part.log[offset]
        self.number += 1
        inherited = offset < part.inherited_to
        read = Change(self.number, action, assignment, offset, 0, 0)
        for each in lists:
            before = self.syncs[each].pending
            fresh = fold(
                self.syncs[each], self.offsets, contact, read, self.now, part.assigned_at if inherited else None
            )
            assert self.syncs[each].pending == before + int(fresh)
            self.entries[each, contact].append(Entry(read, self.now))
            if inherited:
                self.late[each, contact].append(Late(action, part.assigned_at + MACHINE_RULES.settle))
        self.offsets.processed(assignment, offset)
        part.next_offset = offset + 1

    def check_request(self, each: int, request: Request, *, taken_now: bool) -> None:
        """Check what leaves: disjoint sets of at most the allowed size, never older than what left before."""
        assert not set(request.adds) & set(request.removes)
        assert len(request.adds) + len(request.removes) <= MACHINE_RULES.max_contacts
        flight = self.syncs[each]._flight
        assert flight is not None
        for contact, sent in flight.contacts.items():
            assert (contact in request.adds) == (sent.action is ADD)
            assert sent.number >= self.newest_sent.get((each, contact), 0)
            self.newest_sent[each, contact] = sent.number
            newest = self.entries[each, contact][-1]
            if taken_now and not newest.refused:  # it may have been given up while an older one was on the wire
                assert sent == newest.change
        assert request.again == tuple(flight.retries)
        for contact, retry in flight.retries.items():
            newest = self.entries[each, contact][-1]
            assert contact in request.adds
            assert retry.change == newest.change
            # Or it was sent once more, as a late effect may have undone it, and that was refused: the try still waits.
            assert newest.missing or newest.refused

    def count_try(self, each: int, contact: int) -> None:
        """Check that no contact is tried too often."""
        flight = self.syncs[each]._flight
        assert flight is not None
        for entry in self.entries[each, contact]:
            entry.tries += entry.change == flight.retries[contact].change
            assert entry.tries <= TRIES.retries

    def take_effect(self, each: int, request: Request, *, existing: bool = True) -> None:
        """HubSpot does as it was asked."""
        added = Action.ADD if existing else Action.REMOVE
        self.hubspot |= {(each, contact): added for contact in request.adds}
        self.hubspot |= {(each, contact): Action.REMOVE for contact in request.removes}

    def leave_late(self, each: int, request: Request) -> None:
        """Note a request that may take effect late."""
        until = self.now + MACHINE_RULES.settle
        self.effects.append(Effect(each, request, until, self.process))
        flight = self.syncs[each]._flight
        for contact, sent in flight.contacts.items() if flight else ():
            entry = next(entry for entry in self.entries[each, contact] if entry.change == sent)
            newest = self.entries[each, contact][-1]
            self.late[each, contact].append(Late(sent.action, until, entry, newest if newest.settled else None))
        for contact, retry in flight.retries.items() if flight else ():
            newest = self.entries[each, contact][-1]
            # What is tried again holds nothing itself.
            ended = newest if newest.settled else None
            self.late[each, contact].append(Late(ADD, until, None, ended))
            if not self.is_ours(next(entry for entry in self.entries[each, contact] if entry.change == retry.change)):
                self.orphans[each, contact] = until

    def write(self, each: int, settled: Settled, sent_at: float) -> None:
        """Send the records of what came to an end, as the delivery does."""
        done = {one.contact: one.change for one in settled.outcomes} or dict(settled.refused)
        missing = {one.contact for one in settled.outcomes if one.outcome is Outcome.NOT_FOUND}
        entries = [
            entry for contact, one in done.items() for entry in self.entries[each, contact] if entry.change == one
        ]
        assert len(entries) == len(done)
        for contact, entry in zip(done, entries, strict=True):
            entry.missing = contact in missing
            entry.settled = True
            entry.refused |= settled.terminal is not None
            assert settled.terminal is None or self.is_ours(entry)  # else it is its next owner's to send
        if done:
            settled.batch.open_part()
            self.records.append(Record(settled, entries, sent_at))
        settled.batch.close_part()

    def waiting(self, each: int) -> int:
        """Count the contacts of a list whose newest change has not come to an end; those sent once more wait too."""
        sync = self.syncs[each]
        newest = {contact: found[-1] for (which, contact), found in self.entries.items() if which == each and found}
        again = {contact for contact in newest if newest[contact].settled and sync._window.get(contact) is not None}
        return len(again) + sum(not entry.settled and self.is_ours(entry) for entry in newest.values())

    def is_ours(self, entry: Entry) -> bool:
        """Tell whether its partition is ours in the epoch it came from."""
        return any(part.assignment is entry.change.assignment for part in self.parts)

    def is_finished(self, key: Key, entry: Entry) -> bool:
        """Tell whether a change has a durable end, as the design says, looking at nothing but the model."""
        if any(late.holds is entry and self.now < late.until for late in self.late[key]):
            return False
        if entry is not self.entries[key][-1]:
            return True  # superseded
        opposite = [
            late.until for late in self.late[key] if late.action is not entry.change.action and late.ended is not entry
        ]
        again_from = max((until for until in opposite if entry.folded_at < until), default=float("-inf"))
        return entry.done_at > float("-inf") and entry.done_at >= again_from

    @invariant()
    def nothing_unfinished_is_committable(self) -> None:
        """Hold the law: the committable offset never passes an unfinished change, and never moves backwards."""
        unfinished: dict[Assignment, int] = {}
        for key, found in self.entries.items():
            for entry in found:
                if not self.is_finished(key, entry):
                    offset = unfinished.get(entry.change.assignment, entry.change.offset)
                    unfinished[entry.change.assignment] = min(offset, entry.change.offset)
        for part in self.parts:
            if part.assignment is None:
                continue
            committable = self.offsets.committable(part.assignment)
            if committable is None:
                continue
            assert part.committable <= committable <= unfinished.get(part.assignment, part.next_offset)
            part.committable = committable

    def teardown(self) -> None:
        """From any state, when everything succeeds from now on: all is committed, and HubSpot is what the log says."""
        for number, part in enumerate(self.parts):
            self.assign(number)
            self.read(number, len(part.log))
        for _ in range(500):
            for each in LISTS:
                self.answer(each, "ok", spend=False, chance=0.0)
                self.send(each, hasten=False)
            while self.records:
                self.acknowledge(0)
            self.nothing_unfinished_is_committable()
            times = [time for sync in self.syncs if (time := sync.wakes_at()) is not None]
            if times:
                self.pass_time(max(0.0, min(times) - self.now))
            elif all(sync.on_the_wire is None for sync in self.syncs):
                break
        self.pass_time(MACHINE_RULES.settle)
        assert [sync.pending for sync in self.syncs] == [0, 0]
        for part in self.parts:
            assert part.committable == len(part.log)
        self.check_hubspot()

    def check_hubspot(self) -> None:
        """Hold each list against the log, where nothing was refused or not found, and no try was left to nobody."""
        for (each, contact), found in self.entries.items():
            if not found or each < 0 or found[-1].refused or found[-1].missing:
                continue
            if found[-1].done_at > self.orphans.get((each, contact), float("-inf")):
                assert self.hubspot[each, contact] is found[-1].change.action


TestMachine = Machine.TestCase


Step = tuple[float, Callable[[], object]]
"""How often it is taken, and what it does."""


def live(machine: Machine, random: Random) -> None:
    """Take one random step. Weighted, so that most of them find something to do."""
    each, number, contact = random.choice(LISTS), random.choice(PARTITIONS), random.randint(1, 4)
    kind = random.choice(("ok", "ok", "missing", "missing", "timeout", "timeout", *VERDICTS))
    sound = all(effect.process == machine.process for effect in machine.effects)
    steps: tuple[Step, ...] = (
        (12, lambda: machine.happen(contact, random.choice((ADD, REMOVE)), _some_lists(random), random.randint(0, 3))),
        (3, lambda: machine.read(number, random.randint(1, 4))),
        (6, lambda: machine.send(each, hasten=True)),
        (6, lambda: machine.answer(each, kind, spend=random.random() < 0.2, chance=random.random())),
        (6, lambda: machine.send_and_answer(each, kind, acknowledged=random.random() < 0.5)),
        (4, lambda: machine.acknowledge(random.randint(0, 20))),
        (6, lambda: machine.pass_time(random.choice((0.5, 5.0, 30.0, 60.0)))),
        (1, lambda: machine.effects and machine.end_late(random.randint(0, 20), taken=random.random() < 0.5)),
        (2, lambda: machine.revoke(number, back=random.random() < 0.7)),
        (1, lambda: machine.assign(number)),
        (0.3, lambda: sound and machine.crash()),
        (0.3, lambda: machine.give_up(each, random.randint(0, 8))),
    )
    [(_, step)] = random.choices(steps, weights=[weight for weight, _ in steps])
    step()


def _some_lists(random: Random) -> tuple[int, ...]:
    return random.choice([(0,), (0,), (0, 1), (1,), ()])


@given(st.randoms(use_true_random=True))
def test_long_lives(random: Random) -> None:
    """The same holds through lives that are too long for hypothesis to make them up step by step."""
    machine = Machine()
    for _ in range(120):
        live(machine, random)
        machine.nothing_unfinished_is_committable()
    machine.teardown()
