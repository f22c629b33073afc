"""When to try again: backoff after passing failures, parking after refusals, and when to give up.

All are plain arithmetic, on the time passed in, in seconds.
"""

from collections.abc import Mapping

from consumer.outcomes import TOKEN_EXPIRED, UNREADABLE, Recoverable, Scope, Terminal

BACKOFF_FIRST = 1.0
BACKOFF_MOST = 60.0
PARK_FIRST = 30.0
PARK_MOST = 600.0
MARK_EVERY = 60.0

RETRIES: Mapping[str, tuple[int, str, Scope]] = {
    TOKEN_EXPIRED: (1, "UNAUTHORIZED", Scope.ACCOUNT),
    UNREADABLE: (3, "UNREADABLE_ANSWER", Scope.BATCH),
}
"""Passing failures that are retried so often in a row, and what they are after that."""


class Backoff:
    """Exponential with full jitter: the n-th failure in a row waits a random share of 1, 2, 4 … 60 s."""

    __slots__ = ("failures",)

    def __init__(self) -> None:
        self.failures = 0

    def failed(self, now: float, chance: float, at_least: float = 0.0) -> float:
        """Note a failure and say when to try again. `chance` in [0, 1) is the jitter, `at_least` HubSpot's own wish."""
        most = min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return now + max(at_least, chance * most)

    def succeeded(self) -> None:
        """Begin again at the first step."""
        self.failures = 0


class Parking:
    """What was refused for good is probed after 30 s, then 1 min, doubling to 10 min; a success ends it."""

    __slots__ = ("refusals",)

    def __init__(self) -> None:
        self.refusals = 0

    def __bool__(self) -> bool:
        return self.refusals > 0

    def refused(self, now: float) -> float:
        """Note a refusal and say when to probe next."""
        until = now + min(PARK_MOST, PARK_FIRST * 2.0 ** min(self.refusals, 30))
        self.refusals += 1
        return until

    def succeeded(self) -> None:
        """Leave the parking place."""
        self.refusals = 0


class Repeats:
    """Which passing failures came too often in a row to pass. `reason` is that of the latest answer, if it was one."""

    __slots__ = ("_in_a_row", "reason")

    def __init__(self) -> None:
        self.reason = ""
        self._in_a_row = 0

    def failed(self, failure: Recoverable) -> Recoverable | Terminal:
        """Note a passing failure; give it back, or the terminal one that it has become."""
        self._in_a_row = self._in_a_row + 1 if failure.reason == self.reason else 1
        self.reason = failure.reason
        retries, condemned, scope = RETRIES.get(failure.reason, (self._in_a_row, "", Scope.BATCH))
        if self._in_a_row <= retries:
            return failure
        self.reset()
        return Terminal(failure.details, condemned, scope)

    def reset(self) -> None:
        """Note an answer of another kind."""
        self.reason, self._in_a_row = "", 0


class Patience:
    """Which changes have been failing for longer than `give_up_after` seconds.

    Every flush takes all that waits, so a flush that fails has tried every change numbered up to then. It is enough to
    remember, about once a minute, that number and the time.
    """

    __slots__ = ("_give_up_after", "_given_up", "_marks")

    def __init__(self, give_up_after: float) -> None:
        self._give_up_after = give_up_after
        self._marks: list[tuple[float, int]] = []
        self._given_up = 0

    def failed(self, now: float, number: int) -> int:
        """Note that all changes up to `number` failed now; give the number up to which patience is at its end."""
        if not self._marks or now - self._marks[-1][0] >= MARK_EVERY:
            self._marks.append((now, number))
        kept = len(self._marks)
        for index, (at, tried) in enumerate(self._marks):
            if now - at < self._give_up_after:
                kept = index
                break
            self._given_up = tried
        del self._marks[:kept]
        return self._given_up

    def succeeded(self) -> None:
        """Forget the failures."""
        self._marks.clear()
        self._given_up = 0
