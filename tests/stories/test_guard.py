"""A guard against emptying a list: what it holds, how that ends, and that nothing else waits for it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from consumer.loop import State
from consumer.outcomes import HELD, Outcome
from consumer.simulator.accounts import ContactList
from consumer.simulator.faults import Fault
from tests.fakes.replay import Replaying
from tests.fakes.service import Member, World, world

GUARD = {"max_removed_share": "50%", "above": 10}
QUICK = {"max_age": "1s"}
MEMBERS = range(1, 101)


@contextmanager
def guarded(lists: int = 1, **sections: Any) -> Iterator[World]:  # noqa: ANN401 - sections as in the file
    """Make a world whose lists have 100 members each, and a guard."""
    with world(lists, **{"guard": GUARD, "window": QUICK, **sections}) as w:
        for each in w.account.lists.values():
            each.joined.update(dict.fromkeys(MEMBERS, 0.0))
        yield w


def leave(w: World, contacts: Iterable[int], number: int = 0) -> None:
    """Let contacts leave an audience."""
    for contact in contacts:
        w.tell("EXIT", contact, source=f"audience:{number}")


def held(member: Member, number: int = 0) -> str | None:
    """Give what is told of a list's hold, None if there is none; series and status agree."""
    (hold,) = [each.hold for each in member.loop.status().lists if each.connector == f"c{number}"]
    assert member.metric("needs_attention", connector=f"c{number}", reason=HELD) == (hold is not None)
    return None if hold is None else hold.message


def until_held(member: Member, number: int = 0) -> None:
    """Turn until the guard holds something, and status says so."""
    member.run_until(lambda: member.metric("needs_attention", connector=f"c{number}", reason=HELD) == 1)
    member.run_for(2)


def release(member: Member, connector: str = "c0") -> int | None:
    """Do as the command does; give what it is told."""
    told: list[int | None] = []
    member.loop.release(connector, told.append)
    member.turn()
    (answer,) = told
    member.run_for(2)
    return answer


def looks(w: World) -> int:
    """Count the looks at lists."""
    return sum(each.method == "GET" for each in w.portal.log)


def gone(w: World, number: int = 0) -> int:
    """Count the members that have been removed."""
    return len(MEMBERS) - len(w.members(number) & set(MEMBERS))


def test_a_mass_exit_is_held_until_a_person_releases_it() -> None:
    """A flush that would remove most of a list waits, says how to let it go, and leaves when a person says so."""
    with guarded() as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        member.run_for(600)
        assert w.changes() == []
        assert held(member) == (
            "60 of the list's 100 contacts would be removed. If that is right, type on this machine: "
            "hubspot-list-sync release c0"
        )
        assert sum(w.committed(number) or 0 for number in range(4)) == 0
        assert release(member) == 60
        assert held(member) is None
        member.run_until(w.all_committed)
        assert w.members() == set(range(61, 101))
        assert w.sink.dead_letters == []


def test_what_follows_a_release_is_weighed_by_itself() -> None:
    """The tail of a released exit leaves without a person; the next exit of most of the rest is held again."""
    with guarded() as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        release(member)
        assert gone(w) == 60, "at once"
        leave(w, range(61, 71))
        member.run_until(w.all_committed)
        assert gone(w) == 70
        leave(w, range(71, 86))
        until_held(member)
        assert "15 of the list's 30 contacts would be removed, after 10 within" in (held(member) or "")
        assert gone(w) == 70


def test_a_release_holds_for_retries() -> None:
    """What a person let go leaves in the end, though HubSpot fails meanwhile and more has come."""
    with guarded() as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        handle = w.portal.inject(Fault("unavailable", method="PUT"))
        assert release(member) == 60
        member.run_for(60)
        leave(w, range(61, 91))
        member.run_for(60)
        w.portal.heal(handle)
        member.run_until(lambda: gone(w) == 60)
        until_held(member)
        assert (gone(w), "30 of the list's 40 contacts would be removed" in (held(member) or "")) == (60, True)


def test_what_comes_with_a_release_is_no_reason_to_hold_it_again() -> None:
    """A person's word is not undone by the few events that arrive in the same moment."""
    with guarded() as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        leave(w, range(61, 64))
        release(member)
        member.run_until(w.all_committed)
        assert gone(w) == 63


def test_a_hold_ends_by_itself_when_the_log_makes_it_small_again() -> None:
    """Who left by mistake and enters again is never removed, and nobody has to do anything."""
    with guarded() as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        for contact in range(1, 56):
            w.tell("ENTER", contact)
        member.run_until(w.all_committed)
        assert w.members() == set(range(1, 56)) | set(range(61, 101))
        assert [contact for each in w.changes() for contact in each.removes if contact < 56] == []
        member.run_for(2)
        assert held(member) is None


def test_a_mass_exit_in_many_windows_is_held_midway() -> None:
    """Flushes of which each is small are held once they have removed the share together."""
    with guarded(window={"max_age": "1s", "max_contacts": 5}) as w:
        member = w.member()
        member.run_for(2)
        for contact in MEMBERS:
            w.tell("EXIT", contact)
            member.run_for(0.5)
        until_held(member)
        removed = gone(w)
        assert 45 < removed <= 50
        assert f"{100 - removed} of the list's {100 - removed} contacts would be removed, after {removed} within" in (
            held(member) or ""
        )
        assert release(member) == 100 - removed
        member.run_until(w.all_committed)
        assert gone(w) == 100


def test_what_was_removed_long_ago_does_not_count() -> None:
    """A list may be emptied slowly: what was removed longer than `within` ago is forgotten."""
    with guarded(guard={**GUARD, "within": "60s"}) as w:
        member = w.member()
        for start in range(1, 101, 10):
            leave(w, range(start, start + 10))
            member.run_until(w.all_committed)
            member.run_for(62)
        assert gone(w) == 100


def test_other_lists_go_on() -> None:
    """While one list is held, the others of its account send as if it were not there, at a tight rate too."""
    with guarded(3, accounts={"acme": {"requests_per_10s": 10}}) as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        before = [len(w.changes(number)) for number in range(3)]
        for contact in range(1_000, 1_100):
            leave(w, [contact])
            w.tell("ENTER", contact, source="audience:1")
            w.tell("ENTER", contact, source="audience:2")
            member.run_for(1)
        sent = [len(w.changes(number)) - count for number, count in enumerate(before)]
        assert sent[0] == 0
        assert min(sent[1:]) >= 40, "of ten requests in ten seconds nearly all are theirs"
        assert held(member, 1) is None


def test_a_held_list_does_not_stand_in_line() -> None:
    """While its account may send nothing, a held list takes no place before those that wait to send."""
    with guarded(2) as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        w.portal.inject(Fault("daily_limit", method="PUT"))
        w.tell("ENTER", 1_000, source="audience:1")
        member.run_until(lambda: len(w.changes(1)) == 1)
        lane, other = (member.loop._delivery.lanes[name] for name in ("c0", "c1"))
        leave(w, [61])
        member.run_for(60)
        assert lane.list.held
        assert lane.account.queued(other.list)
        assert not lane.account.queued(lane.list)


def test_whoever_takes_over_holds_it_again() -> None:
    """A crash or a restart is no release: the next owner reads what was held again, and holds it."""
    with guarded() as w:
        first = w.member()
        leave(w, range(1, 61))
        until_held(first)
        second = w.member()
        until_held(second)
        second.run_for(300)
        assert w.changes() == []
        assert release(second) == 60
        second.run_until(w.all_committed)
        assert gone(w) == 60


def test_nothing_is_held_before_the_member_has_caught_up() -> None:
    """A mass exit that the log takes back further on is never held: what counts is the whole of the log."""
    with guarded(window={"max_age": "1s", "max_contacts": 50}) as w:
        leave(w, MEMBERS)
        for contact in MEMBERS:
            w.tell("ENTER", contact)
        for key in w.broker.log:
            w.broker.committed[key] = 0
        member = w.member()
        member.source.most_messages = 10
        member.run_until(lambda: w.changes() != [])
        assert not any(each.removes for each in w.changes())
        assert member.metric("needs_attention", reason=HELD) == 0


def test_a_stop_does_not_wait_for_what_is_held() -> None:
    """SIGTERM sends what may leave, leaves the rest to the next owner, and commits nothing past it."""
    with guarded(2) as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        w.tell("ENTER", 1_000, source="audience:1", partition=0)
        member.run_for(0.2)
        began = w.clock.monotonic()
        member.loop.stop("SIGTERM")
        while member.loop.state is not State.STOPPED:
            member.turn()
        member.source.close()
        assert w.clock.monotonic() - began < 3
        assert 1_000 in w.members(1)
        assert gone(w) == 0
        assert not w.all_committed()
        successor = w.member()
        until_held(successor)
        assert gone(w) == 0


def test_a_stop_holds_what_it_would_have_to_hold() -> None:
    """A window that a stop makes due is weighed like any other."""
    with guarded(window={"max_age": "1h"}) as w:
        member = w.member()
        leave(w, range(1, 61))
        member.run_for(60)
        member.loop.stop("SIGTERM")
        while member.loop.state is not State.STOPPED:
            member.turn()
        assert w.changes() == []


def test_a_revoke_does_not_wait_for_what_is_held() -> None:
    """Partitions are given up at once; what is held of them is the next owner's, and of the others stays held."""
    with guarded() as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        began = w.clock.monotonic()
        member.source.revoke(0)
        member.turn()
        assert w.clock.monotonic() - began < 1
        member.run_for(20)
        told = held(member) or ""
        assert "of the list's 100 contacts would be removed (3 of 4 partitions)" in told
        assert "60 of the list's 100" not in told
        member.source.revoke(1, 2, 3)
        member.run_for(2)
        assert held(member) is None
        assert w.changes() == []
        second = w.member()
        until_held(second)
        assert "60 of the list's 100" in (held(second) or "")


def test_a_full_memory_lets_go_of_what_is_held() -> None:
    """At the bound of waiting contacts a held list lets go of them as dead letters, and the others go on."""
    with guarded(2, limits={"max_pending_contacts": 100}) as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        leave(w, range(61, 161))
        for contact in range(1_000, 1_050):
            w.tell("ENTER", contact, source="audience:1")
        member.run_until(w.all_committed)
        letters = [each for each in w.sink.dead_letters if each.reason == HELD]
        refused = {int(each.record_id) for letter in letters for each in letter.contacts}
        assert refused >= set(range(1, 61))
        assert {contact for each in w.changes(0) for contact in each.removes} == set(range(1, 161)) - refused
        assert "limits.max_pending_contacts was reached" in (letters[0].details.message or "")
        assert letters[0].list_id == 100
        assert w.members(1) >= set(range(1_000, 1_050))
        assert member.metric("contacts_failed_total", connector="c0", reason=HELD) == len(refused)


def test_members_hold_a_mass_exit_together() -> None:
    """Of members that share the partitions each holds its part of a mass exit, and each is released by itself."""
    with guarded() as w:
        members = [w.member(0, 1), w.member(2, 3)]
        for each in members:
            each.run_for(2)
        leave(w, range(1, 71))
        for each in members:
            until_held(each)
        assert w.changes() == []
        assert sum(release(each) or 0 for each in members) == 70
        for each in members:
            each.run_for(10)
        assert gone(w) == 70


def test_what_nobody_releases_is_given_up() -> None:
    """After `retry.give_up_after` what is held becomes dead letters, what came later in its own time."""
    with guarded(retry={"give_up_after": "1h"}) as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        member.run_for(1_800)
        leave(w, range(61, 81))
        member.run_for(1_700)
        assert w.sink.dead_letters == []
        member.run_for(200)
        letter = w.dead_letter(HELD)
        assert {int(each.record_id) for each in letter.contacts} == set(range(1, 61))
        assert "longer than retry.give_up_after" in (letter.details.message or "")
        member.run_until(w.all_committed)
        assert gone(w) == 20, "what is left is small again"
        assert held(member) is None


def test_a_replay_is_not_guarded() -> None:
    """Who replays what was held, and given up, has decided: it is sent."""
    with guarded(retry={"give_up_after": "10m"}) as w:
        member = w.member()
        leave(w, range(1, 61))
        until_held(member)
        member.run_until(w.all_committed, within=900)
        replaying = Replaying(w)
        replaying.run()
        assert gone(w) == 60
        assert replaying.replay.outcomes() == {Outcome.REMOVED: 60}


def test_a_list_whose_size_is_not_told_is_held() -> None:
    """Where HubSpot does not tell how many members a list has, whoever switched the guard on is asked."""

    class Silent(ContactList):
        def described(self) -> dict[str, object]:
            return {key: value for key, value in super().described().items() if key != "size"}

    with guarded() as w:
        w.account.lists[100] = Silent(100, "List 0", members=MEMBERS)
        member = w.member()
        leave(w, range(1, 11))
        member.run_until(w.all_committed)
        leave(w, range(11, 13))
        until_held(member)
        assert "2 contacts would be removed, after 10 within guard.within, and HubSpot does not tell how many" in (
            held(member) or ""
        )
        assert release(member) == 2
        member.run_until(w.all_committed)
        assert gone(w) == 12


def test_nothing_leaves_while_the_list_cannot_be_looked_at() -> None:
    """A look that fails for a passing reason is tried again; until it tells the size, a large removal waits for it."""
    with guarded() as w:
        member = w.member()
        member.run_for(20)
        handle = w.portal.inject(Fault("unavailable", method="GET"))
        leave(w, range(1, 41))
        member.run_for(300)
        assert w.changes() == []
        assert held(member) is None
        w.portal.heal(handle)
        member.run_until(w.all_committed)
        assert gone(w) == 40


@pytest.mark.parametrize(("fault", "is_held"), [("server_error", True), ("not_found", False)])
def test_a_refused_look_lets_nothing_go(fault: str, *, is_held: bool) -> None:
    """Where HubSpot refuses to tell the size, a person is asked; where it refuses the list, that is probed as ever."""
    with guarded() as w:
        member = w.member()
        member.run_for(20)
        handle = w.portal.inject(Fault(fault, method="GET"))
        leave(w, range(1, 41))
        member.run_for(300)
        assert w.changes() == []
        assert w.sink.dead_letters == []
        assert member.metric("needs_attention", connector="c0") == 1 + is_held
        assert (held(member) is not None) is is_held
        assert looks(w) <= 8
        w.portal.heal(handle)
        leave(w, [41])
        member.run_until(w.all_committed, within=1_200)
        assert gone(w) == 41


def test_a_look_does_not_end_parking() -> None:
    """A refused list is probed with one contact, however often the guard may look at it: few are spent."""
    with guarded() as w:
        w.portal.inject(Fault("forbidden", method="PUT"))
        member = w.member()
        for contact in range(1, 41):
            leave(w, [contact])
            member.run_for(60)
        assert all(len(each.removes) <= 1 for each in w.changes()[1:])
        assert len(w.changes()) > 3


def test_a_confirmation_of_a_late_effect_waits_too() -> None:
    """While a list is held not even what a doubt contests is sent; it leaves with the release."""
    with guarded(hubspot={"settle": "60s"}) as w:
        member = w.member()
        w.portal.inject(Fault("late", seconds=50, times=1, method="PUT"))
        w.tell("ENTER", 200)
        member.run_until(lambda: len(w.changes()) == 1)
        w.tell("EXIT", 200)
        member.run_until(lambda: w.outcomes(200) != [])
        leave(w, range(1, 61))
        until_held(member)
        sent = len(w.changes())
        member.run_for(300)
        assert len(w.changes()) == sent
        assert 200 in w.members()
        assert release(member) == 61
        member.run_until(w.all_committed)
        assert 200 not in w.members()


def test_it_is_off_by_default_and_costs_nothing() -> None:
    """Without the setting a list may be emptied, and no list is looked at more than once."""
    with guarded(guard={}) as w:
        member = w.member()
        leave(w, MEMBERS)
        member.run_until(w.all_committed)
        assert gone(w) == 100
        assert looks(w) == 1
        assert release(member) is None


def test_what_is_small_costs_no_look() -> None:
    """With the guard on, a list whose removals stay below `above` is looked at no more than without."""
    with guarded() as w:
        member = w.member()
        for contact in range(1, 11):
            leave(w, [contact])
            member.run_for(5)
        for contact in range(1_000, 1_200):
            w.tell("ENTER", contact)
        member.run_until(w.all_committed)
        assert looks(w) == 1
        leave(w, [11])
        member.run_until(w.all_committed)
        assert looks(w) == 2


def test_where_nothing_is_held_a_release_does_nothing() -> None:
    """A release of a list that is not held, or of none, changes nothing, not even for later."""
    with guarded() as w:
        member = w.member()
        member.run_for(2)
        assert release(member) is None
        assert release(member, "nobody") is None
        leave(w, range(1, 61))
        until_held(member)
        assert w.changes() == []
