"""The rate limit: never passed, in no ten seconds; and hardly anything of it wasted."""

from bisect import bisect_left, bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.rate_limit import PERIOD, SLACK, TokenBucket

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
