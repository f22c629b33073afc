"""HubSpot's limit of requests in any ten seconds, kept by a token bucket with a small burst.

A full bucket of `burst` tokens that gains one every `interval` seconds lets at most `burst + ceil(10 / interval) - 1`
requests start in ten seconds, wherever those begin. So the interval is 10 / (limit - burst + 1): the quota is never
passed, and at most `burst - 1` requests of it stay unused when work is always waiting.

Some work takes several requests at once: a token refresh, a look at the list, the change itself. More tokens than the
burst are there once the bucket has been full for as long as the rest of them takes to come.

Other processes and apps may use the same limit and know nothing of this one. What they leave is learnt from 429s: one
says that the last ten seconds were full, so what this process sent in them is what there was for it. It goes on at a
little less than that, evenly, and takes more again: first so little that it stays near what worked, then faster and
faster, so that a limit that others no longer use is taken whole within a minute.
"""

from collections import deque

PERIOD = 10.0
MOST_BURST = 3
BURST_SHARE = 30
"""One token of burst for so many requests of the limit: what a burst leaves unused stays below a few per cent."""
SLACK = 1e-6
"""Share by which a token takes longer, so that rounding never adds a request to a period."""
ROUNDING = 1e-9
"""Seconds that sums of intervals may be off by."""
KEPT = 0.95
"""Share of what there was for this process that it goes on with after a 429."""
WHOLE_AFTER = 60.0
"""Seconds after the last 429 until the whole limit is taken again, at the latest."""
LEAST = 1.0
"""Requests in ten seconds that are taken however many 429s come: who never asks never learns that there is room."""


class TokenBucket:
    """Lets `limit` requests start in any ten seconds. Starts full."""

    __slots__ = ("_full_at", "_interval", "burst", "limit")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a limit of {limit} requests in ten seconds lets nothing through: give at least 1")
        self.limit = limit
        self.burst = max(1, min(MOST_BURST, limit // BURST_SHARE))
        self._interval = PERIOD / (limit - self.burst + 1) * (1 + SLACK)
        self._full_at = float("-inf")  # when the bucket is full if nothing more is taken

    def ready_at(self, now: float, tokens: int = 1) -> float:
        """Give the earliest time, `now` or later, at which `tokens` can be taken."""
        ready = self._full_at - (self.burst - tokens) * self._interval
        return ready if ready - now > ROUNDING else now

    def take(self, now: float, tokens: int = 1) -> None:
        """Take tokens; the caller looked at `ready_at` before."""
        self._full_at = max(self._full_at, now) + tokens * self._interval


class Share:
    """What there is of a limit of requests in ten seconds for this process, as learnt from 429s: all of it at first."""

    __slots__ = ("_from", "_in_a_row", "_limit", "_next_at", "_refused_at", "_sent")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._from = float(limit)  # the rate right after the last 429
        self._refused_at = float("-inf")
        self._in_a_row = 0
        self._next_at = float("-inf")
        self._sent: deque[float] = deque()  # when each request of the last ten seconds left

    def rate(self, now: float) -> float:
        """Give how many requests in ten seconds are taken now."""
        return min(self._limit, self._from + self._limit * ((now - self._refused_at) / WHOLE_AFTER) ** 2)

    def ready_at(self, now: float) -> float:
        """Give the earliest time, `now` or later, at which the next request may leave."""
        return max(now, self._next_at)

    def take(self, now: float, tokens: int = 1) -> None:
        """Note that so many requests leave. For a minute after a 429 they go evenly; who is late catches up by one."""
        if now < self._refused_at + WHOLE_AFTER:
            interval = PERIOD / self.rate(now)
            self._next_at = max(self._next_at, now - interval) + tokens * interval
        self._forget(now)
        self._sent.extend([now] * tokens)

    def refused(self, now: float) -> float:
        """Learn from a 429, and say when to send again.

        It costs half the rate at most. Where one follows the other, and nothing gets through between them, the first
        has taught all there is to learn, and the pause doubles, up to the ten seconds that were full: it is somebody
        else's burst then, which no rate avoids.
        """
        if not self._in_a_row:
            rate = self.rate(now)
            self._forget(now)
            ours = min(rate, max(rate / 2, len(self._sent)))
            self._from = max(LEAST, KEPT * ours)
        self._refused_at = now
        pause = min(PERIOD, 2.0 ** min(self._in_a_row, 10) * PERIOD / self._from)
        self._in_a_row += 1
        return now + pause

    def passed(self) -> None:
        """Note that a request got through."""
        self._in_a_row = 0

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0] <= now - PERIOD:
            self._sent.popleft()
