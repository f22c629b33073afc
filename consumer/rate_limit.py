"""HubSpot's limit of requests in any ten seconds, kept by a token bucket with a small burst.

A full bucket of `burst` tokens that gains one every `interval` seconds lets at most `burst + ceil(10 / interval) - 1`
requests start in ten seconds, wherever those begin. So the interval is 10 / (limit - burst + 1): the quota is never
passed, and at most `burst - 1` requests of it stay unused when work is always waiting.

Three tokens at once are the most that anybody needs: a token refresh, a look at the list and the change itself.
"""

PERIOD = 10.0
BURST = 3
SLACK = 1e-6
"""Share by which a token takes longer, so that rounding never adds a request to a period."""


class TokenBucket:
    """Lets `limit` requests start in any ten seconds. Starts full."""

    __slots__ = ("_burst", "_full_at", "_interval", "limit")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a limit of {limit} requests in ten seconds lets nothing through: give at least 1")
        self.limit = limit
        self._burst = min(BURST, limit)
        self._interval = PERIOD / (limit - self._burst + 1) * (1 + SLACK)
        self._full_at = float("-inf")  # when the bucket is full if nothing more is taken

    def ready_at(self, now: float, tokens: int = 1) -> float:
        """Give the earliest time, `now` or later, at which `tokens` can be taken. ValueError if that is never."""
        if tokens > self._burst:
            raise ValueError(f"{tokens} requests at once are never let through: the burst is {self._burst}")
        return max(now, self._full_at - (self._burst - tokens) * self._interval)

    def take(self, now: float, tokens: int = 1) -> None:
        """Take tokens; the caller looked at `ready_at` before."""
        self._full_at = max(self._full_at, now) + tokens * self._interval
