"""Late effects: what may act after a newer change is sent once more, and holds its offset until then."""

from dataclasses import replace

import pytest

from consumer.changes import Action, Assignment
from consumer.doubts import Doubts
from consumer.offsets import Offsets
from consumer.outcomes import GAVE_UP, Details, Recoverable, Scope, Terminal
from tests.strategies import ADD, OK, REMOVE, RULES, Bench, change

CUT = Recoverable(Details(), "connection_error", late=True)
GIVEN_UP = Terminal(Details(), GAVE_UP, Scope.BATCH)
ASSIGNMENT = Assignment("changes", 0, 1)


def _doubts(last: int = 9) -> tuple[Doubts, Offsets]:
    """Make the doubts of a list whose partition was read up to an offset, all of it done."""
    offsets = Offsets()
    offsets.assign(ASSIGNMENT)
    offsets.processed(ASSIGNMENT, last)
    return Doubts(120.0, offsets), offsets


@pytest.mark.parametrize(
    ("later", "contested"),
    [([], False), ([ADD], False), ([REMOVE], True), ([REMOVE, ADD], False), ([REMOVE, ADD, REMOVE], True)],
)
def test_only_an_intent_that_changed_is_contested(later: list[Action], contested: bool) -> None:
    """A late effect does harm only where the contact's newest intent is the opposite of it."""
    doubts, _ = _doubts()
    doubts.unanswered({1: change(ASSIGNMENT, 0, ADD)}, 0.0)
    for number, action in enumerate(later, start=1):
        doubts.intends(1, change(ASSIGNMENT, number, action))
        doubts.intends(2, change(ASSIGNMENT, number, action))
    (ended,) = doubts.ended(120.0)
    newest = change(ASSIGNMENT, len(later), later[-1]) if later else None
    assert ended.contested() == ({1: newest} if contested else {})


def test_where_both_may_be_on_the_wire_the_newest_is_contested() -> None:
    """Of an inheritance that asked for both, either may come last, so the newest intent is sent once more."""
    doubts, _ = _doubts()
    for number, action in enumerate((ADD, REMOVE, ADD)):
        doubts.inherits(1, change(ASSIGNMENT, number, action), 0.0)
    (ended,) = doubts.ended(120.0)
    assert ended.contested() == {1: change(ASSIGNMENT, 2, ADD)}


@pytest.mark.parametrize("second", [ADD, REMOVE])
def test_an_inheritance_is_kept_from_its_first_change(second: Action) -> None:
    """Whoever takes over within the time reads it again, and so inherits the same doubt, contested or not yet."""
    doubts, offsets = _doubts(last=4)
    doubts.inherits(1, change(ASSIGNMENT, 5, ADD), 0.0)
    offsets.processed(ASSIGNMENT, 5)
    assert offsets.committable(ASSIGNMENT) == 5
    doubts.inherits(1, change(ASSIGNMENT, 6, second), 0.0)
    offsets.processed(ASSIGNMENT, 6)
    assert offsets.committable(ASSIGNMENT) == 5
    for ended in doubts.ended(120.0):
        ended.holds.release()
    assert offsets.committable(ASSIGNMENT) == 7


def test_each_doubt_has_its_time() -> None:
    """A doubt ends `settle` seconds after its request failed; an inherited one, after the assignment."""
    doubts, _ = _doubts()
    assert not doubts
    assert doubts.next_end() is None
    doubts.unanswered({1: change(ASSIGNMENT, 1)}, 30.0)
    doubts.inherits(2, change(ASSIGNMENT, 2), 10.0)
    assert doubts
    assert doubts.next_end() == 130.0
    assert doubts.ended(129.0) == []
    assert [each.until for each in doubts.ended(130.0)] == [130.0]
    assert doubts.next_end() == 150.0


def test_nothing_is_inherited_once_late_effects_have_settled() -> None:
    """A partition that takes longer to catch up than a late effect may take sends nothing twice."""
    bench = Bench()
    bench.read(1, ADD, now=120.0, inherited_since=0.0)
    bench.read(1, REMOVE, now=120.0, inherited_since=0.0)
    assert bench.list.wakes_at() == 150.0, "when the window is due, and no sooner"


def test_what_is_contested_of_a_revoked_partition_is_its_next_owners() -> None:
    """A doubt that ends after the partition has gone sends nothing of it."""
    bench = Bench()
    bench.read(1)
    bench.try_with(CUT, 0.0)
    bench.read(1, REMOVE)
    bench.try_with(OK, 5.0)
    bench.acknowledge()
    assert not bench.list.carries([bench.assignment]), "nothing waits, so nobody tells the list"
    bench.offsets.revoke(bench.assignment)
    bench.list.settle_doubts(120.0)
    assert bench.list.pending == 0


def test_a_partition_that_came_back_is_not_committed_past_what_is_contested() -> None:
    """A request from before the partition went and came back contests the changes that were read again since."""
    bench = Bench()
    bench.read(1)
    bench.flush(0.0)
    bench.offsets.revoke(bench.assignment)
    bench.list.forget(bench.assignment)
    bench.assignment = replace(bench.assignment, epoch=2)
    bench.offsets.assign(bench.assignment)
    bench.read(1, REMOVE)
    bench.answer(CUT, 5.0)
    bench.try_with(OK, 10.0)
    bench.acknowledge()
    assert bench.committable == 1
    bench.list.settle_doubts(125.0)
    assert bench.list.next_request(125.0, "again").request.removes == (1,)
    bench.answer(OK, 126.0)
    bench.acknowledge()
    assert bench.committable == 2


def test_an_older_change_that_comes_back_contests_nothing() -> None:
    """After the newer change was given up, the older one on the wire does not take its place in other doubts."""
    bench = Bench(rules=replace(RULES, settle=60.0))
    first = bench.read(1, ADD, now=0.0, inherited_since=0.0)
    bench.flush(0.0)
    bench.read(1, REMOVE, now=0.0)
    refused = bench.list.give_up(first.number + 1, GIVEN_UP, 1.0)
    assert [set(each.refused) for each in refused] == [{1}]
    bench.answer(CUT, 2.0)
    bench.try_with(OK, 3.0)
    bench.list.settle_doubts(60.0)
    request = bench.list.next_request(60.0, "again").request
    assert (request.adds, request.removes) == ((), (1,))


def test_doubts_of_many_requests_end_one_by_one() -> None:
    """A contact that changes its mind between two requests without an answer is sent after each has settled."""
    bench = Bench()
    bench.read(1, ADD)
    bench.try_with(CUT, 0.0)
    bench.read(1, REMOVE)
    bench.try_with(CUT, 50.0)
    bench.read(1, ADD)
    bench.try_with(OK, 60.0)
    bench.acknowledge()
    bench.list.settle_doubts(120.0)
    assert bench.list.pending == 0, "the first asked for what is wanted"
    assert bench.committable == 1
    bench.list.settle_doubts(170.0)
    assert bench.list.next_request(170.0, "again").request.adds == (1,)
