"""How many requests HubSpot lets through. A refused request (429) is not counted, every other one is."""

from collections import deque

TEN_SECONDS = 10.0
DAY = 86_400.0


class RollingQuota:
    """At most `limit` requests in any `seconds`, wherever they begin; None lets everything through.

    The span is half-open: a request is forgotten exactly `seconds` after it was counted.
    """

    def __init__(self, limit: int | None, seconds: float = TEN_SECONDS) -> None:
        self.limit = limit
        self.seconds = seconds
        self._counted: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """Whether one more request fits at `now`, which never goes back."""
        return self.limit is None or self.remaining(now) > 0

    def count(self, now: float) -> None:
        """Note that a request was let through."""
        if self.limit is not None:
            self._counted.append(now)

    def remaining(self, now: float) -> int:
        """How many more requests fit at `now`; 0 without a limit, where nobody asks."""
        while self._counted and self._counted[0] + self.seconds <= now:
            self._counted.popleft()
        return max(0, (self.limit or 0) - len(self._counted))


class DailyQuota:
    """At most `limit` requests from midnight to midnight; `midnight` is any one of them on the portal's clock."""

    def __init__(self, limit: int | None, midnight: float = 0.0) -> None:
        self.limit = limit
        self.midnight = midnight
        self._day = 0.0
        self._counted = 0

    def allows(self, now: float) -> bool:
        """Whether one more request fits into the day of `now`."""
        self._turn(now)
        return self.limit is None or self._counted < self.limit

    def count(self, now: float) -> None:
        """Note that a request was let through."""
        self._turn(now)
        self._counted += 1

    def _turn(self, now: float) -> None:
        day = (now - self.midnight) // DAY
        if day != self._day:
            self._day, self._counted = day, 0
