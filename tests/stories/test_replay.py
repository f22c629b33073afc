"""Dead letters replayed: what goes out, what is left out, and who has the last word beside a running service."""

from typing import Any

from consumer.changes import TopicPartition
from consumer.outcomes import Outcome
from consumer.simulator.faults import Fault
from tests.fakes.kafka import TOPIC
from tests.fakes.replay import Replaying, choose
from tests.fakes.service import Member, World, world

QUICK: dict[str, Any] = {"window": {"max_age": "1s"}}


def refused(w: World, member: Member, *contacts: int, fault: str = "bad_request", transition: str = "ENTER") -> None:
    """Let the changes of contacts become dead letters."""
    handle = w.portal.inject(Fault(fault, method="PUT"))
    for contact in contacts:
        w.tell(transition, contact)
    member.run_until(w.all_committed)
    w.portal.heal(handle)


def test_what_was_refused_is_applied() -> None:
    """What HubSpot refused is sent again by a replay once HubSpot takes it, and the results tell."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, 1, 2, 3)
        assert w.members() == frozenset()
        replaying = Replaying(w)
        replaying.run()
        assert w.members() == {1, 2, 3}
        assert replaying.replay.outcomes() == {Outcome.ADDED: 3}
        assert w.outcomes(2) == [Outcome.ADDED]


def test_the_newest_intent_goes_out() -> None:
    """A replay sends what the log says last of a contact, not what its dead letter says."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, 1, 2)
        w.tell("EXIT", 1)  # not read by the service yet
        replaying = Replaying(w)
        replaying.run()
        assert w.members() == {2}
        assert all(1 not in each.adds for each in w.changes()[1:])


def test_others_are_passed_over() -> None:
    """A replay touches none but the contacts of its dead letters, and writes nothing of the others."""
    with world(lists=2, **QUICK) as w:
        member = w.member()
        refused(w, member, 1)
        sent = len(w.changes())
        w.tell("ENTER", 5)
        w.tell("ENTER", 1, source="audience:1")
        w.tell("ENTER", "nobody")
        w.tell_raw(b"no Avro")
        replaying = Replaying(w)
        replaying.run()
        (request,) = w.changes()[sent:]
        assert (request.list_id, request.adds, request.removes) == (100, (1,), ())
        assert len(w.sink.dead_letters) == 1


def test_what_was_applied_since_is_superseded() -> None:
    """A contact for which the service applied a newer change needs no replay, and a second replay has nothing to do."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, 1, 2)
        w.tell("EXIT", 1)
        member.run_until(w.all_committed)
        replaying = Replaying(w)
        assert replaying.selection.superseded == 1
        replaying.run()
        assert w.members() == {2}
        selection, plan = choose(w)
        assert (selection.superseded, dict(plan.targets)) == (2, {})


def test_what_fails_again_is_a_dead_letter_again() -> None:
    """A list that is refused in the replay as well ends with one request; nothing waits for a probe."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, *range(1, 6), fault="forbidden")
        before, letters = len(w.changes()), len(w.sink.dead_letters)
        w.portal.inject(Fault("forbidden", method="PUT"))
        replaying = Replaying(w, max_contacts=2)
        began = w.clock.monotonic()
        replaying.run()
        assert w.clock.monotonic() - began < 60
        assert len(w.changes()) == before + 1
        assert replaying.replay.failures() == {"FORBIDDEN": 5}
        new = [each for letter in w.sink.dead_letters[letters:] for each in letter.contacts]
        assert sorted(each.record_id for each in new) == ["1", "2", "3", "4", "5"]


def test_a_refused_account_ends_for_all_its_lists() -> None:
    """When HubSpot refuses the account's token in a replay, all its lists fail again at once."""
    with world(lists=3, **QUICK) as w:
        member = w.member()
        handle = w.portal.inject(Fault("bad_request", method="PUT"))
        for number in range(3):
            w.tell("ENTER", number + 1, source=f"audience:{number}")
        member.run_until(w.all_committed)
        w.portal.heal(handle)
        w.portal.inject(Fault("refresh_refused"))
        before = len(w.changes())
        replaying = Replaying(w)
        replaying.run(within=60)
        assert replaying.replay.failures() == {"INVALID_GRANT": 3}
        assert len(w.changes()) == before


def test_one_bad_record_is_isolated() -> None:
    """With one contact in a request only the record that HubSpot refuses fails again, the others are applied."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, *range(1, 6))
        w.portal.inject(Fault("bad_request", method="PUT", times=1))
        replaying = Replaying(w, max_contacts=1)
        replaying.run()
        assert [len(each.adds) for each in w.changes()[1:]] == [1] * 5
        assert replaying.replay.outcomes() == {Outcome.ADDED: 4}
        assert replaying.replay.failures() == {"BAD_REQUEST": 1}
        assert len(w.members()) == 4


def test_nobody_waits_for_a_contact_that_is_not_found() -> None:
    """A replay asks once for a contact that HubSpot does not know, says so, and does nothing more about it."""
    with world(lists=2, **QUICK, not_found={"over": "2s"}) as w:
        w.account.contacts = {2}
        member = w.member()
        handle = w.portal.inject(Fault("bad_request", method="PUT"))
        for number in range(2):
            w.tell("ENTER", number + 1, source=f"audience:{number}")
        member.run_until(w.all_committed)
        w.portal.heal(handle)
        w.portal.inject(Fault("slow", seconds=20, list_id=101, method="PUT"))
        before = len(w.changes())
        replaying = Replaying(w)
        replaying.run(within=60)
        assert {each.adds for each in w.changes()[before:]} == {(1,), (2,)}
        assert len(w.changes()) == before + 2
        assert replaying.replay.outcomes() == {Outcome.ADDED: 1, Outcome.NOT_FOUND: 1}


def test_hubspot_away_is_waited_for_a_while() -> None:
    """A replay tries again while HubSpot is away, and ends with dead letters after a quarter of an hour."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, 1)
        handle = w.portal.inject(Fault("unavailable", method="PUT"))
        replaying = Replaying(w)
        replaying.run(within=1_800)
        assert replaying.replay.failures() == {"GAVE_UP": 1}
        w.portal.heal(handle)
        again = Replaying(w)
        again.run()
        assert w.members() == {1}


def test_a_change_that_retention_took_is_told_by_its_dead_letter() -> None:
    """What the changes topic has lost is applied from the dead letter, and a newer change in the log wins over it."""
    with world(**QUICK) as w:
        member = w.member()
        handle = w.portal.inject(Fault("bad_request", method="PUT"))
        for contact in (1, 2):
            w.tell("ENTER", contact, partition=0)
        member.run_until(w.all_committed)
        w.portal.heal(handle)
        gone = TopicPartition(TOPIC, 0)
        w.broker.begin[gone], w.broker.log[gone] = 2, []
        w.tell("EXIT", 2, partition=0)
        replaying = Replaying(w)
        assert len(replaying.plan.recalled) == 2
        replaying.run()
        assert w.members() == {1}
        assert w.changes()[-1].removes == (2,)


def test_a_stop_sends_nothing_more() -> None:
    """A replay that is told to stop lets go of what was not sent; started again it does the rest."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, *range(1, 11))
        replaying = Replaying(w, max_contacts=1)
        while len(w.members()) < 3:
            replaying.turn()
        replaying.replay.stop("SIGINT")
        replaying.run(within=5)
        assert len(w.members()) < 6
        assert replaying.replay.left() == 10 - len(w.members())
        assert len(w.sink.dead_letters) == 1
        Replaying(w).run()
        assert w.members() == frozenset(range(1, 11))


def test_a_stopped_replay_does_not_leave_an_old_intent() -> None:
    """Also when it is stopped, a replay sends again where something newer came while its request was on the wire."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, 1)
        replaying = Replaying(w)
        w.portal.inject(Fault("slow", seconds=5, times=1, method="PUT"))
        while not any(each.adds for each in replaying.workers.on_the_wire):
            replaying.turn()
        w.tell("EXIT", 1)
        replaying.replay.stop("SIGINT")
        replaying.run(within=25)
        assert w.changes()[-1].removes == (1,)
        assert w.members() == frozenset()


def test_a_second_stop_ends_at_once() -> None:
    """Whoever asks twice to stop does not wait for what is on the wire."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, 1)
        replaying = Replaying(w)
        w.portal.inject(Fault("slow", seconds=20, times=1, method="PUT"))
        while not any(each.adds for each in replaying.workers.on_the_wire):
            replaying.turn()
        replaying.replay.stop("SIGINT")
        replaying.replay.stop("SIGINT")
        replaying.run(within=1)


def test_a_late_effect_of_the_replay_does_not_have_the_last_word() -> None:
    """A request of the replay that takes effect after the service's newer one is mended by the replay itself."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, 1)
        replaying = Replaying(w)
        w.portal.inject(Fault("late", seconds=60, times=1, method="PUT"))
        while len(w.changes()) < 2:
            replaying.turn()
        w.tell("EXIT", 1)
        until = w.clock.monotonic() + 300
        while w.clock.monotonic() < until:
            replaying.turn()
            member.turn()
        assert replaying.ended
        assert w.members() == frozenset()


def test_a_contact_is_looked_after_until_the_log_showed_nothing_newer() -> None:
    """A replay whose old request takes effect after the service's newer one reads on and sends that again."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, 1)
        replaying = Replaying(w)
        while not replaying.workers.submitted:
            replaying.turn()
        replaying.workers.holding = True  # the addition is slow to leave
        while not any(each.adds for each in replaying.workers.on_the_wire):
            replaying.turn()
        replaying.log.stalled = True
        w.tell("EXIT", 1)
        member.run_until(w.all_committed)
        replaying.workers.let_go()
        for _ in range(100):
            replaying.turn()
        assert w.members() == {1}
        assert not replaying.ended
        replaying.log.stalled = False
        replaying.run()
        assert w.members() == frozenset()


def test_an_unknown_contact_ends_the_replay_all_the_same() -> None:
    """What the log does not tell to its connector any more is named, and does not keep the replay from its end."""
    with world(**QUICK) as w:
        member = w.member()
        refused(w, member, 1)
        key = TopicPartition(TOPIC, sum(b"1") % w.broker.partitions)
        selection = Replaying(w)
        w.broker.begin[key], w.broker.log[key] = 1, []  # retention, right now
        selection.log = type(selection.log)(w.broker, w.clock, {key: 1}, selection.replay.loop)
        selection.run(within=60)
        assert selection.replay.unseen == 1
