"""Who may still send: what the loop and the HTTP workers share, and the only place where they do.

After a revoke callback has returned, no request that carries a change of a revoked partition may leave. And a member
that was stopped for longer than its session and woke up is no longer the owner, though nobody has told it yet.
"""

import threading
from collections.abc import Callable


class Fence:
    """Stands between a member that has not polled for a while and HubSpot.

    The loop's thread calls `polled` and `confirmed`; any thread may ask `open_at`. Times are monotonic seconds.
    """

    def __init__(self, session_timeout: float, now: float) -> None:
        self.session_timeout = session_timeout
        self.doubts = 0  # how often the member has been in doubt
        self._last_poll = now
        self._in_doubt = False

    @property
    def in_doubt(self) -> bool:
        """True when polls were further apart than the session lasts: the group may have gone on without us."""
        return self._in_doubt

    def polled(self, now: float) -> None:
        """Note a poll. A poll alone does not end a doubt: the broker's answer may be on its way."""
        if now - self._last_poll > self.session_timeout:
            self._in_doubt = True
            self.doubts += 1
        self._last_poll = now

    def confirmed(self, doubts: int) -> None:
        """Take the broker's word that the member is in the group: it accepted a commit, asked for when `doubts` was so.

        What was asked for before the latest doubt says nothing of the time after it.
        """
        if doubts == self.doubts:
            self._in_doubt = False

    def open_at(self, now: float) -> bool:
        """Tell whether requests may leave."""
        # In this order: `polled` notes a doubt before it moves the time, so a late poll is seen as one or the other.
        return now - self._last_poll <= self.session_timeout and not self._in_doubt


class Permit:
    """The leave of one request to go out, asked by its worker right before the bytes do, or withdrawn by the loop.

    `may_refresh`: the rate was asked for a token refresh as well.
    """

    def __init__(self, fence: Fence, clock: Callable[[], float], *, may_refresh: bool = True) -> None:
        self.may_refresh = may_refresh
        self._fence = fence
        self._clock = clock
        self._lock = threading.Lock()
        self._started = False
        self._withdrawn = False

    @property
    def started(self) -> bool:
        """True once the request may be on the wire."""
        return self._started

    def start(self) -> bool:
        """Ask to send. After a True the request counts as on the wire."""
        with self._lock:
            if self._withdrawn or not self._fence.open_at(self._clock()):
                return False
            self._started = True
            return True

    def withdraw(self) -> None:
        """Let it not be sent any more; a request that is on the wire stays there."""
        with self._lock:
            self._withdrawn = True
