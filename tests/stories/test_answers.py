"""Every row of the mission's error table, and what else HubSpot may do, seen from outside."""

from itertools import pairwise

import pytest

from consumer.outcomes import DEAD_LETTER_REASONS, Outcome
from consumer.simulator.faults import Fault
from tests.fakes.service import world


def test_200_membership_is_applied_and_recorded_per_contact() -> None:
    """A success is recorded for each contact with its outcome, and counted; sent = the sum of the outcomes."""
    with world() as w:
        w.account.contacts = {1, 2, 3}
        w.account.lists[100].join(2, 0.0)
        w.account.lists[100].join(3, 0.0)
        member = w.member()
        for contact in (1, 2, 4):
            w.tell("ENTER", contact)
        w.tell("EXIT", 3)
        member.run_until(w.all_committed)
        (result,) = w.sink.results
        found = {each.contact: each.outcome for each in result.contacts}
        assert found == {1: Outcome.ADDED, 2: Outcome.UNCHANGED, 3: Outcome.REMOVED, 4: Outcome.NOT_FOUND}
        assert (result.connector, result.account, result.list_id, result.status) == ("c0", "acme", 100, 200)
        assert result.correlation_id
        assert result.sent_at <= result.answered_at
        for name in ("added", "removed", "unchanged", "not_found"):
            assert member.metric(f"contacts_{name}_total", connector="c0", list_id=100) == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("request_timeout", "408"),
        ("rate_limited", "429"),
        ("unavailable", "503"),
        ("locked", "423"),
        ("migrating", "477"),
        ("bad_gateway", "502"),
        ("gateway_timeout", "504"),
    ],
)
def test_recoverable_statuses_are_retried_automatically(fault: str, status: str) -> None:
    """408, 429, 503 and their like are retried until they pass; nothing is committed before, nothing is lost."""
    with world() as w:
        w.portal.inject(Fault(fault, times=3, method="PUT"))
        member = w.member()
        offset = w.tell("ENTER", 1, partition=0)
        member.run_until(lambda: len(w.changes()) == 3)
        assert w.committed() in {None, offset}
        member.run_until(w.all_committed)
        assert [each.status for each in w.changes()] == [int(status)] * 3 + [200]
        assert w.members() == {1}
        assert member.metric("retries_total", connector="c0", reason=status) == 3
        assert w.sink.dead_letters == []


def test_429_honours_the_interval_for_the_whole_account() -> None:
    """After a 429 no list of the account sends anything before the interval that HubSpot names has passed."""
    with world(5) as w:
        member = w.member()
        w.portal.inject(Fault("rate_limited", seconds=7, times=1, method="PUT"))
        for number in range(5):
            w.tell("ENTER", number + 1, source=f"audience:{number}")
        member.run_until(w.all_committed)
        refused = next(each for each in w.changes() if each.status == 429)
        later = [each.at for each in w.changes() if each.at > refused.at]  # not those that left with it
        assert min(later) >= refused.at + 7


def test_a_daily_limit_is_probed_every_quarter_of_an_hour() -> None:
    """A daily limit names no end: one request every 15 minutes looks whether it is over, and then all goes on."""
    with world(5) as w:
        w.portal.inject(Fault("daily_limit", method="PUT"))
        member = w.member()
        for number in range(5):
            w.tell("ENTER", number + 1, source=f"audience:{number}")
        member.run_for(30 + 4 * 900 - 10)
        probes = [each.at for each in w.changes()]
        gaps = [later - earlier for earlier, later in pairwise(probes)]
        assert sum(gap >= 900 for gap in gaps) >= 3
        assert len(probes) <= 8
        w.portal.heal_all()
        member.run_until(w.all_committed, within=1000)
        assert all(w.members(number) == {number + 1} for number in range(5))


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("bad_request", 400, "BAD_REQUEST"),
        ("token_invalid", 401, "UNAUTHORIZED"),
        ("forbidden", 403, "FORBIDDEN"),
        ("not_found", 404, "LIST_NOT_FOUND"),
        ("server_error", 500, "SERVER_ERROR"),
    ],
)
def test_terminal_statuses_end_the_request_and_need_attention(fault: str, status: int, reason: str) -> None:
    """400, 401, 403, 404 and 500 end the request: a dead letter with HubSpot's words, the offset, a flag for people."""
    with world() as w:
        w.portal.inject(Fault(fault, times=1, method="PUT"))
        member = w.member()
        offset = w.tell("ENTER", 1, partition=0)
        member.run_until(w.all_committed)
        letter = w.dead_letter(reason)
        assert reason in DEAD_LETTER_REASONS
        assert (letter.connector, letter.account, letter.list_id, letter.details.status) == ("c0", "acme", 100, status)
        assert letter.details.category
        assert letter.details.message
        assert letter.details.correlation_id
        assert [(each.record_id, each.change.offset) for each in letter.contacts] == [("1", offset)]
        assert len(w.changes()) == 1
        assert member.metric("needs_attention", connector="c0", reason=reason) == 1
        assert member.metric("contacts_failed_total", connector="c0", reason=reason) == 1
        w.tell("ENTER", 2, partition=0)
        member.run_until(w.all_committed)
        assert member.metric("needs_attention", connector="c0") == 0
        assert w.members() == {2}


def test_a_terminal_error_on_one_list_while_49_others_go_on() -> None:
    """One list that is refused costs the other 49 nothing: no failure, no delay beyond the rate."""
    with world(50) as w:
        w.portal.inject(Fault("not_found", list_id=100, method="PUT"))
        member = w.member()
        for number in range(50):
            w.tell("ENTER", number + 1, source=f"audience:{number}", partition=0)
        member.run_until(w.all_committed)
        assert w.members(0) == frozenset()
        assert all(w.members(number) == {number + 1} for number in range(1, 50))
        assert max(each.at for each in w.changes()) < min(each.at for each in w.changes()) + 6
        assert [letter.list_id for letter in w.sink.dead_letters] == [100]
        assert member.metric("needs_attention") == 1


def test_a_failing_list_holds_offsets_but_no_other_list() -> None:
    """While one list fails for a passing reason the others go on, and nothing is committed past its first change."""
    with world(3) as w:
        handle = w.portal.inject(Fault("unavailable", list_id=100, method="PUT"))
        member = w.member()
        first = w.tell("ENTER", 1, source="audience:0", partition=0)
        for contact in range(2, 50):
            w.tell("ENTER", contact, source=f"audience:{1 + contact % 2}", partition=0)
        member.run_for(300)
        assert len(w.members(1)) + len(w.members(2)) == 48
        assert w.committed() == first
        w.portal.heal(handle)
        member.run_until(w.all_committed)
        assert w.members(0) == {1}


def test_a_retry_carries_a_newer_intent() -> None:
    """A retry is a later flush: what changed meanwhile travels instead, and the stale intent is never sent again."""
    with world() as w:
        w.portal.inject(Fault("unavailable", times=1, method="PUT"))
        member = w.member()
        w.tell("ENTER", 1, partition=0)
        w.tell("ENTER", 2, partition=0)
        member.run_until(lambda: len(w.changes()) == 1)
        w.tell("EXIT", 1, partition=0)
        member.run_until(w.all_committed)
        first, second = w.changes()
        assert (set(first.adds), first.removes) == ({1, 2}, ())
        assert (second.adds, second.removes) == ((2,), (1,))


def test_a_request_cut_after_it_was_applied() -> None:
    """A request whose answer was lost is sent again; the list is right, and the second answer says UNCHANGED."""
    with world() as w:
        w.portal.inject(Fault("cut_after", times=1, method="PUT"))
        member = w.member()
        w.tell("ENTER", 1)
        member.run_until(w.all_committed)
        assert [each.status for each in w.changes()] == [None, 200]
        assert w.outcomes(1) == [Outcome.UNCHANGED]
        assert w.members() == {1}


def test_a_token_that_expires_in_the_middle() -> None:
    """A token that HubSpot calls expired is renewed once and the change sent once more; nothing is lost."""
    with world() as w:
        member = w.member()
        w.tell("ENTER", 1)
        member.run_until(w.all_committed)
        w.portal.inject(Fault("token_expired", times=1, method="PUT"))
        w.tell("ENTER", 2)
        member.run_until(w.all_committed)
        assert w.members() == {1, 2}
        assert [each.status for each in w.changes()] == [200, 401, 200]
        assert member.metric("token_refreshes_total", account="acme", outcome="ok") == 2
        assert w.sink.dead_letters == []


def test_a_token_that_stays_expired_is_terminal() -> None:
    """A token that is called expired right after its renewal is a 401 like any other."""
    with world() as w:
        w.portal.inject(Fault("token_expired", times=2, method="PUT"))
        member = w.member()
        w.tell("ENTER", 1)
        member.run_until(w.all_committed)
        assert w.dead_letter("UNAUTHORIZED").details.status == 401


def test_tokens_are_renewed_before_they_expire() -> None:
    """In more than an hour of work no request is answered 401: the token is renewed ahead of its end, every 30 min."""
    with world() as w:
        member = w.member()
        for contact in range(1, 16):
            w.tell("ENTER", contact)
            member.run_for(300)
        member.run_until(w.all_committed)
        assert {each.status for each in w.portal.log} == {200}
        assert len(w.members()) == 15


def test_a_refresh_refused() -> None:
    """A refresh token that HubSpot refuses parks the whole account; a handful of changes is spent, the rest waits."""
    with world(20) as w:
        handle = w.portal.inject(Fault("refresh_refused"))
        member = w.member()
        for number in range(20):
            w.tell("ENTER", number + 1, source=f"audience:{number}")
        member.run_for(600)
        tokens = [each for each in w.portal.log if each.path.endswith("/token")]
        assert len(tokens) <= 8
        assert len(w.sink.dead_letters) <= 8
        assert all(letter.reason == "INVALID_GRANT" for letter in w.sink.dead_letters)
        assert w.changes() == []
        assert member.metric("needs_attention", reason="INVALID_GRANT") == 20
        w.portal.heal(handle)
        member.run_until(w.all_committed, within=700)
        applied = sum(len(w.members(number)) for number in range(20))
        spent = len(w.sink.dead_letters)
        assert applied + spent == 20
        assert member.metric("needs_attention") == spent, "a list whose change was refused has had no success since"


def test_a_refresh_that_fails_for_a_passing_reason() -> None:
    """A token endpoint that is away for a while costs no change."""
    with world(5) as w:
        handle = w.portal.inject(Fault("refresh_unavailable"))
        member = w.member()
        for number in range(5):
            w.tell("ENTER", number + 1, source=f"audience:{number}")
        member.run_for(900)
        assert w.changes() == []
        assert w.sink.dead_letters == []
        w.portal.heal(handle)
        member.run_until(w.all_committed)
        assert all(w.members(number) == {number + 1} for number in range(5))


def test_an_unreadable_success_is_tried_three_more_times() -> None:
    """A 2xx whose body cannot be read is retried three times and then a dead letter."""
    with world() as w:
        w.portal.inject(Fault("unreadable", times=4, method="PUT"))
        member = w.member()
        w.tell("ENTER", 1)
        member.run_until(w.all_committed)
        assert len(w.changes()) == 4
        assert w.dead_letter("UNREADABLE_ANSWER").details.status == 200


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("processing_type", "DYNAMIC", "LIST_DYNAMIC"),
        ("deleted_at", 1.0, "LIST_DELETED"),
        ("object_type_id", "0-2", "LIST_NOT_OF_CONTACTS"),
    ],
)
def test_a_list_that_cannot_be_kept_aligned_is_left_alone(field: str, value: object, reason: str) -> None:
    """A dynamic, deleted or foreign list is seen at the start, needs attention and gets no request; others run."""
    with world(2) as w:
        setattr(w.account.lists[100], field, value)
        member = w.member()
        member.run_for(1)
        assert member.metric("needs_attention", connector="c0", reason=reason) == 1
        w.tell("ENTER", 1, source="audience:0")
        w.tell("ENTER", 2, source="audience:1")
        member.run_until(w.all_committed)
        assert w.changes(0) == []
        assert w.dead_letter(reason).contacts[0].record_id == "1"
        assert w.members(1) == {2}


def test_parking_spends_few_requests_and_ends_with_the_first_success() -> None:
    """A list deleted for ten minutes costs a handful of requests; its window goes on collapsing, then it resumes."""
    with world(2) as w:
        handle = w.portal.inject(Fault("not_found", list_id=100, method="PUT"))
        member = w.member()
        for minute in range(10):
            w.tell("ENTER", 1000 + minute, source="audience:0", partition=0)
            w.tell("ENTER", 2000 + minute, source="audience:1", partition=1)
            member.run_for(60)
        assert len(w.changes(0)) <= 5
        assert len(w.members(1)) == 10
        w.portal.heal(handle)
        member.run_until(w.all_committed, within=700)
        refused = {int(each.record_id) for letter in w.sink.dead_letters for each in letter.contacts}
        assert w.members(0) | refused == {1000 + minute for minute in range(10)}
        assert member.metric("needs_attention", connector="c0") == 0


def test_a_revoked_token_and_a_deleted_list_cost_nothing_else() -> None:
    """Ten minutes without an account's token and without a list: a handful of requests each, nothing lost, no delay."""
    with world(6, accounts={"beta": {}}) as w:
        member = w.member()
        member.run_for(1)
        deleted, revoked = (
            w.account.lists[100],
            [Fault(name, account="beta") for name in ("token_invalid", "refresh_refused")],
        )
        deleted.deleted_at = w.clock.monotonic()
        handles = [w.portal.inject(fault) for fault in revoked]
        looked = len(w.portal.log)
        told: set[int] = set()
        for contact in range(1, 61):
            for number in range(6):
                w.tell("ENTER", contact, source=f"audience:{number}")
            told.add(contact)
            member.run_for(10)
        during = w.portal.log[looked:]
        assert len([each for each in during if each.list_id == 100]) <= 8
        assert len([each for each in during if each.account == "beta"]) <= 8
        healthy = {102, 104}
        delays = [
            result.answered_at - each.change.timestamp / 1000
            for result in w.sink.results
            for each in result.contacts
            if result.list_id in healthy
        ]
        assert len(delays) >= 2 * 56
        assert max(delays) < 30 + 1
        for handle in handles:
            w.portal.heal(handle)
        deleted.deleted_at = None
        member.run_until(w.all_committed, within=700)
        for number in range(6):
            refused = {
                int(each.record_id)
                for letter in w.sink.dead_letters
                for each in letter.contacts
                if letter.list_id == 100 + number
            }
            assert w.members(number) | refused == told
            assert not w.members(number) & refused
            w.tell("EXIT", 60, source=f"audience:{number}")
        member.run_until(w.all_committed, within=100)
        assert member.metric("needs_attention") == 0
        assert all(60 not in w.members(number) for number in range(6))


def test_a_change_is_given_up_after_a_day_of_failures_and_a_younger_one_is_not() -> None:
    """After `retry.give_up_after` of passing failures a change is a dead letter GAVE_UP; younger ones go on waiting."""
    with world(retry={"give_up_after": "10m"}) as w:
        handle = w.portal.inject(Fault("unavailable", method="PUT"))
        member = w.member()
        w.tell("ENTER", 1, partition=0)
        member.run_for(400)
        younger = w.tell("ENTER", 2, partition=0)
        member.run_for(400)
        letter = w.dead_letter("GAVE_UP")
        assert [each.record_id for each in letter.contacts] == ["1"]
        assert w.committed() == younger
        w.portal.heal(handle)
        member.run_until(w.all_committed)
        assert w.members() == {2}


def test_after_a_timeout_the_next_request_is_half_as_large() -> None:
    """Requests that time out are halved down to one contact, and doubled again as they succeed."""
    with world(window={"max_contacts": 8}, hubspot={"settle": "1s"}) as w:
        w.portal.inject(Fault("slow", seconds=60, times=4, method="PUT"))
        member = w.member()
        for contact in range(1, 33):
            w.tell("ENTER", contact, partition=0)
        member.run_until(w.all_committed)
        sizes = [len(each.adds) for each in w.changes()]
        assert sizes[:9] == [8, 4, 2, 1, 1, 2, 4, 8, 8]
        assert w.members() == set(range(1, 33))


def test_a_late_effect_is_undone() -> None:
    """A request that takes effect long after it was cut, and after a newer one, does not have the last word."""
    with world() as w:
        w.portal.inject(Fault("late", seconds=100, times=1, method="PUT"))
        member = w.member()
        w.tell("ENTER", 1, partition=0)
        member.run_until(lambda: len(w.changes()) == 1)
        w.tell("EXIT", 1, partition=0)
        member.run_until(lambda: w.outcomes(1) != [])
        member.run_until(lambda: w.members() == {1})  # the late effect has come
        assert not w.all_committed(), "the contact is unfinished until it was sent once more"
        member.run_until(w.all_committed)
        assert w.members() == frozenset()


def test_a_merged_contact_comes_back_under_another_id() -> None:
    """A contact that HubSpot has merged is changed under its surviving id, and counted as such; it needs no retry."""
    with world() as w:
        w.account.merge(7, 8)
        member = w.member()
        for transition in ("ENTER", "EXIT"):
            w.tell(transition, 7)
            member.run_until(w.all_committed)
            assert w.members() == ({8} if transition == "ENTER" else frozenset())
        member.run_for(7200)
        assert w.outcomes(7) == [Outcome.MERGED, Outcome.MERGED]
        assert len(w.changes()) == 2
        assert member.metric("contacts_merged_total", connector="c0") == 2
        assert member.metric("contacts_unexpected_total") == 0
        assert member.metric("contacts_unchanged_total") == 0


def test_where_nobody_knows_who_was_merged_the_ids_are_counted() -> None:
    """If more contacts are unnamed than there are new ids, none is called merged, and the new ids are counted."""
    with world() as w:
        w.account.merge(7, 8)
        w.account.lists[100].join(9, 0.0)
        member = w.member()
        w.tell("ENTER", 7)
        w.tell("ENTER", 9)
        member.run_until(w.all_committed)
        assert w.members() == {8, 9}
        assert w.outcomes(7) == w.outcomes(9) == [Outcome.UNCHANGED]
        assert member.metric("contacts_unexpected_total", connector="c0") == 1
