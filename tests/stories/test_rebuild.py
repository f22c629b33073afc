"""A list rebuilt from the log: whatever HubSpot holds and the service does meanwhile, the log has the last word."""

from typing import Any

from consumer.changes import TopicPartition
from consumer.outcomes import Outcome
from consumer.simulator.faults import Fault
from tests.fakes.kafka import TOPIC
from tests.fakes.replay import Rebuilding
from tests.fakes.service import FIRST_LIST, World, world

QUICK: dict[str, Any] = {"window": {"max_age": "1s", "max_contacts": 3}}
DISABLED: dict[str, Any] = {**QUICK, "connectors": {"c0": {"enabled": False}}}


def put(w: World, *contacts: int) -> None:
    """Put contacts on the list by hand."""
    for contact in contacts:
        w.account.lists[FIRST_LIST].join(contact, 0.0)


def take_off(w: World, *contacts: int) -> None:
    """Take contacts off the list by hand."""
    for contact in contacts:
        w.account.lists[FIRST_LIST].leave(contact)


def test_a_list_is_made_what_the_log_says() -> None:
    """Who was taken off by hand comes back, who left and is still there goes, and all others stay as they are."""
    with world(**QUICK) as w:
        member = w.member()
        for contact in range(1, 8):
            w.tell("ENTER", contact)
        w.tell("EXIT", 7)
        member.run_until(w.all_committed)
        take_off(w, 1, 2)
        put(w, 7)
        rebuilding = Rebuilding(w)
        rebuilding.run()
        assert w.members() == {1, 2, 3, 4, 5, 6}
        assert rebuilding.replay.outcomes() == {Outcome.ADDED: 2, Outcome.REMOVED: 1, Outcome.UNCHANGED: 4}
        assert rebuilding.replay.left() == 0
        assert all(len(each.adds) + len(each.removes) <= 3 for each in w.changes())


def test_a_connector_is_filled_before_it_is_switched_on() -> None:
    """The list of a connector that is not enabled, and of which the service sends nothing, gets all who are in."""
    with world(**DISABLED) as w:
        member = w.member()
        for contact in range(1, 6):
            w.tell("ENTER", contact)
        w.tell("EXIT", 2)
        member.run_until(w.all_committed)
        assert w.members() == frozenset()
        Rebuilding(w).run()
        assert w.members() == {1, 3, 4, 5}


def test_only_the_newest_change_of_a_contact_is_sent() -> None:
    """However long the history of a contact is, one request carries it, with what the log says last."""
    with world(**DISABLED) as w:
        for _ in range(20):
            w.tell("ENTER", 1)
            w.tell("EXIT", 1)
        w.tell("ENTER", 2)
        Rebuilding(w).run()
        (request,) = w.changes()
        assert (request.adds, request.removes) == ((2,), (1,))


def test_nothing_is_sent_before_the_log_is_read() -> None:
    """A list is not walked through its past: of those who entered in a long log and left later, nobody is added."""
    with world(**DISABLED) as w:
        for transition in ("ENTER", "EXIT"):
            for contact in range(1, 301):
                w.tell(transition, contact, partition=0)
        Rebuilding(w).run()
        assert [each.adds for each in w.changes() if each.adds] == []


def test_others_are_passed_over() -> None:
    """A rebuild sends nothing of other connectors, and writes no dead letter of what concerns nobody."""
    with world(lists=2, **QUICK) as w:
        w.tell("ENTER", 1)
        w.tell("ENTER", 2, source="audience:1")
        w.tell("ENTER", "nobody")
        w.tell_raw(b"no Avro")
        Rebuilding(w).run()
        assert [each.list_id for each in w.changes()] == [FIRST_LIST]
        assert w.sink.dead_letters == []


def test_what_comes_meanwhile_has_the_last_word() -> None:
    """A contact that leaves while its entry is on the wire is off the list in the end, without the service's help."""
    with world(**DISABLED) as w:
        w.tell("ENTER", 1)
        w.portal.inject(Fault("slow", seconds=5, method="PUT", times=1))
        rebuilding = Rebuilding(w)
        while not rebuilding.workers.on_the_wire or not w.changes():
            rebuilding.turn()
        w.tell("EXIT", 1)
        rebuilding.run()
        assert w.members() == frozenset()
        assert rebuilding.replay.outcomes() == {Outcome.REMOVED: 1}


def test_who_comes_only_later_is_left_to_the_service() -> None:
    """A rebuild ends although events keep coming: it looks after those who were in the log when it had read it."""
    with world(**DISABLED) as w:
        w.tell("ENTER", 1)
        rebuilding = Rebuilding(w)
        contact = 1
        while not rebuilding.ended:
            rebuilding.turn()
            contact += 1
            w.tell("ENTER", contact)
            assert contact < 1_000
        assert 1 in w.members()
        assert len(w.members()) < contact // 2


def test_it_may_be_stopped_and_started_again() -> None:
    """A stop leaves what was not sent, and says so; the next rebuild does the rest."""
    with world(**DISABLED) as w:
        for contact in range(1, 101):
            w.tell("ENTER", contact)
        rebuilding = Rebuilding(w)
        while len(w.members()) < 10:
            rebuilding.turn()
        rebuilding.replay.stop("SIGINT")
        rebuilding.turn()  # at the end of which it is heard
        sent = len(w.changes())
        rebuilding.run(within=30)
        assert len(w.changes()) == sent
        done = rebuilding.replay.outcomes()[Outcome.ADDED]
        assert (rebuilding.replay.stopped_early, len(w.members())) == (True, done)
        assert done + rebuilding.replay.left() == 100
        assert done < 50
        again = Rebuilding(w)
        again.run()
        assert len(w.members()) == 100
        assert again.replay.outcomes() == {Outcome.ADDED: 100 - done, Outcome.UNCHANGED: done}


def test_a_list_that_refuses_ends_it_soon() -> None:
    """When HubSpot refuses the list, no more than a few requests are spent, and every contact is told as failed."""
    with world(**DISABLED) as w:
        for contact in range(1, 1_001):
            w.tell("ENTER", contact)
        w.portal.inject(Fault("forbidden", method="PUT"))
        rebuilding = Rebuilding(w)
        rebuilding.run(within=60)
        assert rebuilding.replay.failures() == {"FORBIDDEN": 1_000}
        assert len(w.changes()) == 1
        buried = sum(len(each.contacts) for each in w.sink.dead_letters)
        assert buried <= 4 * 3 + 3  # those in the window; for the others the log is enough


def test_hubspot_away_is_waited_for_a_while() -> None:
    """When HubSpot does not come back, a rebuild gives up once, not for each portion, and tells all as failed."""
    with world(**DISABLED) as w:
        for contact in range(1, 101):
            w.tell("ENTER", contact)
        w.portal.inject(Fault("unavailable", method="PUT"))
        rebuilding = Rebuilding(w)
        rebuilding.run(within=1_300)
        assert rebuilding.replay.failures() == {"GAVE_UP": 100}


def test_unknown_members_are_taken_off() -> None:
    """Members that the log knows nothing of are removed, and the results say that no event asked for it."""
    with world(**QUICK) as w:
        member = w.member()
        w.tell("ENTER", 1)
        member.run_until(w.all_committed)
        put(w, 50, 51)
        rebuilding = Rebuilding(w, unknown=[50, 51])
        rebuilding.run()
        assert w.members() == {1}
        (change,) = {each.change for result in w.sink.results for each in result.contacts if each.contact == 50}
        assert (change.assignment.topic, change.assignment.partition, change.offset) == ("", -1, -1)


def test_an_unknown_member_that_enters_meanwhile_stays() -> None:
    """Somebody whose first event comes while the rebuild takes unknown members off is on the list in the end."""
    with world(**QUICK) as w:
        put(w, 50, 51)
        w.tell("ENTER", 50)  # after the question who is unknown
        w.portal.inject(Fault("slow", seconds=5, method="PUT", times=1))
        rebuilding = Rebuilding(w, unknown=[50, 51])
        while not rebuilding.workers.on_the_wire or not w.changes():
            rebuilding.turn()
        w.tell("ENTER", 51)
        rebuilding.run()
        assert w.members() == {50, 51}
        assert all(50 not in each.removes for each in w.changes())


def test_what_retention_has_taken_is_not_touched() -> None:
    """A member whose only event is gone from the topic stays on the list."""
    with world(**QUICK) as w:
        where = TopicPartition(TOPIC, 0)
        w.tell("ENTER", 1, partition=0)
        w.tell("ENTER", 2, partition=0)
        put(w, 1)
        del w.broker.log[where][0]
        w.broker.begin[where] = 1
        Rebuilding(w).run()
        assert w.members() == {1, 2}
