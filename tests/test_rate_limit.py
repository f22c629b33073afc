"""The rate limit: never passed, in no ten seconds; hardly anything of it wasted, and shared with who is not known."""

from bisect import bisect_left
from heapq import heappop, heappush
from itertools import accumulate, count, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.rate_limit import CATCH_UP, KEPT, LEAST, PERIOD, SPAN, WHOLE_AFTER, RateLimit
from consumer.simulator.quota import RollingQuota

LIMITS = st.integers(1, 250)
TOGETHER = st.integers(1, 3)
IDLE = st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 30))
HAPPENINGS = st.lists(st.tuples(IDLE, st.sampled_from(["takes", "takes", "takes", "is refused", "gets through"])))


def _starts(limit: int, work: list[tuple[float, int]]) -> list[float]:
    """Give the times at which requests leave: each piece of work comes so long after the one before was let through."""
    rate = RateLimit(limit)
    now = 100.0
    starts: list[float] = []
    for idle, requests in work:
        now = rate.ready_at(now + idle, requests)
        rate.take(now, requests)
        starts += [now] * requests
    return starts


def _most(starts: list[float]) -> int:
    """Give the most requests that any ten seconds hold; it is enough to look at those that begin with a request."""
    return max(sum(begin <= at < begin + PERIOD for at in starts) for begin in starts)


@given(LIMITS, st.lists(st.tuples(IDLE, TOGETHER), min_size=1, max_size=300))
def test_no_ten_seconds_hold_more_than_allowed(limit: int, work: list[tuple[float, int]]) -> None:
    """However work comes, one request or several at once, no ten seconds hold more requests than the limit."""
    if limit < 3:
        work = [(idle, 1) for idle, _ in work]  # three requests at once are three in ten seconds
    assert _most(_starts(limit, work)) <= limit


@given(LIMITS, st.lists(st.tuples(IDLE, st.floats(0, SPAN - PERIOD, exclude_max=True)), min_size=1, max_size=300))
def test_nor_do_they_at_hubspot(limit: int, work: list[tuple[float, float]]) -> None:
    """Requests may be under way for a tenth of a second longer than those before them."""
    starts = _starts(limit, [(idle, 1) for idle, _ in work])
    assert _most([at + delay for at, (_, delay) in zip(starts, work, strict=True)]) <= limit


@pytest.mark.parametrize("limit", [1, 10, 30, 110, 190, 250])
def test_the_quota_is_used_nearly_up(limit: int) -> None:
    """Work that always waits gets 98 % of what HubSpot allows."""
    starts = _starts(limit, [(0.0, 1)] * (20 * limit))
    used = len([at for at in starts if at < starts[0] + 10 * PERIOD])
    assert used >= 0.98 * 10 * limit


@given(st.integers(20, 250), st.lists(st.floats(0, CATCH_UP / 2), min_size=60, max_size=60))
def test_who_is_late_makes_up_for_it(limit: int, lateness: list[float]) -> None:
    """A machine that is busy now and then uses as much of the quota as one that is not."""
    rate = RateLimit(limit)
    left: list[float] = []
    now = 0.0
    for late in lateness:
        resumes = now + late
        while now < resumes + 0.5:
            now = rate.ready_at(max(now, resumes))
            rate.take(now)
            left.append(now)
    assert len(left) >= 0.98 * now * limit / SPAN - 1


@given(LIMITS)
def test_after_a_pause_a_burst_leaves_at_once(limit: int) -> None:
    """The first requests wait for nothing, and the next one waits for its place."""
    rate = RateLimit(limit)
    for _ in range(rate.burst):
        assert rate.ready_at(50.0) == 50.0
        rate.take(50.0)
    assert rate.ready_at(50.0) > 50.0


@given(LIMITS, HAPPENINGS, TOGETHER)
def test_a_time_that_is_promised_holds(limit: int, happenings: list[tuple[float, str]], requests: int) -> None:
    """What `ready_at` promises is so when that time has come."""
    rate, now = _lived(limit, happenings)
    at = rate.ready_at(now, requests)
    assert rate.ready_at(at, requests) == at


def test_a_limit_of_nothing_is_refused() -> None:
    """A limit that lets nothing through is a mistake, and is said to be one."""
    with pytest.raises(ValueError, match="at least 1"):
        RateLimit(0)


@given(st.integers(3, 250), TOGETHER, st.floats(0, 1e8))
def test_several_at_once_keep_to_the_limit_and_use_it(limit: int, requests: int, now: float) -> None:
    """Work that always takes several requests keeps the quota too, and leaves less than one piece of it unused."""
    rate = RateLimit(limit)
    starts: list[float] = []
    while len(starts) < 5 * limit:
        now = rate.ready_at(now, requests)
        rate.take(now, requests)
        starts += [now] * requests
    assert _most(starts) <= limit
    held = bisect_left(starts, starts[0] + 3 * SPAN + 1e-6)
    assert held > 3 * (limit - requests)


def _lived(limit: int, happenings: list[tuple[float, str]]) -> tuple[RateLimit, float]:
    """Let things happen to a rate, each so long after the one before; give it and the time."""
    rate, now = RateLimit(limit), 0.0
    for idle, what in happenings:
        now += idle
        if what == "takes":
            now = rate.ready_at(now)
            rate.take(now)
        elif what == "is refused":
            rate.refused(now)
        else:
            rate.passed()
    return rate, now


@given(LIMITS, HAPPENINGS, st.floats(0, 100))
def test_the_rate_is_no_more_than_the_limit_and_never_nothing(
    limit: int, happenings: list[tuple[float, str]], later: float
) -> None:
    """Whatever happens, something is taken: who never asks never learns that there is room."""
    rate, now = _lived(limit, happenings)
    assert LEAST <= rate.rate(now) <= rate.rate(now + later) <= limit


@given(LIMITS, HAPPENINGS)
def test_the_whole_limit_is_back_a_minute_after_the_last_429(limit: int, happenings: list[tuple[float, str]]) -> None:
    """However low the rate had become."""
    rate, now = _lived(limit, happenings)
    rate.refused(now)
    assert rate.rate(now + WHOLE_AFTER) == limit
    assert rate.ready_at(now + 2 * WHOLE_AFTER) == now + 2 * WHOLE_AFTER


@given(LIMITS, HAPPENINGS)
def test_a_429_costs_at_most_half_and_no_more_than_ten_seconds(limit: int, happenings: list[tuple[float, str]]) -> None:
    """Of whatever rate it was; and as the last ten seconds were full, there is room when they are over."""
    rate, now = _lived(limit, happenings)
    assert now < rate.refused(now) <= now + PERIOD
    rate.passed()
    before = rate.rate(now)
    assert now < rate.refused(now) <= now + PERIOD
    assert rate.rate(now) >= max(LEAST, KEPT * before / 2)


def test_one_429_alone_costs_little() -> None:
    """To who used all of the limit one 429 costs what he sends in less than a second, not the ten that it names."""
    rate, now, taken = RateLimit(110), 0.0, 0
    while now < 10 * PERIOD + WHOLE_AFTER:
        now = rate.ready_at(now)
        rate.take(now)
        taken += 1
        if taken == 500:
            now = rate.refused(now)
    assert taken >= now * 110 / SPAN - 10


def test_a_429_tells_what_there_was_for_us() -> None:
    """Ten seconds were full: what we sent in them, less a little, is what there is for us."""
    rate = RateLimit(100)
    for step in range(300):
        rate.take(step / 7)
    now = 300 / 7
    rate.refused(now)
    assert len([step for step in range(300) if step / 7 > now - SPAN]) == 70
    assert rate.rate(now) == pytest.approx(KEPT * 70)


def test_pauses_double_while_nothing_gets_through() -> None:
    """Somebody else's burst is not met with one request after the other, and a success ends it."""
    rate, now = RateLimit(100), 0.0
    pauses = []
    for _ in range(12):
        until = rate.refused(now)
        pauses.append(until - now)
        now = until
    assert pauses[0] == pytest.approx(PERIOD / 47.5)
    for earlier, later in pairwise(pauses):
        assert later == pytest.approx(min(PERIOD, 2 * earlier))
    assert pauses[-1] == pytest.approx(PERIOD)
    assert rate.rate(now) > 47.5, "the first has taught all there is to learn"
    rate.passed()
    assert rate.refused(now) < now + 1


@given(LIMITS, st.lists(IDLE, min_size=2, max_size=100), st.booleans())
def test_requests_leave_evenly(limit: int, idle: list[float], refused: bool) -> None:
    """No time, however short, holds more than its share of the limit and one burst; so also after a 429."""
    rate, now = RateLimit(limit), 0.0
    left: list[float] = []
    if refused:
        rate.refused(now)
    for seconds in idle:
        now = rate.ready_at(now + seconds)
        rate.take(now)
        left.append(now)
    places = [at - number * SPAN / limit for number, at in enumerate(left)]  # these never fall by more than a burst
    highest = list(accumulate(places, max))
    assert all(high - place <= CATCH_UP + 1e-6 for high, place in zip(highest, places, strict=True))


def _side_by_side(processes: int, seconds: float) -> tuple[float, float]:
    """Let processes that know nothing of each other use one limit of 110 up; give what is used, and answered 429.

    Of the second half of the time. Each has work always; answers take 50 to 150 ms, and requests arrive with jitter.
    """
    random, quota = Random(1), RollingQuota(110)  # noqa: S311 - jitter, no secret
    rates = [RateLimit(110) for _ in range(processes)]
    ties = count()
    events = [(random.random(), next(ties), "looks", number, True) for number in range(processes)]
    stopped = [0.0] * processes
    answers: list[bool] = []
    while events[0][0] < seconds:
        now, _, what, number, passed = heappop(events)
        rate = rates[number]
        if what == "looks":
            ready = max(rate.ready_at(now), stopped[number])
            if ready <= now:
                rate.take(now)
                heappush(events, (now + 0.015 * random.random(), next(ties), "arrives", number, True))
            heappush(events, (max(ready, now + 0.001), next(ties), "looks", number, True))
        elif what == "arrives":
            passed = quota.allows(now)
            if passed:
                quota.count(now)
            if now > seconds / 2:
                answers.append(passed)
            heappush(events, (now + 0.05 + 0.1 * random.random(), next(ties), "hears", number, passed))
        elif now >= stopped[number]:
            if passed:
                rate.passed()
            else:
                stopped[number] = rate.refused(now)
    used = sum(answers)
    return used / (110 * seconds / 2 / PERIOD), 1 - used / len(answers)


@pytest.mark.parametrize(("processes", "used", "refused"), [(1, 0.97, 0.005), (2, 0.9, 0.05), (3, 0.9, 0.05)])
def test_processes_that_know_nothing_of_each_other_share_a_limit(processes: int, used: float, refused: float) -> None:
    """Together they use nearly all of it, few of their requests are answered 429, and one alone notices nothing."""
    used_up, answered_429 = _side_by_side(processes, 300.0)
    assert used_up >= used
    assert answered_429 < refused
