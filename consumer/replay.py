"""A replay of dead letters beside the running service: the service's own loop, with another source and fewer contacts.

It reads the log from the places where its targets lie to the present end, and on. Nothing is sent before that end
(catching up first), so of every contact the newest intent goes out. What it reads of others is passed over: the service
sees to it. Windows, limits and retries are the service's, and so are results and new dead letters. But nothing waits
for a probe: what a list or an account refuses, all that waits there ends with.

**Why the last word is the log's**, whatever the service does meanwhile. Take a contact and the newest change of it.

1. The service sends it after it was written, unless it has given it up: then it is a dead letter as it was before.
2. What the replay sent last of the contact was the newest change that it had read. When that is answered, it asks once
   more where the log ends and reads up to there. Something newer is sent as well, by the replay too, after its own
   older request was answered: one request on the wire per list. Only when nothing newer was there is the contact let go
   of. A change that is written later is read by the service after the replay's last request took effect, so the
   service's request comes after the replay's.
3. A request without an answer may take effect until `hubspot.settle` has passed. The replay keeps its contacts for so
   long, and sends once more what changed meanwhile (`doubts.py`). Late effects of the service's requests are the
   service's to mend: it reads every change and doubts its own requests alike.
4. While the service lags behind, it may send an older change after the replay's newer one; it then reads the newer one
   and sends that as well.

**Stopping** lets go of what was not sent, waits for what is on the wire and, within `shutdown.timeout`, still looks
after the contacts that HubSpot took something of, as in 2. A replay that is killed with a request on the wire, or
stopped before `hubspot.settle` is over, may undo a newer change of its contacts, and nothing in Kafka tells: a replay
of all of them (`--all`) mends that. Nothing is committed to Kafka, and the dead letters stay where they are.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from consumer.changes import Change
from consumer.delivery import Delivery
from consumer.hubspot.answers import record_number
from consumer.lane import Lane
from consumer.loop import Loop, State
from consumer.outcomes import DeadLetter, Result
from consumer.partitions import Partitions
from consumer.ports import Clock, Sink, Source
from consumer.pursuit import Pursuit
from consumer.targets import Key, Plan, Target, Whom

LOOK_EVERY = 0.5  # seconds between two looks at the end of the log


class Log(Source, Protocol):
    """The partitions that a replay reads, each from its place to the end and on."""

    def look(self) -> None:
        """Start to ask where the partitions end now."""

    def looked(self) -> bool:
        """Tell whether all has been given that was there when `look` was called last."""

    def read(self) -> tuple[int, int]:
        """Give how many offsets have been read, and how many there are, as last heard."""


class Progress(NamedTuple):
    """How far a replay is: offsets read of those there are, and contacts done of all."""

    read: int
    to_read: int
    done: int
    contacts: int


class Ledger:
    """The sink, watched: once Kafka has a result or a dead letter, its contacts have come to an end."""

    def __init__(self, sink: Sink, pursuit: Pursuit) -> None:
        self._sink = sink
        self._pursuit = pursuit

    @property
    def pending(self) -> int:
        """How many records are not acknowledged yet."""
        return self._sink.pending

    @property
    def weight(self) -> int:
        """What these records take, as many waiting contacts do."""
        return self._sink.weight

    def send(self, record: Result | DeadLetter, done: Callable[[], None]) -> None:
        """Pass a record on."""

        def acknowledged() -> None:
            done()
            self._note(record)

        self._sink.send(record, acknowledged)

    def serve(self) -> None:
        """Send what waits and call what is done."""
        self._sink.serve()

    def _note(self, record: Result | DeadLetter) -> None:
        connector = record.connector or ""
        if isinstance(record, Result):
            for contact, outcome, change in record.contacts:
                self._pursuit.applied((connector, contact), change.number, outcome)
        else:
            for each in record.contacts:
                number = record_number(each.record_id)
                if number is not None:
                    self._pursuit.refused((connector, number), each.change.number, record.reason)


class Chosen:
    """The windows as the intake sees them: they take the targets' changes, all else is passed over."""

    def __init__(self, delivery: Delivery, plan: Plan, pursuit: Pursuit) -> None:
        self._delivery = delivery
        self._plan = plan
        self._pursuit = pursuit

    def fold(self, connector: str, contact: int, change: Change, now: float, _inherited_since: float | None) -> None:
        """Take a change of a target that is still looked after."""
        whom = (connector, contact)
        key = Key(*whom, change.assignment.topic, change.assignment.partition)
        if whom in self._pursuit and self._plan.takes(key, change.offset):
            self._pursuit.folded(whom, change.number)
            self._delivery.fold(connector, contact, change, now, None)

    def refuse(
        self, _connector: str, _identifier: str, _change: Change, _wall: float, done: Callable[[], None]
    ) -> None:
        """Pass over what is no record id: its dead letter is the service's."""
        done()

    def bury(self, _record: DeadLetter, done: Callable[[], None]) -> None:
        """Pass over what cannot be decoded: its dead letter is the service's."""
        done()


class Replay:
    """Turns the loop until every target is done. `recalled` are those that retention has taken from the log."""

    def __init__(
        self,
        loop: Loop,
        delivery: Delivery,
        partitions: Partitions,
        pursuit: Pursuit,
        windows: Chosen,
        recalled: Mapping[Key, Target],
        clock: Clock,
        shutdown_timeout: float,
    ) -> None:
        self.loop = loop
        self.pursuit = pursuit
        self.unseen: list[Whom] = []
        self._delivery = delivery
        self._partitions = partitions
        self._windows = windows
        self._recalled: Mapping[Key, Target] | None = recalled
        self._clock = clock
        self._shutdown_timeout = shutdown_timeout
        self._contacts = len(pursuit)
        self._began = False
        self._looking = False
        self._look_at = float("-inf")
        self._deadline: float | None = None  # of a stop
        self._stop_asked = ""
        delivery.impatient = True

    @property
    def stopped_early(self) -> bool:
        """True when somebody asked to stop before all was done."""
        return self._deadline is not None

    def stop(self, why: str) -> None:
        """Ask to stop: what is on the wire is seen to first; a second time at once. A signal handler may call it."""
        if self._stop_asked:
            self.loop.stop(why)
            self.loop.stop(why)
        self._stop_asked = why

    def run(self, log: Log, told: Callable[[Progress], None]) -> None:
        """Turn until all is done. Raises what only a new start can mend, after closing `log`."""
        try:
            while self.loop.state is not State.STOPPED:
                self.turn(log)
                told(self.progress(log))
        finally:
            self.loop.state = State.STOPPED
            log.close()

    def progress(self, log: Log) -> Progress:
        """Tell how far it is."""
        return Progress(*log.read(), self._contacts - len(self.pursuit), self._contacts)

    def turn(self, log: Log) -> None:
        """Do everything once."""
        self.loop.turn(log)
        if self.loop.state is not State.RUNNING or not len(self._partitions):
            return
        now = self._clock.monotonic()
        self._recall(now)
        if not self._began and not self._partitions.catching_up:
            self._began = True
            self.unseen = self.pursuit.unseen()
        if self._stop_asked:
            self._leave(now)
        self._look(log, now)
        if not self._busy():
            self.loop.stop("all dead letters are replayed" if self._deadline is None else self._stop_asked)
        elif self._deadline is not None and now >= self._deadline:
            for _ in range(2):
                self.loop.stop(self._stop_asked)

    def _busy(self) -> bool:
        if self._deadline is not None:
            return bool(self._delivery.pending) or self.pursuit.exposed
        return not self._began or len(self.pursuit) > 0

    def _recall(self, now: float) -> None:
        """Take from the dead letters what the log does not hold any more: older than all that will be read."""
        recalled, self._recalled = self._recalled, None
        for number, (key, target) in enumerate((recalled or {}).items(), 1):
            partition = self._partitions.get(key.place)
            if partition is not None:
                change = Change(number, target.action, partition.assignment, target.offset, target.occurred_at, 0)
                self._windows.fold(key.connector, key.contact, change, now, None)

    def _leave(self, now: float) -> None:
        """Send nothing more but what a request of ours may have undone."""
        if self._deadline is None:
            self._deadline = now + self._shutdown_timeout
        self._delivery.drop(self._is_unwanted, now)

    def _is_unwanted(self, lane: Lane, contact: int, change: Change) -> bool:
        sent = self.pursuit.has_sent_older((lane.list.connector, contact), change.number)
        return not sent and not lane.list.may_take_effect(contact)

    def _look(self, log: Log, now: float) -> None:
        """Compare what has come to an end with what the log holds by now."""
        if self._looking:
            if log.looked() and not any(partition.held for partition in self._partitions):
                self._looking = False
                self.pursuit.end_look()
        elif now >= self._look_at and self.pursuit.begin_look(self._is_settled):
            self._looking = True
            self._look_at = now + LOOK_EVERY
            log.look()

    def _is_settled(self, whom: Whom) -> bool:
        connector, contact = whom
        each = self._delivery.lanes[connector].list
        return not each.doubtful and not each.waits(contact)
