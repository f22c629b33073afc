"""An audit beside the running service: what it finds, and that nothing waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consumer.audit import Turns
from consumer.drift import LAG, Kind, Report
from consumer.lending import Lending, Returned
from consumer.loop import State
from consumer.outcomes import Terminal
from consumer.simulator.faults import Fault
from tests.fakes.audit import Auditing, LentAuditing, lists, world_log
from tests.fakes.service import FIRST_LIST, Member, World, world

PAGE = 250


class Audited:
    """A world with one member and an audit beside it."""

    def __init__(self, w: World) -> None:
        self.world = w
        self.lending = Lending()
        self.member: Member = w.member(lending=self.lending)
        self.turns = Turns(lists(w))

    def auditing(self, requests: int | None = None) -> LentAuditing:
        """Begin a round."""
        log = world_log(self.world, self.world.sink.results, self.world.sink.dead_letters)
        return LentAuditing(self.world, log, self.lending, self.member.workers.clients, self.turns, requests)

    def audit(self, requests: int | None = None, within: float = 600.0) -> list[Report]:
        """Do a whole round while the member goes on."""
        auditing = self.auditing(requests)
        self.finish(auditing, within)
        return auditing.reports

    def finish(self, auditing: LentAuditing, within: float = 600.0) -> None:
        """Let a round come to its end while the member goes on."""
        until = self.world.clock.monotonic() + within
        while auditing.walk.request is not None:
            assert self.world.clock.monotonic() < until, "it did not end in time"
            auditing.turn()
            self.member.turn()
        self.member.turn(2)

    def shown(self, number: int = 0) -> dict[str, float]:
        """Give what the metrics say of a list: the kinds that are not 0."""
        found = {kind.value: self.member.metric("audit_contacts", connector=f"c{number}", kind=kind) for kind in Kind}
        return {kind: value for kind, value in found.items() if value}

    def settle(self) -> None:
        """Let all be applied and committed, and so much time pass that HubSpot's reads show it."""
        self.member.run_until(self.world.all_committed)
        self.member.run_for(LAG + 1)


@contextmanager
def audited(number: int = 1, **sections: object) -> Iterator[Audited]:
    """Yield it, with so many lists."""
    with world(number, **sections) as w:
        yield Audited(w)


def test_drift_shows_in_the_metrics() -> None:
    """Who was taken off and put on by hand shows in the metrics, with the time; a list that is right shows zeros."""
    with audited(2) as it:
        w = it.world
        for contact in range(1, 11):
            w.tell("ENTER", contact, source="audience:0")
            w.tell("ENTER", contact, source="audience:1")
        it.settle()
        vip = w.account.lists[FIRST_LIST]
        vip.leave(3)
        vip.join(77, 0.0)
        vip.join(78, 0.0)
        it.audit()
        assert it.shown(0) == {"missing": 1, "unknown": 2}
        assert it.shown(1) == {}
        assert it.member.metric("audit_timestamp_seconds", connector="c0") == pytest.approx(w.clock.time(), abs=60)
        assert it.member.metric("audit_requests_total", account="acme", status="200") == 3
        assert it.member.metric("audit_failures_total") == 0
        vip.join(3, 0.0)
        it.audit()
        assert it.shown(0) == {"unknown": 2}


def test_changes_that_are_on_their_way_are_no_drift() -> None:
    """What waits in a window, or was applied a moment ago, is told as on its way."""
    with audited() as it:
        for contact in range(1, 6):
            it.world.tell("ENTER", contact)
        it.member.run_until(it.world.all_committed)
        it.world.account.lists[FIRST_LIST].leave(1)  # as if a read did not show it yet
        it.world.tell("EXIT", 2)
        it.member.run_for(1)
        assert [each.findings and each.findings.drift for each in it.audit()] == [0]
        assert it.shown() == {"on_their_way": 2}


def test_dead_letters_and_contacts_that_are_not_there() -> None:
    """A change that was given up is drift, one of a contact that HubSpot does not know is none."""
    with audited() as it:
        w = it.world
        w.account.contacts = range(1, 100)
        handle = w.portal.inject(Fault("bad_request", method="PUT"))
        w.tell("ENTER", 1)
        it.member.run_until(w.all_committed)
        w.portal.heal(handle)
        w.tell("ENTER", 500)
        it.settle()
        it.audit()
        assert it.shown() == {"given_up": 1, "not_found": 1}


def test_changes_come_first() -> None:
    """At the limit of the rate the lists use all of it, the audit next to nothing, and the limit is never passed."""
    with audited(20, window={"max_age": "200ms"}, accounts={"acme": {"requests_per_10s": 20}}) as it:
        w = it.world
        w.account.rolling.limit = 20
        auditing = it.auditing()
        it.member.run_for(30)  # all lists are looked at
        began, contact = w.clock.monotonic(), 0
        while w.clock.monotonic() < began + 60:
            if w.clock.monotonic() >= began + contact * 0.05:
                contact += 1
                w.tell("ENTER", contact, source=f"audience:{contact % 20}")
            it.member.turn()
            auditing.turn()
        ours = [each for each in w.portal.log if each.at >= began]
        assert sum(each.method == "PUT" for each in ours) >= 0.95 * 6 * 20
        assert sum(each.method == "GET" for each in ours) <= 2
        assert 429 not in {each.status for each in w.portal.log}
        it.member.run_until(w.all_committed)
        it.finish(auditing)
        assert len(auditing.reports) == 20


@pytest.mark.parametrize("limit", [5, 20, 110])
def test_the_rate_is_kept_by_both_together(limit: int) -> None:
    """Lists and audit together never pass the limit in any ten seconds, token refreshes included."""
    with audited(3, window={"max_age": "1s"}, accounts={"acme": {"requests_per_10s": limit}}) as it:
        w = it.world
        w.account.rolling.limit = limit
        for each in range(3):
            for contact in range(1, 12 * PAGE):
                w.account.lists[FIRST_LIST + each].join(contact, 0.0)
        auditing = it.auditing()
        contact = 0
        began = w.clock.monotonic()
        while auditing.walk.request is not None:
            assert w.clock.monotonic() < began + 600
            if w.clock.monotonic() > began + contact * 20 / limit:
                contact += 1
                w.tell("EXIT", contact, source=f"audience:{contact % 3}")
            auditing.turn()
            it.member.turn()
        starts = [each.at for each in w.portal.log]
        assert max(sum(begin <= at < begin + 10 for at in starts) for begin in starts) <= limit
        assert 429 not in {each.status for each in w.portal.log}
        assert len(auditing.reports) == 3


def test_a_list_never_waits_for_an_audit() -> None:
    """While an audit's request takes long, changes leave as they always do."""
    with audited() as it:
        w = it.world
        it.member.run_for(5)
        leave = it.lending.ask("acme")
        it.member.turn()
        assert leave.wait(0.0), "it was not lent"
        w.tell("ENTER", 1)
        it.member.run_until(w.all_committed, within=40)  # and nobody has returned it
        assert w.members() == {1}
        second = it.lending.ask("acme")
        it.member.run_for(60)
        assert not second.wait(0.0), "two were lent at once"


def test_a_limit_that_the_audit_meets_holds_for_the_lists() -> None:
    """A 429 to an audit stops the account for as long as HubSpot says, and the audit goes on after that as well."""
    with audited() as it:
        w = it.world
        it.settle()
        auditing = it.auditing()
        w.portal.inject(Fault("rate_limited", seconds=60, times=1))
        while 429 not in {each.status for each in w.portal.log}:
            auditing.turn()
            it.member.turn()
        began = w.clock.monotonic()
        w.tell("ENTER", 1)
        it.member.run_for(59)
        assert w.changes() == []
        it.member.run_until(w.all_committed)
        assert w.changes()[0].at >= began + 60 - 1
        it.finish(auditing)
        assert [counts(each) for each in auditing.reports] == [{"on_their_way": 0}]


def counts(report: Report) -> dict[str, int]:
    """Give how many are on their way; all others must be none."""
    assert report.findings is not None
    assert report.findings.drift == 0
    return {"on_their_way": report.findings.counts[Kind.ON_THEIR_WAY]}


def test_a_refusal_of_an_audit_stops_no_list() -> None:
    """Where the app may not read what an audit needs, the audit fails and is counted; no list is parked for that."""
    with audited() as it:
        w = it.world
        it.settle()
        w.portal.inject(Fault("forbidden", method="GET"))
        [report] = it.audit()
        assert isinstance(report.failure, Terminal)
        assert it.member.metric("audit_failures_total", connector="c0") == 1
        assert it.member.metric("audit_requests_total", status="403") == 1
        assert it.member.metric("needs_attention") == 0
        w.tell("ENTER", 1)
        it.member.run_until(w.all_committed, within=40)
        assert w.members() == {1}


def test_nothing_is_lent_while_an_account_is_parked() -> None:
    """An account whose token was refused is probed with changes alone; the audit waits for its return."""
    with audited() as it:
        w = it.world
        it.settle()
        handle = w.portal.inject(Fault("token_invalid", method="PUT"))
        w.tell("ENTER", 1)
        it.member.run_for(60)
        before = len(w.portal.log)
        auditing = it.auditing()
        for _ in range(50):
            auditing.turn()
            it.member.turn()
        assert [each.method for each in w.portal.log[before:]] in ([], ["PUT"])
        w.portal.heal(handle)
        w.tell("ENTER", 2)
        it.member.run_until(w.all_committed, within=1_300)
        it.finish(auditing)
        assert len(auditing.reports) == 1


def test_nothing_is_lent_during_a_stop() -> None:
    """A member that stops lends nothing more, and does not wait for what it lent."""
    with audited() as it:
        w = it.world
        it.settle()
        leave = it.lending.ask("acme")
        it.member.turn()
        assert leave.wait(0.0)
        w.tell("ENTER", 1)
        it.member.run_for(0.2)
        it.member.loop.stop("SIGTERM")
        it.lending.tell(Returned("acme", None))
        again = it.lending.ask("acme")
        it.member.turn(5)
        assert it.member.loop.state is State.STOPPED
        assert not again.wait(0.0)
        assert w.members() == {1}


def test_an_audit_renews_the_token_of_an_idle_account() -> None:
    """Where nothing else is sent for longer than a token lives, the audit renews it within the rate, and is counted."""
    with audited(accounts={"acme": {"requests_per_10s": 5}}) as it:
        it.settle()
        it.member.run_for(1_800)
        before = it.member.metric("token_refreshes_total", outcome="ok")
        assert len(it.audit()) == 1
        assert it.member.metric("token_refreshes_total", outcome="ok") == before + 1


def test_a_large_list_is_audited_in_several_rounds() -> None:
    """With few requests a round, the metrics show a large list when it has been read to its end, and not before."""
    with audited() as it:
        for contact in range(1, 10 * PAGE + 1):
            it.world.account.lists[FIRST_LIST].join(contact, 0.0)
        it.settle()
        rounds = 0
        while it.member.metric("audit_timestamp_seconds") == 0:
            assert it.shown() == {}
            it.audit(requests=4)
            rounds += 1
        assert it.shown() == {"unknown": 10 * PAGE}
        assert rounds == 3
        assert it.member.metric("audit_requests_total") <= rounds * 4


def test_beside_the_service_as_a_command() -> None:
    """An audit by a process of its own finds the same, with a rate of its own."""
    with audited() as it:
        it.world.tell("ENTER", 1)
        it.settle()
        it.world.account.lists[FIRST_LIST].leave(1)
        log = world_log(it.world, it.world.sink.results, it.world.sink.dead_letters)
        [report] = Auditing(it.world, log).run()
        assert report.findings is not None
        assert report.findings.counts[Kind.MISSING] == 1
