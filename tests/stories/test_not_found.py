"""Contacts that HubSpot does not know yet: they are tried again, and never against a newer intent."""

import pytest

from consumer.outcomes import Outcome
from consumer.simulator.faults import Fault
from tests.fakes.service import Member, World, world

ADDED, NOT_FOUND, REMOVED, UNCHANGED = Outcome.ADDED, Outcome.NOT_FOUND, Outcome.REMOVED, Outcome.UNCHANGED
SOON = {"retries": 3, "over": "70s"}  # the tries are due after 10, 30 and 70 s
TEN = {"max_age": "10s", "max_contacts": 10}


def tries(member: Member, outcome: str) -> float:
    """Give how many tries ended so."""
    return member.metric("not_found_retries_total", connector="c0", outcome=outcome)


def _missed(w: World, *contacts: int) -> Member:
    """Start a member that tells of contacts which do not exist, until the group has no lag."""
    w.account.contacts = set(range(100, 200))
    member = w.member()
    for contact in contacts:
        w.tell("ENTER", contact, partition=0)
    member.run_until(w.all_committed)
    assert all(w.outcomes(contact) == [NOT_FOUND] for contact in contacts)
    return member


def _create(w: World, *contacts: int) -> None:
    assert isinstance(w.account.contacts, set)
    w.account.contacts.update(contacts)


def test_a_contact_created_a_moment_later_travels_with_a_later_flush() -> None:
    """A contact that was not found is added by a later request of its list, which would have left anyway."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        assert w.committed(0) == 1, "the first answer is final for the offset"
        _create(w, 1)
        member.run_for(5)
        w.tell("ENTER", 100, partition=1)
        member.run_until(w.all_committed)
        assert [each.adds for each in w.changes()] == [(1,), (100, 1)]
        assert w.members() == {1, 100}
        assert w.outcomes(1) == [NOT_FOUND, ADDED]
        assert tries(member, "found") == 1
        assert member.metric("contacts_not_found_total") == 1
        assert member.metric("contacts_added_total") == 2
        assert member.metric("event_to_list_seconds_count") == 2, "the age of an event is told once"


def test_nothing_travels_before_it_is_due() -> None:
    """A flush that leaves before the try is due leaves without it."""
    with world(window={"max_age": "2s"}, not_found=SOON) as w:
        member = _missed(w, 1)
        w.tell("ENTER", 100, partition=1)
        member.run_until(w.all_committed)
        assert [each.adds for each in w.changes()] == [(1,), (100,)]


def test_a_quiet_list_tries_by_itself() -> None:
    """Where no flush comes along, the try leaves alone, a window's age after it was due."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        first = w.changes()[0].at
        _create(w, 1)
        member.run_until(lambda: len(w.changes()) == 2)
        assert w.changes()[1].adds == (1,)
        assert w.changes()[1].at == pytest.approx(first + 10 + 10, abs=1)
        member.run_for(1)
        assert w.members() == {1}
        assert member.metric("window_flushes_total") == 1, "no window left with it"


def test_three_tries_and_then_no_more() -> None:
    """A contact that is never found is tried three times, each wait twice the one before, and then left alone."""
    with world(window={"max_age": "500ms"}, not_found=SOON) as w:
        member = _missed(w, 1)
        member.run_for(1000)
        waits = [each.at - w.changes()[0].at for each in w.changes()]
        assert waits == pytest.approx([0, 10, 30, 70], abs=4)
        assert w.outcomes(1) == [NOT_FOUND] * 4
        assert (tries(member, "not_found"), tries(member, "given_up")) == (2, 1)
        assert w.sink.dead_letters == []


def test_the_default_tries_within_an_hour() -> None:
    """Without a word in the file a contact is tried again after about 9, 26 and 60 minutes."""
    with world() as w:
        member = _missed(w, 1)
        member.run_for(3 * 3600)
        minutes = [(each.at - w.changes()[0].at) / 60 for each in w.changes()]
        assert minutes == pytest.approx([0, 9, 27, 62], abs=1)


def test_with_no_retries_nothing_is_tried_again() -> None:
    """`retries: 0` leaves it at the first answer."""
    with world(not_found={"retries": 0}) as w:
        member = _missed(w, 1)
        _create(w, 1)
        member.run_for(2 * 3600)
        assert len(w.changes()) == 1
        assert member.metric("not_found_retries_total") == 0


def test_a_removal_that_found_nobody_needs_no_other() -> None:
    """A contact that does not exist is on no list, so its exit is not tried again."""
    with world(window=TEN, not_found=SOON) as w:
        w.account.contacts = set()
        member = w.member()
        w.tell("EXIT", 1)
        member.run_until(w.all_committed)
        member.run_for(300)
        assert len(w.changes()) == 1


@pytest.mark.parametrize("transition", ["EXIT", "ENTER"])
def test_a_newer_change_ends_the_retry(transition: str) -> None:
    """Once anything newer of the contact is read, what was not found is not tried again."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        _create(w, 1)
        w.tell(transition, 1, partition=0)
        member.run_until(w.all_committed)
        member.run_for(300)
        assert len(w.changes()) == 2
        assert w.members() == ({1} if transition == "ENTER" else frozenset())
        assert tries(member, "superseded") == 1


def test_a_newer_exit_wins_while_the_retry_is_on_the_wire() -> None:
    """An exit that is read while its contact is being tried again goes out after it, and the try ends."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        w.portal.inject(Fault("slow", seconds=15, times=1, method="PUT"))
        member.run_until(lambda: len(w.changes()) == 2)
        _create(w, 1)
        w.tell("EXIT", 1, partition=0)
        member.run_until(w.all_committed)
        member.run_for(300)
        assert [(each.adds, each.removes) for each in w.changes()] == [((1,), ()), ((1,), ()), ((), (1,))]
        assert w.members() == frozenset()
        assert tries(member, "superseded") == 1


def test_an_exit_that_hubspot_refuses_still_ends_the_retry() -> None:
    """An exit that ends as a dead letter was the newest intent all the same: nothing adds the contact after it."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        _create(w, 1)
        w.portal.inject(Fault("bad_request", times=1, method="PUT"))
        w.tell("EXIT", 1, partition=0)
        member.run_until(w.all_committed)
        member.run_for(300)
        assert w.members() == frozenset()


def test_a_revoke_forgets_and_waits_for_no_retry() -> None:
    """A partition that is given up takes its retries along: its member never tries them, and does not wait for them."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        member.run_for(9)
        _create(w, 1)
        began = w.clock.monotonic()
        member.source.revoke(0)
        member.turn()
        assert w.clock.monotonic() - began < 1
        member.run_for(300)
        assert len(w.changes()) == 1
        assert tries(member, "forgotten") == 1


def test_lost_partitions_take_their_retries_along() -> None:
    """What others may own by now is not tried again; what came from another partition is."""
    with world(window=TEN, not_found=SOON) as w:
        w.account.contacts = set()
        member = w.member()
        for contact in (1, 2):
            w.tell("ENTER", contact, partition=contact)
        member.run_until(w.all_committed)
        w.account.contacts = {1, 2}
        member.source.lose(1)
        member.run_for(300)
        assert w.members() == {2}


def test_a_revoke_waits_for_a_retry_on_the_wire() -> None:
    """A try that is on the wire when its partition is revoked is answered and recorded before the callback returns."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        _create(w, 1)
        w.portal.inject(Fault("slow", seconds=10, times=1, method="PUT"))
        member.run_until(lambda: len(w.changes()) == 2)
        member.source.revoke(0)
        member.turn()
        assert w.outcomes(1) == [NOT_FOUND, ADDED]
        assert member.metric("pending_contacts") == 0


def test_no_retry_leaves_after_its_revoke() -> None:
    """A try whose worker had not sent it when the revoke callback returned is never sent."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        member.workers.holding = True
        member.run_until(lambda: len(member.workers.on_the_wire) == 1)
        member.source.revoke(0)
        member.turn()
        member.workers.let_go()
        member.run_for(300)
        assert len(w.changes()) == 1


def test_a_stop_waits_for_no_retry() -> None:
    """A stop tries nothing again that waits: its changes have their end already."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        member.run_for(9)
        began = w.clock.monotonic()
        member.loop.stop("SIGTERM")
        member.run_until(lambda: member.loop.state.value == "stopped")
        assert w.clock.monotonic() - began < 1
        assert len(w.changes()) == 1
        assert tries(member, "forgotten") == 1


def test_a_crash_forgets_a_retry_that_waits() -> None:
    """The offset of what was not found is committed, so whoever takes over after a crash does not try it again."""
    with world(window=TEN, not_found=SOON) as w:
        _missed(w, 1)
        _create(w, 1)
        successor = w.member()
        successor.run_for(300)
        assert len(w.changes()) == 1
        assert w.members() == frozenset()


def test_a_retry_that_takes_effect_late_does_not_have_the_last_word() -> None:
    """An exit that was answered while a try may still take effect is sent once more when that is over."""
    with world(window=TEN, not_found=SOON, hubspot={"settle": "120s"}) as w:
        member = _missed(w, 1)
        _create(w, 1)
        w.portal.inject(Fault("late", seconds=100, times=1, method="PUT"))
        member.run_until(lambda: len(w.changes()) == 2)
        w.tell("EXIT", 1, partition=0)
        member.run_until(lambda: w.outcomes(1) == [NOT_FOUND, UNCHANGED])
        member.run_until(lambda: w.members() == {1})  # the late effect has come
        assert not w.all_committed(), "the exit is unfinished until it was sent once more"
        member.run_until(w.all_committed)
        assert w.members() == frozenset()


def test_an_exit_read_before_the_answer_of_a_late_retry_is_sent_once_more() -> None:
    """So it is when the exit was read while the try had no answer yet."""
    with world(window=TEN, not_found=SOON, hubspot={"settle": "120s", "timeout": "20s"}) as w:
        member = _missed(w, 1)
        _create(w, 1)
        w.portal.inject(Fault("slow", seconds=40, times=1, method="PUT"))
        member.run_until(lambda: len(w.changes()) == 2)
        w.tell("EXIT", 1, partition=0)
        member.run_until(lambda: len(w.outcomes(1)) == 2)
        assert not w.all_committed(), "the exit is unfinished until it was sent once more"
        member.run_until(w.all_committed)
        assert [each.removes for each in w.changes()[2:]] == [(1,), (1,)]
        assert w.members() == frozenset()


@pytest.mark.parametrize("fault", ["unavailable", "rate_limited", "request_timeout", "cut_before"])
def test_a_failure_that_passes_uses_up_no_try(fault: str) -> None:
    """A try that nobody answered is made again, until it has its answer."""
    with world(window=TEN, not_found={"retries": 1, "over": "10s"}) as w:
        member = _missed(w, 1)
        w.portal.inject(Fault(fault, times=4, method="PUT"))
        member.run_until(lambda: len(w.changes()) == 4)
        _create(w, 1)
        member.run_for(300)
        assert w.members() == {1}
        assert tries(member, "found") == 1


def test_a_try_that_nobody_answers_for_too_long_is_given_up() -> None:
    """After `retry.give_up_after` without an answer a try ends, as a change would."""
    with world(window=TEN, not_found=SOON, retry={"give_up_after": "10m"}) as w:
        member = _missed(w, 1)
        w.portal.inject(Fault("unavailable", method="PUT"))
        member.run_for(1000)
        sent = len(w.changes())
        assert tries(member, "given_up") == 1
        member.run_for(600)
        assert len(w.changes()) == sent


def test_a_refused_try_is_counted_and_leaves_no_dead_letter() -> None:
    """A try that HubSpot refuses for good ends there: its first outcome stands, and what travelled with it is told."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        member.run_for(5)
        w.portal.inject(Fault("bad_request", times=1, method="PUT"))
        w.tell("ENTER", 100, partition=1)
        member.run_until(w.all_committed)
        member.run_for(300)
        letter = w.dead_letter("BAD_REQUEST")
        assert [each.record_id for each in letter.contacts] == ["100"]
        assert len(w.changes()) == 2
        assert w.outcomes(1) == [NOT_FOUND]
        assert tries(member, "refused") == 1


def test_a_parked_list_is_probed_with_one_contact() -> None:
    """While a list is parked a request carries one contact; where no change waits, one try is the probe."""
    with world(window=TEN, not_found={"retries": 3, "over": "140s"}) as w:
        member = _missed(w, *range(1, 6))
        handle = w.portal.inject(Fault("not_found", method="PUT"))
        w.tell("ENTER", 100, partition=1)
        w.tell("ENTER", 101, partition=1)
        member.run_until(w.all_committed)
        member.run_until(lambda: len(w.changes()) == 4)
        w.portal.heal(handle)
        _create(w, *range(1, 6))
        member.run_until(lambda: len(w.members()) == 3)
        assert [len(each.adds) for each in w.changes()] == [5, 2, 1, 1, 1, 2]
        assert tries(member, "refused") == 2
        assert member.metric("needs_attention") == 0


def test_no_request_is_larger_than_it_may_be() -> None:
    """Retries fill what is left of a request; what finds no room waits for the next one."""
    with world(window={"max_age": "10s", "max_contacts": 4}, not_found=SOON) as w:
        member = _missed(w, *range(1, 9))
        _create(w, *range(1, 9))
        member.run_for(5)
        for contact in range(100, 103):
            w.tell("ENTER", contact, partition=1)
        member.run_until(lambda: len(w.members()) == 11)
        assert [len(each.adds) for each in w.changes()] == [4, 4, 4, 4, 3]
        assert w.changes()[2].adds == (100, 101, 102, 1)


def test_only_so_many_wait() -> None:
    """A tenth of `limits.max_pending_contacts` may wait; those that came last are counted and not tried again."""
    with world(window=TEN, not_found=SOON, limits={"max_pending_contacts": 30}) as w:
        member = _missed(w, *range(1, 9))
        _create(w, *range(1, 9))
        member.run_for(60)
        assert w.members() == {1, 2, 3}
        assert tries(member, "no_room") == 5


def test_a_contact_that_waits_is_not_pending() -> None:
    """What waits to be tried again is finished: it pauses no reading, and is no part of the pending contacts."""
    with world(window=TEN, not_found=SOON) as w:
        member = _missed(w, 1)
        member.run_for(5)
        assert member.metric("pending_contacts") == 0
        assert member.loop.status().lists[0].waiting == 0
