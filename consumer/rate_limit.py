"""HubSpot's limit of requests in any ten seconds: never passed, used nearly up, and shared with who is not known.

When each request of the last ten seconds left is remembered, so none leaves that would be one too many. Requests may
take longer to HubSpot than those before them, so a tenth of a second is added. They leave at an even pace, for what
leaves in a burst comes back as one ten seconds later; whoever was idle or late makes up for half a second.

Other processes and apps may use the same limit and know nothing of this one. What they leave is learnt from 429s: one
says that the last ten seconds were full, so what this process sent in them is what there was for it. It goes on at a
little less than that, and takes more again: first so little that it stays near what worked, then faster and faster, so
that a limit that others no longer use is taken whole within a minute.
"""

from collections import deque

PERIOD = 10.0
SPAN = PERIOD + 0.1
"""Seconds in which the limit is kept: requests may be so much longer under way than those before them."""
ROUNDING = 1e-9
"""Seconds that sums may be off by."""
CATCH_UP = 0.5
"""Seconds of not sending that are made up for."""
KEPT = 0.95
"""Share of what there was for this process that it goes on with after a 429."""
WHOLE_AFTER = 60.0
"""Seconds after the last 429 until the whole limit is taken again, at the latest."""
LEAST = 1.0
"""Requests in ten seconds that are taken however many 429s come: who never asks never learns that there is room."""


class RateLimit:
    """Lets at most `limit` requests leave in any ten seconds, and less while 429s tell that there is no room for them.

    Some work takes several requests at once: a token refresh, a look at the list, the change itself. More than `burst`
    wait for their places like any others; more than the limit leave together once nothing else has for its time.
    """

    __slots__ = ("_from", "_in_a_row", "_left", "_next_at", "_refused_at", "burst", "limit")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a limit of {limit} requests in ten seconds lets nothing through: give at least 1")
        self.limit = limit
        self.burst = 1 + int(CATCH_UP / (SPAN / limit))
        self._left: deque[float] = deque()  # when the latest requests left
        self._next_at = float("-inf")
        self._from = float(limit)  # the rate right after the last 429
        self._refused_at = float("-inf")
        self._in_a_row = 0

    def rate(self, now: float) -> float:
        """Give how many requests in ten seconds are taken now."""
        return min(self.limit, self._from + self.limit * ((now - self._refused_at) / WHOLE_AFTER) ** 2)

    def ready_at(self, now: float, requests: int = 1) -> float:
        """Give the earliest time, `now` or later, at which so many requests may leave together."""
        ready = self._next_at + (requests - 1) * SPAN / self.rate(now)
        gone = min(len(self._left), len(self._left) + requests - self.limit)  # so many of the first must be, by then
        if gone > 0:
            ready = max(ready, self._left[gone - 1] + SPAN)
        return ready if ready - now > ROUNDING else now

    def take(self, now: float, requests: int = 1) -> None:
        """Let so many requests leave; the caller looked at `ready_at` before."""
        interval = SPAN / self.rate(now)
        earliest = now - CATCH_UP - (requests - 1) * interval  # all but one have waited for their places
        self._next_at = max(self._next_at, earliest) + requests * interval
        self._forget(now)
        self._left.extend([now] * requests)

    def refused(self, now: float) -> float:
        """Learn from a 429, and say when to send again.

        It costs half the rate at most. Where one follows the other, and nothing gets through between them, the first
        has taught all there is to learn, and the pause doubles, up to the ten seconds that were full: it is somebody
        else's burst then, which no rate avoids.
        """
        if not self._in_a_row:
            rate = self.rate(now)
            self._forget(now)
            self._from = max(LEAST, KEPT * min(rate, max(rate / 2, len(self._left))))
        self._refused_at = now
        pause = min(PERIOD, 2.0 ** min(self._in_a_row, 10) * PERIOD / self._from)
        self._in_a_row += 1
        return now + pause

    def passed(self) -> None:
        """Note that a request got through."""
        self._in_a_row = 0

    def _forget(self, now: float) -> None:
        while self._left and self._left[0] <= now - SPAN:
            self._left.popleft()
