"""HubSpot's limit of requests in any ten seconds, kept by a token bucket with a small burst.

A full bucket of `burst` tokens that gains one every `interval` seconds lets at most `burst + ceil(10 / interval) - 1`
requests start in ten seconds, wherever those begin. So the interval is 10 / (limit - burst + 1): the quota is never
passed, and at most `burst - 1` requests of it stay unused when work is always waiting.

Some work takes several requests at once: a token refresh, a look at the list, the change itself. More tokens than the
burst are there once the bucket has been full for as long as the rest of them takes to come.
"""

PERIOD = 10.0
MOST_BURST = 3
BURST_SHARE = 30
"""One token of burst for so many requests of the limit: what a burst leaves unused stays below a few per cent."""
SLACK = 1e-6
"""Share by which a token takes longer, so that rounding never adds a request to a period."""
ROUNDING = 1e-9
"""Seconds that sums of intervals may be off by."""


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
