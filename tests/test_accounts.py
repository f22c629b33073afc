"""One account: lists take turns within its rate, and a refusal or a limit stops them all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.accounts import MOST_IN_FLIGHT, Account
from consumer.changes import Assignment
from consumer.list_sync import ListSync
from consumer.offsets import Offsets
from consumer.outcomes import Details, NotSent, Recoverable, Scope, Terminal, Verdict
from tests.strategies import OK, RULES, change, fold

REFUSED = Terminal(Details(status=401), "UNAUTHORIZED", Scope.ACCOUNT)
LIMITED = Recoverable(Details(status=429), "429", wait=10.0, account_wide=True)
DAILY = replace(LIMITED, wait=900.0, probe=True)
ROLLING = replace(LIMITED, rolling=True)


def _account(lists: int, requests_per_10s: int = 1000) -> Account:
    account = Account("acme", requests_per_10s, give_up_after=3600.0)
    for number in range(lists):
        each = ListSync(f"c{number}", "acme", number, RULES, Offsets())
        account.lists.append(each)
        account.queue(each)
    return account


def _next(account: Account, now: float) -> int | None:
    """Let the first in line send, if it may now."""
    ready = account.ready_at(now, refresh=False)
    return None if ready is None or ready > now else account.next(now, refresh=False).list_id


def test_nobody_has_a_second_turn_before_all_have_had_one() -> None:
    """Lists that always have work come in the same order, round and round."""
    account = _account(7)
    turns = []
    for step in range(50):
        now = float(step)
        turn = _next(account, now)
        assert turn is not None
        turns.append(turn)
        account.answered(OK, now, 0.0, newest=0)
        account.queue(account.lists[turn])
    assert turns == [step % 7 for step in range(50)]


def test_who_met_the_limit_keeps_its_place() -> None:
    """A request that was answered 429 was no turn: its list is the next, and does not wait for all others again."""
    account = _account(3)
    turn = _next(account, 0.0)
    assert turn == 0
    refused = account.lists[0]
    account.answered(refused.weigh(ROLLING), 0.0, 0.0, newest=0)
    account.queue(refused)
    assert account.first is refused
    assert _next(account, 1.0) == 0
    account.answered(refused.weigh(OK), 1.0, 0.0, newest=0)
    account.queue(refused)
    assert account.first is account.lists[1]


def test_a_list_stands_in_line_once() -> None:
    """A list that is queued twice has one turn."""
    account = _account(1)
    account.queue(account.lists[0])
    assert account.queued(account.lists[0])
    assert _next(account, 0.0) == 0
    assert _next(account, 0.0) is None
    assert not account.queued(account.lists[0])


def test_a_dropped_list_has_lost_its_place() -> None:
    """Whoever has nothing to send any more leaves the line."""
    account = _account(3)
    account.drop(account.lists[0])
    account.drop(account.lists[0])
    assert _next(account, 0.0) == 1


def test_a_429_stops_all_lists_until_its_interval_has_passed() -> None:
    """Nothing of the account leaves before that."""
    account = _account(3)
    _next(account, 0.0)
    account.answered(LIMITED, 1.0, 0.0, newest=0)
    assert account.ready_at(1.0, refresh=False) == 11.0


def test_the_rolling_limit_slows_the_account_down() -> None:
    """It says that the last ten seconds were full, not that the next are: the account sends less often."""
    account = _account(40, requests_per_10s=100)
    now = 0.0
    for _ in range(20):
        now = account.ready_at(now, refresh=False) or 0.0
        account.next(now, refresh=False)
        account.answered(OK, now, 0.0, newest=0)
    assert account.rate(now) == 100
    account.next(now, refresh=False)
    account.answered(ROLLING, now, 0.0, newest=0)
    assert account.rate(now) == pytest.approx(47.5)
    first = account.ready_at(now, refresh=False)
    assert first is not None
    assert now < first < now + 1
    left = []
    for _ in range(10):
        now = account.ready_at(now, refresh=False) or 0.0
        account.next(now, refresh=False)
        left.append(now)
    assert left[-1] - left[-2] == pytest.approx(10.1 / 47.5, rel=0.01)
    assert account.rate(first + 60) == 100


def test_what_left_before_a_429_teaches_nothing_new() -> None:
    """Several requests that met the same full ten seconds slow the account down once."""
    account = _account(5)
    for _ in range(3):
        _next(account, 0.0)
    account.answered(ROLLING, 1.0, 0.0, newest=0)
    learnt, until = account.rate(1.0), account.not_before
    account.answered(ROLLING, 1.0, 0.0, newest=0)
    assert (account.rate(1.0), account.not_before) == (learnt, until)


@pytest.mark.parametrize("verdict", [REFUSED, DAILY])
def test_one_probe_at_a_time_until_one_succeeds(verdict: Terminal | Recoverable) -> None:
    """While the account is refused, or its day is used up, one request at a time looks whether it is over."""
    account = _account(4)
    _next(account, 0.0)
    account.answered(verdict, 0.0, 0.0, newest=0)
    until = account.not_before
    assert until >= 30.0
    assert _next(account, until - 1) is None
    assert _next(account, until) is not None
    assert account.ready_at(until + 5, refresh=False) is None, "the probe's answer comes first"
    account.answered(OK, until + 5, 0.0, newest=0)
    assert _next(account, until + 5) is not None
    assert _next(account, until + 5) is not None


def test_parking_doubles_with_each_refused_probe() -> None:
    """30 s, 1 min, 2 min and so on, however many lists there are."""
    account = _account(10)
    waits = []
    now = 0.0
    for _ in range(6):
        assert _next(account, now) is not None
        account.answered(REFUSED, now, 0.0, newest=0)
        waits.append(account.not_before - now)
        now = account.not_before
    assert waits == [30, 60, 120, 240, 480, 600]


def test_refusals_of_requests_that_left_together_count_as_one() -> None:
    """Several requests on the wire when the token is refused do not park the account for longer."""
    account = _account(5)
    for _ in range(3):
        _next(account, 0.0)
    for _ in range(3):
        account.answered(REFUSED, 1.0, 0.0, newest=0)
    assert account.not_before == 31.0


def test_a_token_refresh_is_done_by_one_request_alone() -> None:
    """While the token has to be renewed nothing else leaves, and the refresh counts against the rate."""
    account = _account(6, requests_per_10s=10)
    now = 0.0
    for _ in range(5):
        ready = account.ready_at(now, refresh=True)
        assert ready is not None
        now = ready
        account.next(now, refresh=True)
        assert account.ready_at(now, refresh=True) is None
        account.answered(OK, now, 0.0, newest=0)
    assert account.ready_at(now, refresh=False) == pytest.approx(10.1), "five looks and refreshes were ten requests"


def test_so_many_on_the_wire_and_no_more() -> None:
    """There are as many workers as requests on the wire, so that none waits in a queue behind its permit."""
    account = _account(MOST_IN_FLIGHT + 5)
    now = 0.0
    for _ in range(MOST_IN_FLIGHT):
        ready = account.ready_at(now, refresh=False)
        assert ready is not None
        now = ready
        account.next(now, refresh=False)
    assert account.ready_at(now, refresh=False) is None
    account.answered(NotSent(), now, 0.0, newest=0)
    assert account.ready_at(now, refresh=False) is not None


def test_what_waited_too_long_for_the_account_is_given_up() -> None:
    """After `give_up_after` of refusals the changes are named that were there when it began."""
    account = _account(2)
    _next(account, 0.0)
    assert account.answered(REFUSED, 0.0, 0.0, newest=10) == 0
    account.queue(account.lists[0])
    _next(account, 3600.0)
    assert account.answered(REFUSED, 3600.0, 0.0, newest=50) == 10


FAILED = Recoverable(Details(), "refresh_failed", account_wide=True)


def test_what_left_before_the_limit_does_not_end_it() -> None:
    """A success of a request that was on the wire already says nothing of the day that is used up."""
    account = _account(4)
    _next(account, 0.0)
    _next(account, 0.0)
    account.answered(DAILY, 1.0, 0.0, newest=0)
    account.answered(OK, 1.0, 0.0, newest=0)
    assert _next(account, 901.0) is not None
    assert account.ready_at(901.0, refresh=False) is None


def test_a_short_stop_does_not_end_a_long_one() -> None:
    """A 429 that names ten seconds does not cut a daily limit short."""
    account = _account(4)
    _next(account, 0.0)
    _next(account, 0.0)
    account.answered(DAILY, 1.0, 0.0, newest=0)
    account.answered(LIMITED, 2.0, 0.0, newest=0)
    assert account.not_before == 901.0


def test_a_token_that_cannot_be_had_at_the_moment_is_asked_for_with_backoff() -> None:
    """Where no wait is named the account waits its random share of 1, 2, 4 s and so on, until a success."""
    account = _account(5)
    waits = []
    for verdict in (FAILED, FAILED, FAILED, OK, FAILED):
        now = max(0.0, account.not_before)
        _next(account, now)
        account.answered(verdict, now, 0.5, newest=0)
        waits.append(account.not_before - now)
    assert waits == [0.5, 1.0, 2.0, 0.0, 0.5]


def test_a_success_makes_the_account_patient_again() -> None:
    """Failures before a success do not count towards giving up."""
    account = _account(3)
    _next(account, 0.0)
    account.answered(REFUSED, 0.0, 0.0, newest=10)
    _next(account, 30.0)
    account.answered(OK, 30.0, 0.0, newest=20)
    _next(account, 3600.0)
    assert account.answered(REFUSED, 3600.0, 0.0, newest=50) == 0


def test_each_call_of_a_request_waits_for_its_place() -> None:
    """A look with a change waits for two places, with a token refresh for three; half a second is made up for."""
    account = _account(2, requests_per_10s=10)
    assignment = Assignment("changes", 0, 1)
    account.next(0.0, refresh=False)
    account.answered(OK, 0.0, 0.0, newest=0)
    one = account.ready_at(0.0, refresh=False)
    waiting = account.first
    waiting._offsets.assign(assignment)
    fold(waiting, waiting._offsets, 1, change(assignment, 1), 0.0)
    times = (one, account.ready_at(0.0, refresh=False), account.ready_at(0.0, refresh=True))
    assert [round(time, 3) for time in times if time is not None] == [0.51, 1.52, 2.53]


def test_a_look_alone_does_not_end_parking() -> None:
    """An account that may look at its lists may still be forbidden to change them: only a change tells."""
    account = _account(3)
    assert _next(account, 0.0) == 0
    account.answered(REFUSED, 0.0, 0.0, newest=0)
    assert _next(account, 30.0) == 1
    account.answered(OK, 30.0, 0.0, newest=0, looked=True)
    assert account.parking
    assert _next(account, 30.0) == 2
    account.answered(OK, 30.0, 0.0, newest=0)
    assert not account.parking


def test_what_is_lent_waits_for_the_lists() -> None:
    """Nothing is lent while a list stands in line, while something is lent already, or before the rate has room."""
    account = _account(1)
    assert not account.may_lend(0.0, refresh=False)
    assert _next(account, 0.0) == 0
    assert account.may_lend(1.0, refresh=False)
    assert not account.may_lend(1.0, refresh=True)  # whose answer may be about the token
    account.lend(1.0, refresh=False)
    assert not account.may_lend(100.0, refresh=False)
    account.returned(OK, 100.0, 0.0)
    assert account.may_lend(100.0, refresh=False)


def test_what_is_lent_takes_of_the_rate() -> None:
    """What is lent counts like a list's request; where there is a burst, one of it is kept for a list."""
    account, other = _account(0, requests_per_10s=90), _account(1)
    lent = 0
    while account.may_lend(0.0, refresh=False):
        account.lend(0.0, refresh=False)
        account.returned(OK, 0.0, 0.0)
        lent += 1
    assert lent == 4
    account.queue(other.lists[0])
    assert _next(account, 0.0) == 0
    assert _account(0, requests_per_10s=5).may_lend(0.0, refresh=False)


@pytest.mark.parametrize(("verdict", "until"), [(LIMITED, 10.0), (DAILY, 900.0)])
def test_a_limit_that_what_is_lent_meets(verdict: Recoverable, until: float) -> None:
    """A 429 stops the lists too, as long as HubSpot says; after a daily limit a list probes, and nothing is lent."""
    account = _account(1)
    assert _next(account, 0.0) == 0
    account.lend(0.0, refresh=False)
    account.returned(verdict, 0.0, 0.0)
    account.answered(OK, 0.0, 0.0, newest=0)
    account.queue(account.lists[0])
    assert account.ready_at(1.0, refresh=False) == until
    assert _next(account, until) == 0
    assert account.may_lend(until, refresh=False) == (verdict is LIMITED)
    account.answered(OK, until + 1, 0.0, newest=0)
    assert account.may_lend(until + 1, refresh=False)


def test_the_rolling_limit_that_what_is_lent_meets() -> None:
    """Lists and audits share one rate, so what an audit learns slows both down."""
    account = _account(0)
    account.lend(0.0, refresh=False)
    account.returned(ROLLING, 0.0, 0.0)
    assert account.rate(0.0) < 1000
    assert 0.0 < account.not_before < 1.0
    assert not account.may_lend(0.0, refresh=False)
    assert account.may_lend(1.0, refresh=False)
    account.lend(1.0, refresh=False)
    account.returned(OK, 1.0, 0.0)
    learnt = account.rate(1.0)
    account.returned(ROLLING, 1.0, 0.0)
    assert account.rate(1.0) < 0.6 * learnt, "what got through has ended the run of 429s"


def test_a_refusal_of_what_is_lent_concerns_nobody_else() -> None:
    """Whatever HubSpot refuses of an audit for good, lists go on as before."""
    account = _account(1)
    assert _next(account, 0.0) == 0
    account.lend(0.0, refresh=False)
    account.returned(REFUSED, 0.0, 0.0)
    account.queue(account.lists[0])
    assert account.ready_at(0.5, refresh=False) == 0.5
    assert not account.parking


def test_nothing_is_lent_by_a_parked_account() -> None:
    """An account that was refused is probed by its lists alone."""
    account = _account(1)
    assert _next(account, 0.0) == 0
    account.answered(REFUSED, 0.0, 0.0, newest=0)
    assert not account.may_lend(1_000.0, refresh=False)


@given(
    st.integers(3, 250),
    st.lists(st.tuples(st.floats(0, 5), st.sampled_from([OK, OK, ROLLING, LIMITED]), st.booleans()), max_size=200),
)
def test_whatever_is_answered_the_rate_is_kept(limit: int, answers: list[tuple[float, Verdict, bool]]) -> None:
    """No ten seconds hold more than the limit, however it shrinks and grows, with looks and token refreshes."""
    account = _account(len(answers), requests_per_10s=limit)
    now = 0.0
    left: list[float] = []
    for idle, verdict, refresh in answers:
        now = account.ready_at(now + idle / limit, refresh=refresh) or now
        left += [now] * (account.first.next_calls + refresh)
        account.next(now, refresh=refresh)
        account.answered(verdict, now, 0.0, newest=0)
    assert all(later >= first + 10 for first, later in zip(left, left[limit:], strict=False))
