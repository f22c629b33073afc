"""Contacts that were not found: when they are tried again, and what ends that."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.changes import Assignment
from consumer.flight import Flight, Retry
from consumer.not_found import ENDS, NotFound, Tries
from consumer.offsets import Offsets
from consumer.outcomes import Applied, Details, NotSent, Recoverable, Request, Scope, Terminal, Verdict
from consumer.packed import PackedChanges
from tests.strategies import ADD, OK, REMOVE, RULES, TIMEOUT, Bench, change

TRIES = Tries(retries=3, over=70.0, most=5, give_up_after=1000.0)  # due after 10, 30 and 70 s
ASSIGNMENT = Assignment("changes", 0, 1)
REQUEST = Request("r", "vip", "acme", 4711)
BUSY = Recoverable(Details(), "503")
BAD = Terminal(Details(), "BAD_REQUEST", Scope.BATCH)


def _missing(*contacts: int) -> Applied:
    """Make an answer that did not find these contacts."""
    return replace(OK, missing=frozenset(contacts))


def _bench(max_contacts: int = RULES.max_contacts) -> Bench:
    """Make a list that tries again."""
    return Bench(rules=replace(RULES, not_found=TRIES, max_contacts=max_contacts))


class Waiting(NotFound):
    """What was not found, without a list."""

    def __init__(self, tries: Tries = TRIES) -> None:
        super().__init__(tries)
        self.offsets = Offsets()
        self.offsets.assign(ASSIGNMENT)

    def miss(self, *contacts: int, now: float = 0.0) -> None:
        """Ask for contacts the first time, and do not find them."""
        asked = PackedChanges(self.offsets)
        asked.update({contact: change(ASSIGNMENT, contact) for contact in contacts})
        self.answered(Flight(REQUEST, asked, {}, None), _missing(*contacts), self.offsets, now)

    def due(self, now: float, most: int = 100) -> dict[int, Retry]:
        """Take what is due."""
        return self.take(now, most, lambda _: False)

    def answer(self, retries: dict[int, Retry], verdict: Verdict, now: float) -> None:
        """Bring in what became of tries."""
        self.answered(Flight(REQUEST, PackedChanges(self.offsets), retries, None), verdict, self.offsets, now)


@given(st.integers(1, 10), st.floats(0.001, 1e6))
def test_the_last_try_is_at_the_end_of_the_time(retries: int, over: float) -> None:
    """Each wait is twice the one before, and together they last as long as the configuration says."""
    tries = Tries(retries=retries, over=over)
    waits = [tries.wait(answers) for answers in range(retries)]
    assert sum(waits) == pytest.approx(over)
    assert waits == pytest.approx([waits[0] * 2**answers for answers in range(retries)])


def test_each_answer_sets_the_next_wait() -> None:
    """A contact that is not found again waits twice as long, and after the last try no more."""
    waiting = Waiting()
    waiting.miss(1)
    now = 0.0
    for due in (10.0, 30.0, 70.0):
        assert waiting.next_due() == due
        assert waiting.due(due - 0.1) == {}
        taken = waiting.due(due)
        assert list(taken) == [1]
        waiting.answer(taken, _missing(1), due)
        now = due
    assert waiting.due(now + 10_000) == {}
    assert waiting.tell() == {"not_found": 2, "given_up": 1}
    assert waiting.tell() == {}


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 50), st.sampled_from(["missing", "503", "ok", "400"]))))
def test_no_contact_waits_twice_and_nothing_is_due_too_early(steps: list[tuple[int, float, str]]) -> None:
    """Whatever the answers, as many wait as may, each once, and the time told is that of the first that is due."""
    waiting = Waiting()
    verdicts: dict[str, Verdict] = {"503": BUSY, "ok": OK, "400": BAD}
    now = 0.0
    for most, seconds, kind in steps:
        now += seconds
        waiting.newer(most)
        waiting.miss(most, now=now)
        taken = waiting.due(now, most)
        assert len(taken) <= most
        assert all(retry.due <= now for retry in taken.values())
        if len(taken) < most:
            following = waiting.next_due()
            assert following is None or following > now
        waiting.answer(taken, verdicts.get(kind, _missing(*taken)), now)
        assert len(waiting) <= TRIES.most
        assert len(waiting) == sum(map(len, waiting._queues))
        assert (len(waiting) == 0) == (waiting.next_due() is None)
    assert set(waiting.tell()) <= set(ENDS)


def test_what_came_back_without_an_answer_goes_first() -> None:
    """Nothing that was unanswered waits anew, or behind others."""
    waiting = Waiting()
    waiting.miss(1, 2)
    waiting.miss(3, now=5.0)
    taken = waiting.due(10.0, 1)
    waiting.answer(taken, BUSY, 20.0)
    assert list(waiting.due(20.0)) == [1, 2, 3]


def test_what_is_unanswered_for_too_long_is_given_up() -> None:
    """A try that was due long ago and never answered ends, and is counted."""
    waiting = Waiting()
    waiting.miss(1)
    waiting.answer(waiting.due(1000.0), BUSY, 1009.9)
    waiting.answer(waiting.due(1010.0), BUSY, 1010.0)
    assert len(waiting) == 0
    assert waiting.tell() == {"given_up": 1}


def test_what_comes_last_finds_no_room() -> None:
    """As many wait as may; those that come later are counted, and those that waited before stay."""
    waiting = Waiting()
    waiting.miss(*range(1, 8))
    assert list(waiting.due(10.0)) == [1, 2, 3, 4, 5]
    assert waiting.tell() == {"no_room": 2}


@pytest.mark.parametrize(
    ("verdict", "told"), [(OK, "found"), (BAD, "forgotten"), (BUSY, "forgotten"), (NotSent(), "forgotten")]
)
def test_an_answer_after_the_partition_was_given_up(verdict: Verdict, told: str) -> None:
    """What was found is counted; what was not is forgotten with its partition."""
    waiting = Waiting()
    waiting.miss(1)
    taken = waiting.due(10.0)
    waiting.offsets.revoke(ASSIGNMENT)
    waiting.answer(taken, verdict, 11.0)
    assert len(waiting) == 0
    assert waiting.tell() == {told: 1}


def test_only_one_partition_is_forgotten() -> None:
    """What came from another partition goes on waiting."""
    waiting, other = Waiting(), Assignment("changes", 1, 1)
    waiting.offsets.assign(other)
    waiting.miss(1)
    asked = PackedChanges(waiting.offsets)
    asked[2] = change(other, 2)
    waiting.answered(Flight(REQUEST, asked, {}, None), _missing(2), waiting.offsets, 0.0)
    waiting.forget((ASSIGNMENT,))
    assert list(waiting.due(10.0)) == [2]
    assert waiting.tell() == {"forgotten": 1}


def test_with_no_tries_nothing_waits() -> None:
    """Switched off, nothing is kept."""
    waiting = Waiting(Tries())
    waiting.miss(1)
    assert len(waiting) == 0
    assert waiting.tell() == {}


def test_the_offset_is_given_up_with_the_first_answer() -> None:
    """A contact that waits to be tried again, or is on the wire for that, holds no offset."""
    bench = _bench()
    bench.read(1)
    bench.try_with(_missing(1), 0.0)
    bench.acknowledge()
    assert bench.committable == 1
    assert bench.list.pending == 0
    flush = bench.flush(10.0)
    assert (flush.request.adds, flush.request.again, flush.trigger) == ((1,), (1,), None)
    assert (bench.committable, bench.list.pending) == (1, 1)
    (settled,) = bench.answer(replace(OK, added=frozenset({1})), 11.0)
    assert [(each.contact, each.change.offset) for each in settled.outcomes] == [(1, 0)]
    assert bench.list.pending == 0


def test_retries_fill_what_is_left_of_a_request() -> None:
    """Changes come first; a request carries no more than it may, after a timeout half as much."""
    bench = _bench()
    for contact in range(1, 5):
        bench.read(contact)
    bench.try_with(_missing(1, 2, 3, 4), 0.0)
    bench.read(11)
    assert bench.flush(10.0).request.adds == (11, 1, 2, 3)
    bench.answer(TIMEOUT, 20.0)
    assert bench.flush(200.0).request.adds == (11, 1)


def test_a_list_is_ready_for_a_retry_a_windows_age_after_it_is_due() -> None:
    """So long something else may leave, and take it along."""
    bench = _bench()
    bench.read(1)
    bench.try_with(_missing(1), 0.0)
    assert bench.list.ready_at() == 10.0 + RULES.max_age
    assert bench.list.changes_ready_at() is None
    bench.read(2, now=5.0)
    assert bench.list.ready_at() == 5.0 + RULES.max_age


def test_a_request_without_an_answer_doubts_its_retries_and_holds_nothing_of_them() -> None:
    """What a newer change of such a contact asks for is sent once more at the end; only that change is held."""
    bench = _bench()
    bench.read(1)
    bench.try_with(_missing(1), 0.0)
    bench.acknowledge()
    bench.flush(10.0)
    assert bench.answer(TIMEOUT, 20.0) == []
    assert (bench.committable, bench.list.doubtful) == (1, True)
    bench.read(1, REMOVE)
    bench.try_with(OK, 30.0)
    bench.acknowledge()
    assert bench.committable == 1
    assert bench.flush(140.0).request.removes == (1,)
    bench.answer(OK, 141.0)
    bench.acknowledge()
    assert bench.committable == 2


@pytest.mark.parametrize("found", [True, False])
def test_what_is_sent_once_more_for_a_late_effect_is_no_try(found: bool) -> None:
    """A contact that waits here as well is asked for once; not found, it goes on waiting as before."""
    bench = _bench()
    bench.read(1, REMOVE)
    bench.try_with(TIMEOUT, 0.0)
    bench.read(1, ADD)
    bench.try_with(_missing(1), 111.0)
    assert bench.list.not_found.next_due() == 121.0
    request = bench.flush(125.0).request  # the doubt has ended, and the try is due
    assert (request.adds, request.again) == ((1,), ())
    bench.answer(OK if found else _missing(1), 126.0)
    assert bench.list.not_found.next_due() == (None if found else 121.0)
    assert bench.list.not_found.tell() == ({"found": 1} if found else {})


def test_a_change_read_while_the_first_request_is_on_the_wire_wins() -> None:
    """Nothing is tried again of which something newer was read before the answer, even if that is given up."""
    bench = _bench()
    bench.read(1)
    bench.flush(0.0)
    newer = bench.read(1, REMOVE)
    bench.list.give_up(newer.number, BAD, 0.5)
    bench.answer(_missing(1), 1.0)
    assert len(bench.list.not_found) == 0


def test_a_change_read_before_its_contact_left_wins() -> None:
    """A batch leaves in several requests: what was read after it was taken ends a try before it begins."""
    bench = _bench(max_contacts=1)
    bench.read(1)
    bench.read(2)
    bench.try_with(OK, 0.0)
    bench.read(2, REMOVE)
    assert bench.flush(1.0).request.adds == (2,)
    bench.answer(_missing(2), 2.0)
    assert len(bench.list.not_found) == 0
    assert bench.list.pending == 1
