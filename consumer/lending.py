"""Leave to send, lent by the loop: what it shares with the thread that audits beside it.

Every request to HubSpot counts against its account's rate, which the loop keeps. So the thread asks for leave, one
request at a time, and waits; it sends and tells what came of it, or that it sent nothing. What it found out goes the
same way, for the loop alone writes metrics. Neither side ever waits for the other but the thread for leave.
"""

import queue
import threading
from dataclasses import dataclass

from consumer.drift import Report
from consumer.reads import ReadAnswer


@dataclass(frozen=True, slots=True)
class Returned:
    """A leave that is used up: by what was sent and answered, or, without an answer, by nothing."""

    account: str
    answer: ReadAnswer | None


@dataclass(frozen=True, slots=True)
class Audited:
    """A report, and when it was made (seconds since 1970)."""

    report: Report
    at: float


@dataclass(frozen=True, slots=True)
class Audits:
    """Whether this member is the one that audits, from now on."""

    on: bool


News = Returned | Audited | Audits


class Leave:
    """The leave for one request of an account, asked for and not given yet. `may_refresh`: the token as well."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.may_refresh = False
        self._lock = threading.Lock()
        self._given = threading.Event()
        self._withdrawn = False

    def wait(self, seconds: float) -> bool:
        """Wait until it is given, for so long at most; tell whether it is."""
        return self._given.wait(seconds)

    def withdraw(self) -> bool:
        """Ask for it no more. False: it was given before."""
        with self._lock:
            self._withdrawn = not self._given.is_set()
            return self._withdrawn

    def give(self, *, may_refresh: bool) -> bool:
        """Give it; the loop's side. False: nobody asks for it any more."""
        with self._lock:
            if self._withdrawn:
                return False
            self.may_refresh = may_refresh
            self._given.set()
            return True


class Lending:
    """Between one thread that audits and the loop."""

    def __init__(self) -> None:
        self._asked: Leave | None = None
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()

    def ask(self, account: str) -> Leave:
        """Ask for leave; who asked before asks no more."""
        self._asked = leave = Leave(account)
        return leave

    def tell(self, news: News) -> None:
        """Let the loop know."""
        self._news.put(news)

    def asked(self) -> Leave | None:
        """Give what is asked for; the loop's side, as all below."""
        return self._asked

    def done(self, leave: Leave) -> None:
        """Let go of what was asked for, given or not."""
        if self._asked is leave:
            self._asked = None

    def news(self) -> list[News]:
        """Give what the thread has told since."""
        taken: list[News] = []
        while True:
            try:
                taken.append(self._news.get_nowait())
            except queue.Empty:
                return taken
