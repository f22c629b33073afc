"""One list: what it sends when, and what each answer makes of what waits."""

from dataclasses import replace

import pytest

from consumer.guard import Limit
from consumer.list_sync import ListSync
from consumer.outcomes import (
    GAVE_UP,
    TOKEN_EXPIRED,
    UNREADABLE,
    UNUSABLE,
    Applied,
    Details,
    NotSent,
    Outcome,
    Recoverable,
    Scope,
    Terminal,
    Verdict,
)
from tests.strategies import ADD, OK, REMOVE, RULES, TIMEOUT, Bench

BUSY = Recoverable(Details(status=503), "503", wait=2.0)
GONE = Terminal(Details(status=404), "LIST_NOT_FOUND", Scope.LIST)
BAD = Terminal(Details(status=400), "BAD_REQUEST", Scope.BATCH)
CUT = Recoverable(Details(), "connection_error", late=True)


def _full(bench: Bench, contacts: int = 4, now: float = 0.0) -> None:
    for contact in range(1, contacts + 1):
        bench.read(contact, now=now)


def test_a_window_is_due_by_age_or_at_once_when_full() -> None:
    """The first change sets the time; a full window waits for nothing."""
    bench = Bench()
    assert bench.list.ready_at() is None
    bench.read(1, now=10.0)
    bench.read(2, now=20.0)
    assert bench.list.ready_at() == 40.0
    _full(bench)
    assert bench.list.ready_at() == float("-inf")


def test_nothing_is_ready_while_a_request_is_on_the_wire() -> None:
    """One request at a time: a second one is refused, and what arrives meanwhile waits in the next window."""
    bench = Bench()
    bench.read(1)
    bench.flush(0.0)
    bench.read(2)
    bench.list.hasten(0.0)
    assert bench.list.ready_at() is None
    with pytest.raises(RuntimeError, match="on the wire"):
        bench.list.next_request(0.0, "another")
    bench.answer(OK, 1.0)
    assert bench.list.ready_at() is not None


def test_an_answer_that_nobody_waits_for_is_refused() -> None:
    """An answer without a request is a defect, and changes nothing."""
    with pytest.raises(RuntimeError, match="did not wait"):
        Bench().list.answered(OK, 0.0, 0.0)


def test_each_contact_gets_one_outcome() -> None:
    """Sent = added + removed + not found + unchanged, each with the change that decided it."""
    bench = Bench()
    deciding = {contact: bench.read(contact, ADD if contact < 4 else REMOVE) for contact in range(1, 5)}
    bench.flush(0.0)
    verdict = replace(OK, added=frozenset({1}), removed=frozenset({4}), missing=frozenset({2}))
    (settled,) = bench.answer(verdict, 1.0)
    assert {each.contact: each.outcome for each in settled.outcomes} == {
        1: Outcome.ADDED,
        2: Outcome.NOT_FOUND,
        3: Outcome.UNCHANGED,
        4: Outcome.REMOVED,
    }
    assert {each.contact: each.change for each in settled.outcomes} == deciding


def test_a_flush_takes_the_whole_window_in_several_requests() -> None:
    """What is more than `max_contacts` leaves as several requests of one batch, while a new window opens."""
    bench = Bench()
    _full(bench, 10)
    sizes = []
    for step in range(3):
        flush = bench.flush(0.0)
        sizes.append(len(flush.request.adds))
        assert (flush.trigger is None) == (step > 0)
        bench.read(100 + step)
        bench.answer(OK, 0.0)
    assert sizes == [4, 4, 2]
    assert bench.list.pending == 3


def test_a_failed_batch_folds_back_and_waits() -> None:
    """A passing failure puts all of the batch back, newest intents winning, due after the retry time."""
    bench = Bench()
    _full(bench, 6)
    bench.flush(0.0)
    bench.read(1, REMOVE)
    assert bench.answer(BUSY, 5.0) == []
    assert bench.list.ready_at() == 7.0
    assert bench.list.pending == 6
    request = bench.flush(7.0).request
    assert 1 not in request.adds
    assert set(request.adds + request.removes) <= set(range(1, 7))


def test_an_account_wide_failure_does_not_hold_its_list_back() -> None:
    """What stops the account is not counted against the list: its account says when."""
    bench = Bench()
    bench.read(1)
    bench.try_with(replace(BUSY, account_wide=True), 5.0)
    assert bench.list.ready_at() == 5.0


def test_after_timeouts_requests_are_halved_and_doubled_again() -> None:
    """Half after each timeout, down to one contact; twice after each success, up to `max_contacts`."""
    bench = Bench(rules=replace(RULES, max_contacts=8))
    _full(bench, 40)
    sizes = []
    for verdict in (TIMEOUT, TIMEOUT, TIMEOUT, TIMEOUT, OK, OK, OK, OK, OK):
        sizes.append(len(bench.flush(0.0).request.adds))
        bench.answer(verdict, 0.0)
    assert sizes == [8, 4, 2, 1, 1, 2, 4, 8, 8]


def test_a_cut_connection_does_not_halve() -> None:
    """Only what took too long is made smaller."""
    bench = Bench()
    _full(bench)
    bench.try_with(CUT, 0.0)
    assert len(bench.flush(100.0).request.adds) == 4


@pytest.mark.parametrize(
    ("reason", "retries", "condemned", "scope"),
    [(TOKEN_EXPIRED, 1, "UNAUTHORIZED", Scope.ACCOUNT), (UNREADABLE, 3, "UNREADABLE_ANSWER", Scope.BATCH)],
)
def test_some_failures_pass_only_so_often(reason: str, retries: int, condemned: str, scope: Scope) -> None:
    """An expired token gets one more try at once, an unreadable success three; then they are terminal."""
    bench = Bench()
    bench.read(1)
    failure = Recoverable(Details(), reason)
    for _ in range(retries):
        assert bench.try_with(failure, 0.0) == []
    if reason == TOKEN_EXPIRED:
        assert bench.list.ready_at() == 0.0
    bench.flush(100.0)
    verdict = bench.list.weigh(failure)
    assert isinstance(verdict, Terminal)
    assert (verdict.reason, verdict.scope) == (condemned, scope)
    bench.list.answered(verdict, 100.0, 0.0)


def test_a_success_in_between_starts_the_count_anew() -> None:
    """Only failures in a row are counted."""
    bench = Bench()
    for _ in range(5):
        bench.read(1)
        assert bench.try_with(Recoverable(Details(), TOKEN_EXPIRED), 0.0) == []
        bench.read(1)
        assert bench.try_with(OK, 0.0) != []


def test_a_bad_request_ends_its_contacts_and_the_batch_goes_on() -> None:
    """A refusal of the batch costs the contacts of one request, no more and no time."""
    bench = Bench()
    _full(bench, 6)
    (settled,) = bench.try_with(BAD, 0.0)
    assert set(settled.refused) == {1, 2, 3, 4}
    assert settled.terminal == BAD
    assert bench.list.ready_at() == float("-inf")
    assert set(bench.flush(0.0).request.adds) == {5, 6}


def test_a_refused_list_keeps_the_rest_and_is_parked() -> None:
    """A refusal of the list spends the contacts of one request; the others go on collapsing until the next probe."""
    bench = Bench()
    _full(bench, 10)
    (settled,) = bench.try_with(GONE, 0.0)
    assert len(settled.refused) == 4
    assert bench.list.parking
    bench.read(10, REMOVE)
    assert bench.list.pending == 6
    assert bench.list.ready_at() == 30.0
    bench.try_with(GONE, 30.0)
    assert bench.list.ready_at() == 90.0
    bench.try_with(OK, 90.0)
    assert not bench.list.parking


def test_a_refused_list_over_the_bound_lets_go_of_everything() -> None:
    """With `spend` all that waits ends with the same refusal."""
    bench = Bench()
    _full(bench, 10)
    bench.flush(0.0)
    settled = bench.answer(GONE, 0.0, spend=True)
    assert sorted(contact for each in settled for contact in each.refused) == list(range(1, 11))
    assert {each.terminal for each in settled} == {GONE}
    assert bench.list.pending == 0


@pytest.mark.parametrize("reason", sorted(UNUSABLE))
def test_an_unusable_list_is_looked_at_again_before_anything_is_sent(reason: str) -> None:
    """A list that cannot be kept aligned is looked at with each probe, until a look shows that it can."""
    bench = Bench()
    each = ListSync("vip", "acme", 4711, RULES, bench.offsets)
    assert each.next_request(0.0, "first").request.look
    assert each.answered(Terminal(Details(), reason, Scope.LIST), 0.0, 0.0) == []
    assert each.ready_at() is None, "without changes there is nothing to probe with"
    bench.list = each
    bench.read(1)
    flush = bench.flush(30.0)
    assert (flush.request.look, flush.request.calls, flush.request.adds) == (True, 2, (1,))
    bench.answer(OK, 30.0)
    bench.read(2)
    assert not bench.flush(60.0).request.look


def test_what_was_not_sent_goes_back_quietly() -> None:
    """A request that never left counts as nothing: no backoff, no doubt, the same changes again."""
    bench = Bench()
    bench.read(1)
    assert bench.try_with(NotSent(), 5.0) == []
    assert bench.list.ready_at() == 5.0
    assert bench.flush(5.0).request.adds == (1,)


def test_a_late_effect_is_undone_after_it_has_settled() -> None:
    """A contact whose intent changed after a request without an answer is sent once more after `settle`."""
    bench = Bench()
    bench.read(1)
    bench.try_with(CUT, 10.0)
    bench.read(1, REMOVE, now=11.0)
    bench.try_with(OK, 12.0)
    bench.acknowledge()
    assert bench.committable == 0, "unfinished until it was sent once more"
    assert bench.list.ready_at() is None
    assert bench.list.wakes_at() == 130.0
    bench.list.settle_doubts(130.0)
    assert bench.list.next_request(130.0, "again").request.removes == (1,)
    bench.answer(OK, 131.0)
    bench.acknowledge()
    assert bench.committable == 2


def test_a_contact_that_did_not_change_is_not_sent_again() -> None:
    """Without a newer intent a late effect does no harm, and its offset is free once it has settled."""
    bench = Bench()
    bench.read(1)
    bench.try_with(CUT, 10.0)
    bench.try_with(OK, 12.0)
    bench.acknowledge()
    assert bench.committable == 0
    bench.list.settle_doubts(130.0)
    assert bench.list.pending == 0
    assert bench.committable == 1


def test_a_change_that_came_while_the_request_was_on_the_wire_is_contested_too() -> None:
    """The newer intent may have been read before anybody knew that the answer would not come."""
    bench = Bench()
    bench.read(1)
    bench.flush(0.0)
    bench.read(1, REMOVE)
    bench.answer(CUT, 10.0)
    bench.try_with(OK, 20.0)
    bench.acknowledge()
    bench.list.settle_doubts(130.0)
    assert bench.list.pending == 1


def test_what_the_previous_owner_may_have_sent_is_undone() -> None:
    """Of changes between the committed offset and the end any may be on the wire of the previous owner."""
    bench = Bench()
    bench.read(1, ADD, now=5.0, inherited_since=0.0)
    bench.read(1, REMOVE, now=5.0, inherited_since=0.0)
    bench.read(2, ADD, now=5.0, inherited_since=0.0)
    bench.try_with(OK, 6.0)
    bench.acknowledge()
    assert bench.committable == 0
    bench.list.settle_doubts(120.0)
    request = bench.list.next_request(120.0, "again").request
    assert (request.adds, request.removes) == ((), (1,)), "contact 2 has had one intent all along"


def test_an_inherited_intent_that_changes_later_is_sent_once_more() -> None:
    """A change read after the end of the inheritance contests what the previous owner may have on the wire."""
    bench = Bench()
    bench.read(1, ADD, now=5.0, inherited_since=0.0)
    bench.try_with(OK, 6.0)
    bench.read(1, REMOVE, now=50.0)
    bench.try_with(OK, 60.0)
    bench.acknowledge()
    bench.list.settle_doubts(120.0)
    assert bench.list.next_request(120.0, "again").request.removes == (1,)


def test_what_failed_for_too_long_is_given_up_and_what_is_younger_waits() -> None:
    """After `give_up_after` of failures exactly the changes end that have failed for so long."""
    bench = Bench(rules=replace(RULES, give_up_after=600.0))
    bench.read(9)
    bench.try_with(OK, 0.0)
    bench.read(1)
    assert bench.try_with(BUSY, 0.0) == []
    bench.read(2, now=300.0)
    assert bench.try_with(BUSY, 300.0) == []
    (settled,) = bench.try_with(BUSY, 600.0)
    assert set(settled.refused) == {1}
    assert settled.terminal is not None
    assert settled.terminal.reason == GAVE_UP
    bench.acknowledge()
    assert bench.committable == 2
    bench.drain(10_000.0)
    assert bench.committable == 3


def test_a_revoked_assignment_leaves_nothing_that_could_be_sent() -> None:
    """After `forget` neither window nor batch hold anything of the assignment, and an answer finishes nothing of it."""
    bench = Bench()
    _full(bench, 10)
    bench.flush(0.0)
    bench.read(11)
    assert bench.list.carries([bench.assignment])
    bench.offsets.revoke(bench.assignment)
    bench.list.forget(bench.assignment)
    assert bench.list.pending == 4, "what is on the wire stays there"
    assert bench.answer(BUSY, 1.0) == []
    assert bench.list.pending == 0
    assert bench.list.ready_at() is None
    assert not bench.list.carries([bench.assignment])


def test_a_refusal_writes_no_dead_letter_for_what_is_not_ours() -> None:
    """Contacts of a revoked assignment are their next owner's, whatever the answer says."""
    bench = Bench()
    bench.read(1)
    bench.flush(0.0)
    bench.offsets.revoke(bench.assignment)
    bench.list.forget(bench.assignment)
    assert all(not each.refused for each in bench.answer(BAD, 1.0))


def test_a_success_after_a_revoke_still_gives_its_result() -> None:
    """An answer always gives results, whosever the contacts are by now."""
    bench = Bench()
    bench.read(1)
    bench.flush(0.0)
    bench.offsets.revoke(bench.assignment)
    bench.list.forget(bench.assignment)
    (settled,) = bench.answer(Applied(Details(status=200), added=frozenset({1})), 1.0)
    assert [each.outcome for each in settled.outcomes] == [Outcome.ADDED]


EXPIRED = Recoverable(Details(status=401), TOKEN_EXPIRED)


@pytest.mark.parametrize(
    ("between", "terminal"), [((), True), ((NotSent(),), True), ((BUSY,), False), ((EXPIRED, BUSY), False)]
)
def test_only_answers_in_a_row_are_counted(between: tuple[Verdict, ...], *, terminal: bool) -> None:
    """Another answer in between ends the row, a request that never left does not."""
    bench = Bench()
    for verdict in (EXPIRED, *between)[-2:]:
        bench.list.weigh(verdict)
    assert isinstance(bench.list.weigh(EXPIRED), Terminal) == terminal


def test_a_row_that_was_terminal_is_over() -> None:
    """The probe after a refused token gets its one more try again."""
    bench = Bench()
    verdicts = [bench.list.weigh(EXPIRED) for _ in range(4)]
    assert [isinstance(each, Terminal) for each in verdicts] == [False, True, False, True]


def test_an_expired_token_is_renewed_at_once() -> None:
    """No jitter keeps back the request that renews the token."""
    bench = Bench()
    bench.read(1)
    bench.flush(0.0)
    bench.answer(EXPIRED, 5.0, chance=0.9)
    assert bench.list.ready_at() == 5.0


@pytest.mark.parametrize("end", [OK, BAD])
def test_backoff_begins_again_once_hubspot_has_answered(end: Verdict) -> None:
    """Both a success and a refusal end the row of failures."""
    bench = Bench()
    _full(bench)
    for now in (0.0, 100.0, 200.0):
        bench.try_with(CUT, now)
    bench.try_with(end, 300.0)
    bench.read(9)
    bench.flush(400.0)
    bench.answer(CUT, 400.0, chance=0.5)
    assert bench.list.ready_at() == 400.5


def test_a_refused_account_does_not_park_its_lists() -> None:
    """The account says when it is probed; the list keeps what waits, due at once, for when it may send again."""
    bench = Bench()
    _full(bench, 6)
    bench.try_with(Terminal(Details(status=401), "UNAUTHORIZED", Scope.ACCOUNT), 5.0)
    assert not bench.list.parking
    assert bench.list.pending == 2
    assert bench.list.ready_at() == 5.0


@pytest.mark.parametrize("of_account", [False, True])
def test_a_probe_spends_one_contact(*, of_account: bool) -> None:
    """However many changes wait for a parked list, or for one of a parked account, the next request carries one."""
    bench = Bench()
    for contact in range(1, 6):
        bench.read(contact)
    if not of_account:
        bench.try_with(GONE, 0.0)
        for contact in range(1, 6):
            bench.read(contact)
    flush = bench.list.next_request(1000.0, "probe", probe=of_account)
    assert len(flush.request.adds) == 1
    refused = bench.answer(GONE, 1000.0)
    assert [len(each.refused) for each in refused] == [1]
    assert bench.list.pending == 4
    assert len(bench.flush(2000.0).request.adds) == 1
    bench.answer(OK, 2000.0)
    assert len(bench.flush(2000.0).request.adds) == 3, "a success ends it"


def test_a_parked_list_does_not_hold_the_log_for_ever() -> None:
    """What a refused list keeps for so long is given up too, and what came later waits for the next probe."""
    bench = Bench(rules=replace(RULES, max_contacts=1, give_up_after=600.0))
    _full(bench, 3)
    bench.try_with(GONE, 0.0)
    bench.read(4)
    probe, given_up = bench.try_with(GONE, 600.0)
    assert (set(probe.refused), set(given_up.refused)) == ({2}, {3})
    assert given_up.terminal is not None
    assert given_up.terminal.reason == GAVE_UP
    assert bench.list.pending == 1


def test_a_change_has_not_failed_before_a_flush_took_it() -> None:
    """What came while a request was failing is younger than that failure."""
    bench = Bench(rules=replace(RULES, give_up_after=600.0))
    bench.read(9)
    bench.try_with(OK, 0.0)
    bench.read(1)
    bench.flush(0.0)
    bench.read(2)
    bench.answer(BUSY, 0.0)
    (settled,) = bench.try_with(BUSY, 600.0)
    assert set(settled.refused) == {1}
    assert bench.list.pending == 1


def test_the_success_of_others_does_not_spare_a_change() -> None:
    """A contact that always fails is given up in time, even if every other contact of its list succeeds."""
    bench = Bench(rules=replace(RULES, max_contacts=1, give_up_after=600.0))
    bench.read(9)
    bench.try_with(OK, 0.0)
    bench.read(1)
    bench.flush(0.0)
    bench.read(2)
    bench.answer(BUSY, 0.0)
    assert bench.flush(300.0).request.adds == (2,)
    bench.answer(OK, 300.0)
    assert bench.flush(600.0).request.adds == (1,)
    (settled,) = bench.answer(BUSY, 600.0)
    assert set(settled.refused) == {1}


def test_giving_up_does_not_hurry_what_is_younger() -> None:
    """A window whose older changes are given up is due when it was due before."""
    bench = Bench()
    old = bench.read(1, now=10.0)
    bench.read(2, now=20.0)
    bench.list.give_up(old.number, GONE, 25.0)
    assert bench.list.pending == 1
    assert bench.list.ready_at() == 40.0


@pytest.mark.parametrize("verdict", [BUSY, NotSent()])
def test_a_look_that_failed_is_taken_again(verdict: Verdict) -> None:
    """Until HubSpot has shown the list, each request looks at it first."""
    bench = Bench()
    bench.list = ListSync("vip", "acme", 4711, RULES, bench.offsets)
    assert bench.list.ready_at() == float("-inf")
    assert bench.flush(0.0).request.look
    bench.answer(verdict, 0.0)
    assert bench.flush(10.0).request.look


def test_what_makes_a_window_leave_is_told() -> None:
    """By age, by size, or because the service drains; more of the same batch tells nothing."""
    bench = Bench()
    bench.read(1)
    assert bench.flush(30.0).trigger == "age"
    bench.answer(OK, 30.0)
    _full(bench, 5)
    assert bench.flush(30.0).trigger == "size"
    bench.answer(OK, 30.0)
    assert bench.flush(30.0).trigger is None
    bench.answer(OK, 30.0)
    bench.read(1)
    bench.list.hasten(31.0)
    assert bench.list.next_request(31.0, "last", "drain").trigger == "drain"


def test_haste_never_pushes_back() -> None:
    """A window that is overdue stays as overdue as it was."""
    bench = Bench()
    bench.read(1)
    bench.list.hasten(100.0)
    assert bench.list.ready_at() == 30.0


def _guarded(removes: int, size: int) -> Bench:
    """Give a list of so many members of which so many are to be removed, looked at as its guard asks for."""
    bench = Bench(rules=replace(RULES, guard=Limit(share=50, above=3, within=3600.0)))
    for contact in range(removes):
        bench.read(contact, REMOVE)
    bench.list.hasten(100.0)
    assert not bench.list.is_held(100.0)
    look = bench.list.next_request(100.0, "look").request
    assert (look.look, look.calls) == (True, 1)
    bench.list.answered(OK, 100.0, 0.0, size=size)
    return bench


def test_a_held_flush_is_not_ready() -> None:
    """What the guard holds waits, and is asked about again seconds later; its offsets are held."""
    bench = _guarded(removes=8, size=10)
    assert bench.list.is_held(100.0)
    assert bench.list.held is not None
    assert bench.list.ready_at() == 105.0
    assert (bench.list.pending, bench.committable) == (8, 0)
    bench.list.forget(bench.assignment)
    assert bench.list.held is None


def test_a_released_flush_leaves_alone_when_more_has_come() -> None:
    """Of what folded back after a release only what was released leaves, when the rest is to be held by itself."""
    bench = _guarded(removes=8, size=10)
    assert bench.list.is_held(100.0)
    assert bench.list.release() == 8
    assert not bench.list.is_held(100.0)
    assert len(bench.list.next_request(100.0, "first").request.removes) == 4
    bench.answer(BUSY, 100.0)
    for contact in range(10, 20):
        bench.read(contact, REMOVE)
    sent: set[int] = set()
    for step in range(2):
        assert not bench.list.is_held(103.0 + step)
        request = bench.list.next_request(103.0 + step, "again").request
        sent.update(request.removes)
        bench.answer(replace(OK, removed=frozenset(request.removes)), 103.0 + step)
    assert sent == set(range(8))
    assert bench.list.is_held(105.0)
    assert bench.list.pending == 10


def test_a_look_for_the_guard_tells_nothing_of_changes() -> None:
    """A look that succeeds does not make a parked list send more than one contact."""
    bench = Bench(rules=replace(RULES, guard=Limit(share=50, above=3, within=3600.0)))
    bench.read(50)
    bench.try_with(GONE, 0.0)
    for contact in range(5):
        bench.read(contact, REMOVE)
    bench.list.hasten(100.0)
    assert not bench.list.is_held(100.0)
    assert bench.list.next_request(100.0, "look").request.calls == 1
    bench.list.answered(OK, 100.0, 0.0, size=100)
    assert bench.list.parking
    assert not bench.list.is_held(100.0)
    assert len(bench.list.next_request(100.0, "probe").request.removes) == 1
