"""Rate, back-pressure, Kafka away, and stopping."""

import pytest

from consumer.changes import TopicPartition
from consumer.loop import State
from consumer.outcomes import Outcome
from consumer.simulator.faults import Fault
from tests.fakes.kafka import TOPIC
from tests.fakes.service import Member, World, world


def _starts(w: World) -> list[float]:
    return [each.at for each in w.portal.log]


def _stop(member: Member) -> float:
    """Stop the loop and give the seconds that it took."""
    began = member.world.clock.monotonic()
    member.loop.stop("SIGTERM")
    while member.loop.state is not State.STOPPED:
        member.turn()
    member.source.close()
    return member.world.clock.monotonic() - began


@pytest.mark.parametrize(("limit", "looks"), [(5, 130), (20, 60), (110, 30)])
def test_the_rate_is_kept_and_used(limit: int, looks: int) -> None:
    """Looks, changes, retries and refreshes together never pass the limit in any ten seconds, and use 95 % of it."""
    with world(20, window={"max_age": "200ms"}, accounts={"acme": {"requests_per_10s": limit}}) as w:
        w.account.rolling.limit = limit
        w.portal.inject(Fault("unavailable", share=0.1, method="PUT"))
        member = w.member()
        began = w.clock.monotonic()
        contact = 0
        while w.clock.monotonic() < began + looks + 30:
            contact += 1
            w.tell("ENTER", contact, source=f"audience:{contact % 20}")
            member.run_for(0.05)
        starts = _starts(w)
        busiest = max(sum(begin <= at < begin + 10 for at in starts) for begin in starts)
        assert busiest <= limit
        assert 429 not in {each.status for each in w.portal.log}
        # Once all lists have been looked at.
        used = sum(began + looks <= at < began + looks + 30 for at in starts)
        assert used >= 0.95 * 3 * limit


def test_less_than_configured_is_learnt_and_used() -> None:
    """Where HubSpot allows half of what is configured, the service finds out, shows it, and uses nearly all of that."""
    with world(20, window={"max_age": "200ms"}, accounts={"acme": {"requests_per_10s": 110}}) as w:
        w.account.rolling.limit = 55
        member = w.member()
        assert member.metric("rate_limit_requests_per_10s") == 110
        member.run_for(30)
        began = w.clock.monotonic()
        contact = 0
        while w.clock.monotonic() < began + 60:
            contact += 1
            w.tell("ENTER", contact, source=f"audience:{contact % 20}")
            member.run_for(0.05)
        answers = [each.status for each in w.portal.log if each.at >= began + 30]
        assert answers.count(200) >= 0.9 * 3 * 55
        assert answers.count(429) < 0.05 * len(answers)
        assert 45 <= member.metric("rate_limit_requests_per_10s") <= 65
        member.run_for(70)
        assert member.metric("rate_limit_requests_per_10s") == 110


def test_lists_of_one_account_take_turns() -> None:
    """With more work than the rate allows no list waits much longer than another."""
    with world(20, window={"max_age": "1s"}, accounts={"acme": {"requests_per_10s": 10}}) as w:
        member = w.member()
        began = w.clock.monotonic()
        contact = 0
        while w.clock.monotonic() < began + 200:
            contact += 1
            w.tell("ENTER", contact, source=f"audience:{contact % 20}")
            member.run_for(0.1)
        counts = [len(w.changes(number)) for number in range(20)]
        assert max(counts) - min(counts) <= 1


def test_one_request_per_list_at_a_time() -> None:
    """While a list's request is on the wire its changes collapse into the next one, and other lists go on."""
    with world(2, window={"max_age": "1s"}) as w:
        member = w.member()
        w.portal.inject(Fault("slow", seconds=20, list_id=100, method="PUT"))
        for contact in range(1, 41):
            w.tell("ENTER", contact, source="audience:0")
            w.tell("ENTER", contact, source="audience:1")
            member.run_for(1)
            flying = [request.list_id for request in member.workers.on_the_wire]
            assert len(flying) == len(set(flying))
        assert len(w.changes(0)) <= 3
        assert len(w.changes(1)) >= 20


def test_back_pressure_pauses_and_keeps_polling() -> None:
    """At the bound of waiting contacts reading pauses, polling goes on, and at half of it reading is taken up again."""
    with world(limits={"max_pending_contacts": 200}) as w:
        handle = w.portal.inject(Fault("unavailable", method="PUT"))
        member = w.member()
        for contact in range(1, 2001):
            w.tell("ENTER", contact)
        member.run_for(600)
        waiting = member.metric("pending_contacts")
        assert 200 <= waiting <= 300
        assert member.source.paused == member.source.owned
        assert member.metric("consumer_paused") == 1
        w.portal.heal(handle)
        member.run_until(w.all_committed)
        assert len(w.members()) == 2000
        assert member.source.paused == set()


def test_partitions_assigned_while_paused_are_paused_and_resumed_with_the_rest() -> None:
    """A partition that comes while reading is paused waits too, and is read once reading goes on."""
    with world(limits={"max_pending_contacts": 100}) as w:
        handle = w.portal.inject(Fault("unavailable", method="PUT"))
        member = w.member(0)
        for contact in range(1, 301):
            w.tell("ENTER", contact, partition=contact % 2)
        member.run_for(60)
        member.source.assign(1)
        member.run_for(60)
        assert member.source.paused == {TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)}
        w.portal.heal(handle)
        member.run_until(w.all_committed)
        assert len(w.members()) == 300


def test_a_refused_list_cannot_fill_the_memory_for_all_others() -> None:
    """At the bound a refused list lets go of what waits for it, as dead letters, and the others go on."""
    with world(2, limits={"max_pending_contacts": 100}) as w:
        handle = w.portal.inject(Fault("not_found", list_id=100, method="PUT"))
        member = w.member()
        for contact in range(1, 501):
            w.tell("ENTER", contact, source="audience:0")
        for contact in range(1, 51):
            w.tell("ENTER", contact, source="audience:1")
        member.run_until(lambda: len(w.members(1)) == 50, within=900)
        spent = sum(len(letter.contacts) for letter in w.sink.dead_letters)
        assert spent >= 400
        w.portal.heal(handle)
        member.run_until(w.all_committed, within=900)
        assert len(w.members(0)) + sum(len(letter.contacts) for letter in w.sink.dead_letters) == 500
        assert w.members(0)


def test_nothing_is_committed_while_results_cannot_be_written() -> None:
    """A change is finished when Kafka has its result, not when HubSpot has the change."""
    with world() as w:
        member = w.member()
        w.sink.away = True
        w.tell("ENTER", 1, partition=0)
        member.run_for(120)
        assert w.members() == {1}
        assert w.committed() == 0
        w.sink.away = False
        member.run_until(w.all_committed)
        assert w.outcomes(1) == [Outcome.ADDED]


def test_nothing_is_committed_while_dead_letters_cannot_be_written() -> None:
    """A change that is refused is finished when Kafka has its dead letter, not before."""
    with world() as w:
        w.portal.inject(Fault("bad_request", method="PUT"))
        member = w.member()
        w.sink.away = True
        w.tell("ENTER", 1, partition=0)
        w.tell_raw(b"poison", partition=1)
        member.run_for(120)
        assert (w.committed(0), w.committed(1)) == (0, 0)
        assert member.metric("dead_letters_total") == 0
        w.sink.away = False
        member.run_until(w.all_committed)
        assert member.metric("dead_letters_total") == 2


def test_too_many_unacknowledged_records_pause_reading() -> None:
    """Poison while Kafka takes no dead letters does not fill the memory: not by number, nor by size."""
    with world() as w:
        member = w.member()
        w.sink.away = True
        for size in [1] * 500 + [500_000] * 300:
            w.tell_raw(b"poison" * (size // 6 + 1))
        member.run_for(60)
        assert 100_000 <= w.sink.weight <= 200_000 + 100 * 2_000
        assert member.metric("consumer_paused") == 1
        w.sink.away = False
        member.run_until(w.all_committed)
        assert len(w.sink.dead_letters) == 800


def test_a_window_is_sent_by_age_or_by_size() -> None:
    """A window leaves `max_age` after its first change, or as soon as it holds `max_contacts`, and not before."""
    with world(window={"max_age": "10s", "max_contacts": 5}) as w:
        member = w.member()
        member.run_for(1)
        w.tell("ENTER", 1)
        began = w.clock.monotonic()
        for contact in (2, 3):
            member.run_for(4)
            w.tell("ENTER", contact)
        member.run_until(lambda: w.changes() != [])
        assert began + 10 <= w.clock.monotonic() < began + 10.5
        for contact in range(10, 15):
            w.tell("ENTER", contact)
        member.run_for(0.5)
        assert [len(each.adds) for each in w.changes()] == [3, 5]
        assert member.metric("window_flushes_total", trigger="age") == 1
        assert member.metric("window_flushes_total", trigger="size") == 1


def test_changes_of_a_contact_collapse_inside_a_window() -> None:
    """Of many changes of one contact one request carries the last, and the others are counted as collapsed."""
    with world() as w:
        member = w.member()
        for _ in range(10):
            w.tell("ENTER", 1, partition=0)
            w.tell("EXIT", 1, partition=0)
        member.run_until(w.all_committed)
        (request,) = w.changes()
        assert (request.adds, request.removes) == ((), (1,))
        assert member.metric("events_collapsed_total") == 19


def test_a_stop_sends_what_waits_and_commits() -> None:
    """SIGTERM: nothing new is taken, what waits is sent, its offsets are committed, and the group is left last."""
    with world(5) as w:
        member = w.member()
        for contact in range(1, 51):
            w.tell("ENTER", contact, source=f"audience:{contact % 5}")
        member.run_for(2)
        assert w.changes() == []
        assert _stop(member) < 10
        assert w.all_committed()
        assert sum(len(w.members(number)) for number in range(5)) == 50
        assert member.metric("window_flushes_total", trigger="drain") == 5


def test_a_stop_ends_at_its_deadline_and_loses_nothing() -> None:
    """A stop that HubSpot holds up ends at `shutdown.timeout`; what was not answered is read by the next owner."""
    with world(hubspot={"timeout": "60s"}, shutdown={"timeout": "5s"}) as w:
        handle = w.portal.inject(Fault("slow", seconds=50, method="PUT"))
        member = w.member()
        w.tell("ENTER", 1, partition=0)
        member.run_for(2)
        assert 5 <= _stop(member) < 6
        assert w.committed() in {None, 0}
        w.portal.heal(handle)
        successor = w.member()
        successor.run_until(w.all_committed)
        assert w.members() == {1}


def test_a_second_signal_stops_at_once() -> None:
    """Whoever asks twice waits no longer."""
    with world(hubspot={"timeout": "60s"}) as w:
        w.portal.inject(Fault("slow", seconds=50, method="PUT"))
        member = w.member()
        w.tell("ENTER", 1)
        member.run_for(2)
        member.loop.stop("SIGTERM")
        member.turn(5)
        assert member.loop.state is State.DRAINING
        assert _stop(member) < 1


def test_a_stop_does_not_wait_for_a_list_that_is_parked() -> None:
    """What could not be sent before the deadline anyway does not hold a stop up."""
    with world() as w:
        w.portal.inject(Fault("not_found", method="PUT"))
        member = w.member()
        w.tell("ENTER", 1, partition=0)
        for _ in range(3):
            member.run_for(60)
            w.tell("ENTER", 2, partition=0)
        member.run_for(5)
        assert member.metric("pending_contacts") == 1
        assert _stop(member) < 2


def test_what_is_told_of_the_member() -> None:
    """The status says what waits, what needs attention and whether the member takes part."""
    with world(2) as w:
        w.portal.inject(Fault("forbidden", list_id=100, method="PUT", times=1))
        member = w.member()
        assert not member.loop.status().ready
        w.tell("ENTER", 1, source="audience:0")
        w.tell("ENTER", 2, source="audience:1")
        member.run_for(5)
        waiting = member.loop.status()
        assert waiting.ready
        assert [each.waiting for each in waiting.lists] == [1, 1]
        assert [each.list_name for each in waiting.lists] == ["List 0", "List 1"]
        assert [each.hub_id for each in waiting.lists] == [w.account.hub_id] * 2
        assert {each.app_url for each in waiting.lists} == {"https://app.hubspot.com"}
        member.run_for(60)
        refused, applied = member.loop.status().lists
        assert refused.attention is not None
        assert refused.attention.reason == "FORBIDDEN"
        assert refused.attention.correlation_id
        assert applied.last_outcome == "applied"
        assert member.metric("consumer_lag") == 0
        member.loop.stop("SIGTERM")
        member.turn(3)
        assert member.loop.status().draining


def test_a_list_is_told_of_anew_though_the_news_came_with_another_one() -> None:
    """A refused token, and the end of that, concern all lists of the account, also those that nothing happens to."""
    with world(2) as w:
        member = w.member()
        w.tell("ENTER", 1, source="audience:0")
        member.run_until(w.all_committed)
        w.portal.inject(Fault("token_invalid", method="PUT", times=1))
        w.tell("ENTER", 2, source="audience:0")
        member.run_for(32)
        assert [each.attention is not None for each in member.loop.status().lists] == [True, True]
        w.tell("ENTER", 3, source="audience:0")
        member.run_until(w.all_committed)
        member.run_for(2)
        assert [each.attention for each in member.loop.status().lists] == [None, None]


def test_the_lists_of_a_status_are_the_same_as_long_as_nothing_happens_to_them() -> None:
    """What people are shown of a list is made when something happens to it, not each second for all of them."""
    with world(2) as w:
        member = w.member()
        member.run_for(5)
        before = member.loop.status().lists
        w.tell("ENTER", 1, source="audience:0")
        member.run_for(5)
        changed, same = member.loop.status().lists
        assert changed.waiting == 1
        assert same is before[1]


def test_a_list_is_linked_before_its_turn_has_come() -> None:
    """One answer tells an account's portal, which then holds for lists that nobody has asked HubSpot about yet."""
    with world(2, accounts={"acme": {"requests_per_10s": 1}}) as w:
        member = w.member()
        member.run_until(lambda: member.loop.status().lists[0].list_name is not None)
        asked, not_yet = member.loop.status().lists
        assert not_yet.list_name is None
        assert [each.hub_id for each in (asked, not_yet)] == [w.account.hub_id] * 2
