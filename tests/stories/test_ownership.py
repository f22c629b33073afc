"""Partitions come and go: what is handed over, what is forgotten, what must never be sent."""

from consumer.changes import TopicPartition
from consumer.outcomes import Outcome
from consumer.simulator.faults import Fault
from tests.fakes.kafka import TOPIC
from tests.fakes.service import world

SLOW = {"timeout": "60s"}


def test_nothing_is_sent_before_the_member_has_caught_up() -> None:
    """What is read again after a crash collapses to the newest intents: the list is not walked through its past."""
    with world(window={"max_age": "1s", "max_contacts": 10}) as w:
        for _ in range(150):
            w.tell("ENTER", 1, partition=0)
            w.tell("EXIT", 1, partition=0)
        w.broker.committed[TopicPartition(TOPIC, 0)] = 0
        member = w.member()
        member.run_until(lambda: w.changes() != [])
        (request,) = w.changes()
        assert (request.adds, request.removes) == ((), (1,))


def test_nothing_is_sent_before_the_ends_are_known() -> None:
    """While nobody has told where a partition ends, and its end was not seen, its changes wait."""
    with world() as w:
        w.broker.committed[TopicPartition(TOPIC, 0)] = 0
        member = w.member(0)
        member.source.answers_lookups = False
        for contact in range(1, 100):
            w.tell("ENTER", contact, partition=0)
        member.source.reads_to = 50
        member.run_for(120)
        assert w.changes() == []
        member.source.reads_to = None
        member.run_until(lambda: len(w.members()) == 99)


def test_revoked_waits_for_the_request_on_the_wire_and_commits() -> None:
    """A revoke waits for the answer of a request on the wire; its result is written and its offset committed."""
    with world() as w:
        member = w.member()
        w.tell("ENTER", 1, partition=0)
        w.portal.inject(Fault("slow", seconds=10, method="PUT"))
        member.run_until(lambda: w.changes() != [])
        member.source.revoke(0)
        member.turn()
        assert w.outcomes(1) == [Outcome.ADDED]
        assert w.committed(0) == 1
        assert TopicPartition(TOPIC, 0) not in member.source.owned


def test_revoked_does_not_wait_longer_than_its_deadline() -> None:
    """A revoke ends at `shutdown.timeout`; what is not answered by then is the next owner's, and not committed."""
    with world(hubspot=SLOW, shutdown={"timeout": "20s"}) as w:
        member = w.member()
        w.tell("ENTER", 1, partition=0)
        w.portal.inject(Fault("slow", seconds=50, method="PUT"))
        member.run_until(lambda: w.changes() != [])
        began = w.clock.monotonic()
        member.source.revoke(0)
        member.turn()
        assert 20 <= w.clock.monotonic() - began < 21
        assert w.committed(0) == 0


def test_what_is_not_due_is_forgotten_and_read_by_the_next_owner() -> None:
    """A window that is not due is not flushed by a revoke: the next owner reads its changes again, none is lost."""
    with world() as w:
        first, second = w.member(0, 1), w.member(2, 3)
        second.turn()
        w.tell("ENTER", 1, partition=0)
        first.run_for(5)
        first.source.revoke(0)
        first.run_for(60)
        assert w.changes() == []
        assert first.metric("pending_contacts") == 0
        second.source.assign(0)
        second.run_until(w.all_committed)
        assert w.members() == {1}


def test_no_request_for_a_partition_leaves_after_its_revoke() -> None:
    """A request whose worker had not sent it when the revoke callback returned is never sent."""
    with world() as w:
        member = w.member()
        member.run_for(1)
        w.tell("ENTER", 1, partition=0)
        member.workers.holding = True  # as while a token is being renewed
        member.run_until(lambda: len(member.workers.on_the_wire) == 1)
        member.source.revoke(0)
        member.turn()
        member.workers.let_go()
        member.run_for(120)
        assert w.changes() == []
        assert w.committed(0) in {None, 0}


def test_the_rest_of_a_batch_is_not_sent_after_a_revoke() -> None:
    """Of a batch in several requests nothing of a revoked partition leaves any more; the rest of it does."""
    with world(hubspot=SLOW, window={"max_contacts": 10}, shutdown={"timeout": "1s"}) as w:
        member = w.member()
        member.run_for(1)
        for contact in range(1, 31):
            w.tell("ENTER", contact, partition=contact % 2)
        handle = w.portal.inject(Fault("slow", seconds=30, times=1, method="PUT"))
        member.run_until(lambda: w.changes() != [])
        member.source.revoke(0)
        member.turn()
        w.portal.heal(handle)
        member.run_for(300)
        later = [contact for each in w.changes()[1:] for contact in each.adds]
        assert later
        assert all(contact % 2 == 1 for contact in later)


def test_lost_partitions_are_forgotten_and_nothing_is_committed() -> None:
    """What a member lost it forgets: others may have it already."""
    with world() as w:
        member = w.member()
        w.tell("ENTER", 1, partition=0)
        w.tell("ENTER", 2, partition=1)
        member.run_for(5)
        before = dict(w.broker.committed)
        member.source.lose(0)
        member.run_for(60)
        assert w.members() == {2}
        assert w.committed(0) == before.get(TopicPartition(TOPIC, 0))
        assert member.metric("rebalances_total", kind="lost") == 1


def test_an_answer_from_before_a_revoke_finishes_nothing_of_the_new_epoch() -> None:
    """A partition that comes back is read again from its commit, and an old answer does not finish what is new."""
    with world(hubspot=SLOW, shutdown={"timeout": "1s"}) as w:
        member = w.member()
        member.run_for(1)
        w.tell("ENTER", 1, partition=0)
        w.portal.inject(Fault("slow", seconds=40, times=1, method="PUT"))
        member.run_until(lambda: w.changes() != [])
        member.source.revoke(0)
        member.turn()
        member.source.assign(0)
        w.tell("EXIT", 1, partition=0)
        member.run_until(lambda: w.outcomes(1) == [Outcome.ADDED])
        assert w.committed(0) == 0, "the old answer gives a result, no more"
        member.run_until(w.all_committed)
        assert w.members() == frozenset()
        assert member.metric("contacts_added_total") == 1


def test_a_takeover_undoes_what_the_previous_owner_had_on_the_wire() -> None:
    """A request of a crashed member that takes effect after its successor's does not have the last word."""
    with world() as w:
        crashed = w.member(0)
        w.portal.inject(Fault("late", seconds=60, times=1, method="PUT"))
        w.tell("ENTER", 1, partition=0)
        crashed.run_until(lambda: w.changes() != [])
        w.tell("EXIT", 1, partition=0)
        w.broker.committed[TopicPartition(TOPIC, 0)] = 0
        successor = w.member(0)
        successor.run_until(lambda: w.outcomes(1) != [])
        successor.run_until(lambda: w.members() == {1})  # the late effect has come
        successor.run_until(w.all_committed)
        assert w.members() == frozenset()


def test_a_restart_resumes_at_the_committed_offset() -> None:
    """What was committed is not read again."""
    with world() as w:
        first = w.member()
        for contact in range(1, 6):
            w.tell("ENTER", contact, partition=0)
        first.run_until(w.all_committed)
        second = w.member()
        w.tell("ENTER", 6, partition=0)
        second.run_until(w.all_committed)
        assert w.changes()[-1].adds == (6,)
        assert second.metric("events_consumed_total") == 1


def test_a_refused_commit_is_asked_again() -> None:
    """A commit that meets a rebalance is repeated until the broker takes it."""
    with world() as w:
        member = w.member()
        member.source.commit_errors = ["REBALANCE_IN_PROGRESS", "ILLEGAL_GENERATION", "REQUEST_TIMED_OUT"]
        w.tell("ENTER", 1)
        member.run_until(w.all_committed)
        assert member.source.commit_errors == []


def test_a_member_that_was_stopped_sends_nothing_until_the_broker_knows_it() -> None:
    """After a pause longer than the session nothing leaves before the broker has accepted a commit."""
    with world() as w:
        member = w.member()
        member.run_for(1)
        w.tell("ENTER", 1, partition=0)
        member.run_for(5)
        w.clock.advance(100)  # SIGSTOP, or a machine that slept
        member.source.commit_errors = ["UNKNOWN_MEMBER_ID"] * 5
        member.run_until(lambda: member.source.commit_errors == [])
        assert w.changes() == []
        member.run_until(w.all_committed)
        assert w.members() == {1}


def test_a_commit_from_before_the_stop_proves_nothing() -> None:
    """The answer to a commit that was asked before the member was stopped does not make it an owner again."""
    with world() as w:
        member = w.member()
        member.run_for(1)
        member.source.answers_commits = False
        w.tell("ENTER", 1, partition=0)
        member.run_for(5)
        w.clock.advance(100)
        member.turn()
        member.source.commit_errors = ["UNKNOWN_MEMBER_ID"] * 5
        member.source.answers_commits = True
        member.run_until(lambda: member.source.commit_errors == [])
        assert w.changes() == []


def test_a_stopped_member_that_lost_its_partitions_never_sends_their_changes() -> None:
    """A member that woke up after the group went on forgets, and the list keeps what the new owner made of it."""
    with world() as w:
        stopped = w.member(0)
        stopped.run_for(1)
        w.tell("ENTER", 1, partition=0)
        stopped.run_for(5)
        w.clock.advance(100)
        stopped.source.lose(0)
        stopped.run_for(60)
        assert w.changes() == []


def test_an_offset_out_of_range_never_jumps() -> None:
    """When retention has passed the committed offset the partition stands still and needs attention; others go on."""
    with world() as w:
        gone = TopicPartition(TOPIC, 0)
        w.broker.begin[gone] = 100
        w.broker.committed[gone] = 50
        w.tell("ENTER", 1, partition=0)
        w.tell("ENTER", 2, partition=1)
        member = w.member()
        member.run_for(60)
        assert w.members() == {2}
        assert w.committed(0) == 50
        (attention,) = member.loop.status().attention
        assert attention.reason == "OFFSET_OUT_OF_RANGE"
        assert member.metric("needs_attention", reason="OFFSET_OUT_OF_RANGE") == 1
        assert "50" in attention.message
