"""One HubSpot account: its rate limit, and its lists taking turns. Pure: time and chance are passed in.

Whatever HubSpot says of the account as a whole (a daily limit, a refused token) stops all its lists; what ends that is
a probe: a real request, one at a time, until one succeeds. The limit of ten seconds is rolling: its room comes back bit
by bit, so meeting it stops the account for a moment only, and then it sends less often.
"""

from collections import deque

from consumer.list_sync import ListSync
from consumer.outcomes import Applied, NotSent, Recoverable, Scope, Terminal, Verdict
from consumer.rate_limit import RateLimit
from consumer.retry import Backoff, Parking, Patience

MOST_IN_FLIGHT = 32
"""Requests of one account that may be on the wire at once: enough for 110 in ten seconds that take 3 s each."""


class Account:
    """The lists that share one app and portal. A list whose turn has come waits in line, once at most."""

    def __init__(self, name: str, requests_per_10s: int, give_up_after: float) -> None:
        self.name = name
        self.lists: list[ListSync] = []
        self.in_flight = 0
        self.not_before = float("-inf")
        self.parking = Parking()
        self._limit = RateLimit(requests_per_10s)
        self._line: deque[ListSync] = deque()
        self._standing: set[int] = set()
        self._lent = False
        self._probing = False
        self._backoff = Backoff()
        self._patience = Patience(give_up_after)

    def queue(self, each: ListSync) -> None:
        """Put a list at the end of the line, unless it stands there already; at its front if a 429 was all it got."""
        if each.list_id not in self._standing:
            self._standing.add(each.list_id)
            (self._line.appendleft if each.was_limited else self._line.append)(each)

    def drop(self, each: ListSync) -> None:
        """Take a list out of the line."""
        if each.list_id in self._standing:
            self._standing.remove(each.list_id)
            self._line.remove(each)

    @property
    def first(self) -> ListSync:
        """The list whose turn it is."""
        return self._line[0]

    def queued(self, each: ListSync) -> bool:
        """Tell whether the list stands in line."""
        return each.list_id in self._standing

    def rate(self, now: float) -> float:
        """Give how many requests in ten seconds the account takes now: less than it may after HubSpot's 429s."""
        return self._limit.rate(now)

    def ready_at(self, now: float, *, refresh: bool) -> float | None:
        """When the first in line may send; None while nobody waits or an answer has to come first.

        `refresh`: the token has to be refreshed first, which is a request of its own and done by one worker.
        """
        alone = self._probing or refresh
        if not self._line or self.in_flight >= (1 if alone else MOST_IN_FLIGHT):
            return None
        calls = self._line[0].next_calls + int(refresh)
        return max(self.not_before, self._limit.ready_at(now, calls))

    def next(self, now: float, *, refresh: bool) -> ListSync:
        """Let the first in line send: the caller looked at `ready_at` before."""
        first = self._line.popleft()
        self._standing.remove(first.list_id)
        self._limit.take(now, first.next_calls + int(refresh))
        self.in_flight += 1
        return first

    def may_lend(self, now: float, *, refresh: bool) -> bool:
        """Tell whether a request that is no list's may leave now: one at a time, and only when no list waits for it.

        Where the rate allows a burst it must have room for a list's request besides, so that whoever lines up next need
        not wait for it.
        """
        if self._lent or self._line or self._probing or self.parking or now < self.not_before:
            return False
        if refresh and self.in_flight:
            return False
        return self._limit.ready_at(now, min(2, self._limit.burst) + int(refresh)) <= now

    def lend(self, now: float, *, refresh: bool) -> None:
        """Let such a request leave: the caller looked at `may_lend` before."""
        self._limit.take(now, 1 + int(refresh))
        self._lent = True

    def returned(self, verdict: Verdict, now: float, chance: float) -> None:
        """Bring in what became of it. What HubSpot passingly asks of the account as a whole holds for its lists too.

        A refusal concerns the request alone: it may lack a right that lists do not need.
        """
        self._lent = False
        if isinstance(verdict, Recoverable) and verdict.account_wide:
            self._stop(verdict, now, chance)
        elif isinstance(verdict, Applied) and now >= self.not_before:
            self._limit.passed()

    def answered(self, verdict: Verdict, now: float, chance: float, newest: int, *, looked: bool = False) -> int:
        """Bring in what became of a request. `newest` is the highest number of any change read.

        `looked`: it was a look at a list alone, which does not tell that a refused account may change lists again.
        Gives the number up to which changes have waited too long for the account, 0 if none has.
        """
        self.in_flight -= 1
        echo = now < self.not_before  # to a request that left before the account was stopped: tells nothing new
        match verdict:
            case Recoverable(account_wide=True):
                self._stop(verdict, now, chance)
                return self._patience.failed(now, newest)
            case Terminal(scope=Scope.ACCOUNT):
                self._probing = True
                if self.parking and echo:
                    return 0
                until = self.parking.refused(now)
            case Applied() | Terminal():
                if not echo and not (looked and self.parking):
                    self._recovered()
                return 0
            case Recoverable() | NotSent():
                return 0
        self.not_before = max(self.not_before, until)
        return self._patience.failed(now, newest)

    def _stop(self, verdict: Recoverable, now: float, chance: float) -> None:
        """Send nothing before HubSpot takes something again."""
        if verdict.rolling:
            if now < self.not_before:  # it left before the one from which we learnt
                return
            until = min(now + verdict.wait, self._limit.refused(now))
        else:
            until = now + verdict.wait if verdict.wait else self._backoff.failed(now, chance)
        self.not_before = max(self.not_before, until)
        self._probing |= verdict.probe

    def _recovered(self) -> None:
        """HubSpot took the credentials and let the request through."""
        self._probing = False
        self._limit.passed()
        self._backoff.succeeded()
        self.parking.succeeded()
        self._patience.succeeded()
