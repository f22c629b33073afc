"""The rate limit: never passed, in no ten seconds; hardly anything of it wasted, and shared with who is not known."""

from bisect import bisect_left, bisect_right
from heapq import heappop, heappush
from itertools import count, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.rate_limit import KEPT, LEAST, PERIOD, SLACK, WHOLE_AFTER, Share, TokenBucket
from consumer.simulator.quota import RollingQuota

LIMITS = st.integers(1, 250)
TOKENS = st.integers(1, 3)
IDLE = st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 30))


def _starts(limit: int, work: list[tuple[float, int]]) -> list[float]:
    """Give the times at which requests start: each piece of work comes so long after the one before was let through."""
    bucket = TokenBucket(limit)
    now = 100.0
    starts: list[float] = []
    for idle, tokens in work:
        now = bucket.ready_at(now + idle, tokens)
        bucket.take(now, tokens)
        starts += [now] * tokens
    return starts


def _most(starts: list[float]) -> int:
    """Give the most requests that any ten seconds hold; it is enough to look at those that begin with a request."""
    return max(sum(begin <= at < begin + PERIOD for at in starts) for begin in starts)


@given(LIMITS, st.lists(st.tuples(IDLE, TOKENS), min_size=1, max_size=300))
def test_no_ten_seconds_hold_more_than_allowed(limit: int, work: list[tuple[float, int]]) -> None:
    """However work comes, one request or several at once, no ten seconds hold more requests than the limit."""
    if limit < 3:
        work = [(idle, 1) for idle, _ in work]  # three requests at once are three in ten seconds
    assert _most(_starts(limit, work)) <= limit


@given(LIMITS)
def test_nothing_is_held_back_while_there_is_room(limit: int) -> None:
    """With work always waiting any ten seconds hold the limit, less at most what a burst takes ahead."""
    bucket = TokenBucket(limit)
    starts = _starts(limit, [(0.0, 1)] * (3 * limit))
    for begin in starts[: limit + 1]:
        assert sum(begin <= at < begin + PERIOD for at in starts) > limit - bucket.burst


@pytest.mark.parametrize(("limit", "share"), [(10, 1.0), (30, 1.0), (110, 0.97), (190, 0.97), (250, 0.97)])
def test_the_quota_is_used_nearly_up(limit: int, share: float) -> None:
    """Work that always waits gets at least 97 % of what HubSpot allows."""
    starts = _starts(limit, [(0.0, 1)] * (20 * limit))
    used = len([at for at in starts if at < starts[0] + 10 * PERIOD])
    assert used >= share * 10 * limit


@given(LIMITS)
def test_a_full_bucket_lets_its_burst_through_at_once(limit: int) -> None:
    """After a pause the first requests wait for nothing, and the next one waits for its token."""
    bucket = TokenBucket(limit)
    for _ in range(bucket.burst):
        assert bucket.ready_at(50.0) == 50.0
        bucket.take(50.0)
    assert bucket.ready_at(50.0) > 50.0


@given(LIMITS, TOKENS)
def test_the_bucket_never_says_a_time_at_which_it_is_not_ready(limit: int, tokens: int) -> None:
    """What `ready_at` promises holds when that time has come."""
    bucket = TokenBucket(limit)
    for _ in range(10):
        at = bucket.ready_at(0.0, tokens)
        assert bucket.ready_at(at, tokens) == at
        bucket.take(at, tokens)


def test_a_limit_of_nothing_is_refused() -> None:
    """A limit that lets nothing through is a mistake, and is said to be one."""
    with pytest.raises(ValueError, match="at least 1"):
        TokenBucket(0)


@given(st.integers(3, 250), TOKENS, st.floats(0, 1e8))
def test_several_at_once_keep_to_the_limit_and_use_it(limit: int, tokens: int, now: float) -> None:
    """Work that always takes several requests keeps the quota too; within the burst it loses no more than its size."""
    bucket = TokenBucket(limit)
    starts: list[float] = []
    while len(starts) < 3 * limit + tokens:
        now = bucket.ready_at(now, tokens)
        bucket.take(now, tokens)
        starts += [now] * tokens
    assert max(bisect_left(starts, begin + PERIOD) - index for index, begin in enumerate(starts)) <= limit
    hair = PERIOD * 2 * SLACK
    for begin in starts:  # the emptiest ten seconds begin right after a request
        if tokens <= bucket.burst and begin + PERIOD + hair < starts[-1]:
            held = bisect_right(starts, begin + PERIOD + hair) - bisect_right(starts, begin)
            assert held >= limit - bucket.burst + 1 - (tokens - 1)


HAPPENINGS = st.lists(st.tuples(IDLE, st.sampled_from(["takes", "takes", "takes", "is refused", "gets through"])))


def _lived(limit: int, happenings: list[tuple[float, str]], tokens: int = 1) -> tuple[Share, float, list[float]]:
    """Let things happen to a share, each so long after the one before; give it, the time, and when requests left."""
    share, now, left = Share(limit), 0.0, []
    for idle, what in happenings:
        now += idle
        if what == "takes":
            now = share.ready_at(now)
            share.take(now, tokens)
            left += [now] * tokens
        elif what == "is refused":
            share.refused(now)
        else:
            share.passed()
    return share, now, left


@given(LIMITS, HAPPENINGS, st.floats(0, 100))
def test_a_share_is_no_more_than_the_limit_and_never_nothing(
    limit: int, happenings: list[tuple[float, str]], later: float
) -> None:
    """Whatever happens, something is taken: who never asks never learns that there is room."""
    share, now, _ = _lived(limit, happenings)
    assert LEAST <= share.rate(now) <= share.rate(now + later) <= limit


@given(LIMITS, HAPPENINGS)
def test_the_whole_limit_is_back_a_minute_after_the_last_429(limit: int, happenings: list[tuple[float, str]]) -> None:
    """However small the share had become."""
    share, now, _ = _lived(limit, happenings)
    share.refused(now)
    assert share.rate(now + WHOLE_AFTER) == limit
    assert share.ready_at(now + 2 * WHOLE_AFTER) == now + 2 * WHOLE_AFTER


@given(LIMITS, HAPPENINGS)
def test_a_429_costs_at_most_half_and_no_more_than_ten_seconds(limit: int, happenings: list[tuple[float, str]]) -> None:
    """Of whatever rate it was; and as the last ten seconds were full, there is room when they are over."""
    share, now, _ = _lived(limit, happenings)
    assert now < share.refused(now) <= now + PERIOD
    share.passed()
    before = share.rate(now)
    assert now < share.refused(now) <= now + PERIOD
    assert share.rate(now) >= max(LEAST, KEPT * before / 2)


def test_one_429_alone_costs_little() -> None:
    """To who used all of the limit one 429 costs what he sends in less than a second, not the ten that it names."""
    share, bucket = Share(110), TokenBucket(110)
    left = []
    now = 0.0
    while now < 10 * PERIOD + WHOLE_AFTER:
        now = max(share.ready_at(now), bucket.ready_at(now))
        share.take(now)
        bucket.take(now)
        left.append(now)
        if len(left) == 500:
            now = share.refused(now)
    assert len(left) >= 108 * (10 + WHOLE_AFTER / PERIOD) - 10


def test_a_share_is_what_there_was_for_us() -> None:
    """A 429 tells that ten seconds were full: what we sent in them, less a little, is what there is for us."""
    share = Share(100)
    for step in range(300):
        share.take(step / 7)
    now = 300 / 7
    share.refused(now)
    assert len([step for step in range(300) if step / 7 > now - PERIOD]) == 69
    assert share.rate(now) == pytest.approx(KEPT * 69)


def test_pauses_double_while_nothing_gets_through() -> None:
    """Somebody else's burst is not met with one request after the other, and a success ends it."""
    share, now = Share(100), 0.0
    pauses = []
    for _ in range(12):
        until = share.refused(now)
        pauses.append(until - now)
        now = until
    assert pauses[0] == pytest.approx(PERIOD / 47.5)
    for earlier, later in pairwise(pauses):
        assert later == pytest.approx(min(PERIOD, 2 * earlier))
    assert pauses[-1] == pytest.approx(PERIOD)
    assert share.rate(now) > 47.5, "the first has taught all there is to learn"
    share.passed()
    assert share.refused(now) < now + 1


@given(st.integers(2, 250), TOKENS)
def test_less_than_all_goes_evenly(limit: int, tokens: int) -> None:
    """For a minute after a 429 no burst leaves, also when the rate has come back; who was late sends one at once."""
    share, now = Share(limit), 0.0
    share.refused(now)
    left: list[float] = []
    while now < WHOLE_AFTER:
        now = share.ready_at(now) + PERIOD / limit * (len(left) % 7 == 0)
        share.take(now, tokens)
        left.append(now)
    for first, *_, last in (left[begin : begin + 20] for begin in range(len(left) - 20)):
        assert last - first >= (19 * tokens - 1) * PERIOD / limit * (1 - SLACK)


def _side_by_side(processes: int, seconds: float) -> tuple[float, float]:
    """Let processes that know nothing of each other use one limit of 110 up; give the shares used, and answered 429.

    Of the second half of the time. Each has work always; answers take 50 to 150 ms, and requests arrive with jitter.
    """
    random, quota = Random(1), RollingQuota(110)  # noqa: S311 - jitter, no secret
    shares = [(Share(110), TokenBucket(110)) for _ in range(processes)]
    ties = count()
    events = [(random.random(), next(ties), "looks", number, True) for number in range(processes)]
    stopped = [0.0] * processes
    answers: list[bool] = []
    while events[0][0] < seconds:
        now, _, what, number, passed = heappop(events)
        share, bucket = shares[number]
        if what == "looks":
            ready = max(share.ready_at(now), bucket.ready_at(now), stopped[number])
            if ready <= now:
                share.take(now)
                bucket.take(now)
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
                share.passed()
            else:
                stopped[number] = share.refused(now)
    used = sum(answers)
    return used / (110 * seconds / 2 / PERIOD), 1 - used / len(answers)


@pytest.mark.parametrize(("processes", "used", "refused"), [(1, 0.97, 0.005), (2, 0.9, 0.05), (3, 0.9, 0.05)])
def test_processes_that_know_nothing_of_each_other_share_a_limit(processes: int, used: float, refused: float) -> None:
    """Together they use nearly all of it, few of their requests are answered 429, and one alone notices nothing."""
    used_up, answered_429 = _side_by_side(processes, 300.0)
    assert used_up >= used
    assert answered_429 < refused
