"""Audits beside the running service, in a thread of its own.

One member of the group audits: the one that has partition 0 of the first topic of changes, for as long as it has it.
Rounds begin at fixed times; each takes so many requests at most, and lists take turns, so that what a round does not
get to comes in the next. Every request is lent by the loop (`lending.py`). Whatever goes wrong is logged and counted;
it never reaches the loop. Reading Kafka takes half of this thread's time at most, for it shares the processor's lock
with the loop.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NoReturn

from consumer import log
from consumer.audit import Audit, Budget, Log, Schedule, Turn, Turns, Walk
from consumer.drift import Listed, Report
from consumer.errors import ConsumerError
from consumer.hubspot.client import HubSpotClient
from consumer.lending import Audited, Audits, Leave, Lending, Returned
from consumer.outcomes import Details, Scope, Terminal

MOST_AT_ONCE = 300_000  # contacts in memory, of the lists and of the log
LOOK_EVERY = 0.5  # seconds between two looks at whether it still audits
LONGEST_REST = 1.0  # seconds between two batches of messages
CLOSE_WITHIN = 1.0  # seconds; it is a daemon, so what it waits for keeps no process from ending
LOG_UNREADABLE = "LOG_UNREADABLE"

_log = log.get(__name__)


class Auditor:
    """The thread. `owns` tells whether this member audits; `open_log` gives the log, with what to tell of its reading.

    `close` ends it: at once where it waits for leave or reads Kafka, after the answer where it waits for HubSpot.
    """

    def __init__(
        self,
        lists: Sequence[Listed],
        every: float,
        at_most_requests: int,
        tried_for: float,
        lending: Lending,
        clients: Mapping[str, HubSpotClient],
        owns: Callable[[], bool],
        open_log: Callable[[Callable[[int, int], None]], AbstractContextManager[Log]],
    ) -> None:
        self._lists = lists
        self._requests = at_most_requests
        self._tried_for = tried_for
        self._lending = lending
        self._clients = clients
        self._owns = owns
        self._open_log = open_log
        self._schedule = Schedule(every)
        self._turns = Turns(lists)
        self._stopped = threading.Event()
        self._worked_since = 0.0
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, and wait a moment for that."""
        self._stopped.set()
        self._thread.join(CLOSE_WITHIN)

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_EVERY):
            match self._schedule.turn(time.monotonic(), owns=self._owns()):
                case Turn.BEGIN:
                    self._lending.tell(Audits(on=True))
                case Turn.ROUND:
                    self._round()
                case Turn.END:
                    self._turns = Turns(self._lists)
                    self._lending.tell(Audits(on=False))

    def _round(self) -> None:
        """Audit until all lists had their turn, the requests are used up, or this member audits no more."""
        budget = Budget(self._requests)
        self._worked_since = time.monotonic()
        audit: Audit | None = None
        try:
            with self._open_log(self._rest) as opened:
                audit = Audit(self._turns, opened, budget, MOST_AT_ONCE, self._report, tried_for=self._tried_for)
                self._go_through(Walk(audit.steps(), budget))
        except _Over:
            _log.info("audit ended early: this member audits no more", requests=budget.spent)
        except Exception as error:  # noqa: BLE001 - nothing of an audit may stop the service
            if not self._stopped.is_set():
                self._fail(audit, error)

    def _go_through(self, walk: Walk) -> None:
        while (request := walk.request) is not None:
            leave = self._leave(request.account, walk.not_before)
            answer = None
            try:
                answer = self._clients[request.account].read(request, may_refresh=leave.may_refresh)
            finally:
                self._lending.tell(Returned(request.account, answer))
            self._worked_since = time.monotonic()
            walk.answered(answer, time.monotonic(), random.random())  # noqa: S311 - jitter, no secret

    def _leave(self, account: str, not_before: float) -> Leave:
        """Wait until a request may leave."""
        while (wait := not_before - time.monotonic()) > 0:
            self._stopped.wait(min(wait, LOOK_EVERY))
            self._go_on()
        leave = self._lending.ask(account)
        while not leave.wait(LOOK_EVERY):
            if self._stopped.is_set() or not self._owns():
                self._lending.done(leave)
                if not leave.withdraw():
                    self._lending.tell(Returned(account, None))
                _end()
        return leave

    def _rest(self, _done: int, _total: int) -> None:
        """Pause for as long as the last batch of messages took."""
        self._stopped.wait(min(LONGEST_REST, time.monotonic() - self._worked_since))
        self._go_on()
        self._worked_since = time.monotonic()

    def _go_on(self) -> None:
        if self._stopped.is_set() or not self._owns():
            _end()

    def _report(self, report: Report) -> None:
        """Tell of a list whose pass is over."""
        self._lending.tell(Audited(report, time.time()))
        listed, found, failure = report.listed, report.findings, report.failure
        told = _log.bind(connector=listed.connector, account=listed.account, list=listed.list_id)
        if found is None:
            details = Details() if failure is None else failure.details
            told.warning(
                "list not audited",
                status=details.status,
                problem=details.message,
                correlation_id=details.correlation_id,
            )
            return
        counts = {kind.value: number for kind, number in found.counts.items()}
        tell = told.warning if found.drift else told.info
        tell("list audited", members=found.members, in_log=found.in_log, drift=found.drift, **counts)
        for note in report.notes:
            told.warning("audit is incomplete", problem=note)

    def _fail(self, audit: Audit | None, error: Exception) -> None:
        """Tell that a round broke off, and of which lists."""
        expected = isinstance(error, ConsumerError)
        _log.warning("audit broke off", problem=str(error) if expected else type(error).__name__, exc_info=not expected)
        failure = Terminal(Details(message="the audit broke off"), LOG_UNREADABLE, Scope.LIST)
        first = [] if self._turns.first is None else [self._turns.first]
        for listed in (audit.under_way if audit is not None else None) or first:
            self._lending.tell(Audited(Report(listed, None, failure), time.time()))
        self._turns = Turns(self._lists)


class _Over(Exception):  # noqa: N818 - says what is the case, and is no error
    """This member audits no more, or stops."""


def _end() -> NoReturn:
    raise _Over
