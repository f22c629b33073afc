"""Sending anew beside the running service: the service's own loop, with another source and chosen contacts.

`dead-letters replay` looks after the contacts of dead letters, `rebuild` after all that the log tells of for one
connector. Either reads the log from where its contacts begin to the present end, and on. Nothing is sent before that
end (catching up first), so of every contact the newest intent goes out. What it reads of others is passed over: the
service sees to it. Windows, limits and retries are the service's, and so are results and new dead letters. But nothing
waits for a probe: what a list or an account refuses, all that waits there ends with.

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
of all of them (`--all`), or a rebuild, mends that. Nothing is committed to Kafka, and the dead letters stay where they
are.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import NamedTuple, Protocol

from consumer.changes import Assignment, Change, TopicPartition
from consumer.delivery import Delivery
from consumer.hubspot.answers import record_number
from consumer.lane import Lane
from consumer.list_sync import ListSync
from consumer.loop import Loop, State
from consumer.outcomes import GAVE_UP, DeadLetter, Result
from consumer.packed import Told, action_of, fields, pack, place_of
from consumer.partitions import Partitions
from consumer.ports import Clock, Sink, Source
from consumer.pursuit import Pursuit
from consumer.targets import Key

LOOK_EVERY = 0.5  # seconds between two looks at the end of the log

NOWHERE = TopicPartition("", -1)
"""Stands in results and dead letters, with offset -1, for the place of what no event asks for."""


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

    def __init__(self, sink: Sink, pursuits: Mapping[str, Pursuit]) -> None:
        self._sink = sink
        self._pursuits = pursuits

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
        pursuit = self._pursuits[record.connector or ""]
        if isinstance(record, Result):
            for contact, outcome, change in record.contacts:
                pursuit.applied(contact, change.number, outcome)
            return
        for each in record.contacts:
            number = record_number(each.record_id)
            if number is not None:
                pursuit.refused(number, each.change.number, record.reason)
        if record.reason == GAVE_UP:  # it was waited for long enough: not once more for each portion
            pursuit.abandon(GAVE_UP)


class Chosen:
    """The windows as the intake sees them: the pursuits take what is wanted, all else is passed over.

    `takes` tells of a change whether it may be sent: of dead letters, whether it is no older than they are.
    """

    def __init__(self, pursuits: Mapping[str, Pursuit], takes: Callable[[Key, int], bool]) -> None:
        self._pursuits = pursuits
        self._takes = takes

    def fold(
        self,
        connector: str,
        changes: Sequence[Told],
        assignment: Assignment,
        _now: float,
        _inherited_since: float | None,
    ) -> None:
        """Take the changes of contacts that are looked after."""
        for contact, change in changes:
            key = Key(connector, contact, assignment.topic, assignment.partition)
            _, offset, occurred_at, _, where = fields(change)
            if self._takes(key, offset):
                self._pursuits[connector].told(contact, action_of(where), key.place, offset, occurred_at)

    def refuse(
        self, _connector: str, _identifier: str, _change: Change, _wall: float, done: Callable[[], None]
    ) -> None:
        """Pass over what is no record id: its dead letter is the service's."""
        done()

    def bury(self, _record: DeadLetter, done: Callable[[], None]) -> None:
        """Pass over what cannot be decoded: its dead letter is the service's."""
        done()


class Replay:
    """Turns the loop until every contact of the pursuits, one for each connector, is let go of.

    `room` is how many contacts wait in a list's window at once. What is handed on is not held by the partitions that it
    was read from, whose offsets have gone on: it belongs to assignments of the replay's own, which nobody commits.
    """

    def __init__(
        self,
        loop: Loop,
        delivery: Delivery,
        partitions: Partitions,
        pursuits: Mapping[str, Pursuit],
        room: int,
        clock: Clock,
        shutdown_timeout: float,
    ) -> None:
        self.loop = loop
        self.pursuits = pursuits
        self.unseen = 0  # contacts that were wanted, and of which the log told nothing
        self._delivery = delivery
        self._partitions = partitions
        self._assignments: dict[TopicPartition, Assignment] = {}
        self._room = room
        self._clock = clock
        self._shutdown_timeout = shutdown_timeout
        self._numbers = count(1)
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

    def outcomes(self) -> Counter[str]:
        """Count the contacts by what HubSpot made of the newest change of each."""
        return sum((each.outcomes() for each in self.pursuits.values()), Counter())

    def failures(self) -> Counter[str]:
        """Count the contacts that failed, by reason."""
        return sum((each.failures() for each in self.pursuits.values()), Counter())

    def left(self) -> int:
        """Count the contacts of which nothing came to an end."""
        return sum(each.left() for each in self.pursuits.values())

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
        contacts = sum(each.contacts for each in self.pursuits.values())
        return Progress(*log.read(), contacts - self._open, contacts)

    def turn(self, log: Log) -> None:
        """Do everything once."""
        self.loop.turn(log)
        if self.loop.state is not State.RUNNING or not len(self._partitions):
            return
        now = self._clock.monotonic()
        if not self._began and not self._partitions.catching_up:
            self._began = True
            self.unseen = sum(each.caught_up() for each in self.pursuits.values())
        if self._stop_asked:
            self._leave(now)
        if self._began:
            self._hand_on(now)
        self._look(log, now)
        if not self._busy():
            self.loop.stop("all is sent" if self._deadline is None else self._stop_asked)
        elif self._deadline is not None and now >= self._deadline:
            for _ in range(2):
                self.loop.stop(self._stop_asked)

    @property
    def _open(self) -> int:
        return sum(map(len, self.pursuits.values()))

    def _busy(self) -> bool:
        if self._deadline is not None:
            return bool(self._delivery.pending) or any(each.exposed for each in self.pursuits.values())
        return not self._began or self._open > 0

    def _hand_on(self, now: float) -> None:
        """Fill the windows up. What waits for a list, or an account, that is refused fails with it."""
        for connector, pursuit in self.pursuits.items():
            if not pursuit.waiting:
                continue
            lane = self._delivery.lanes[connector]
            if (lane.list.parking or lane.account.parking) and lane.attention is not None:
                pursuit.abandon(lane.attention.reason)
            for _ in range(min(pursuit.waiting, self._room - lane.list.pending)):
                number = next(self._numbers)
                contact, (action, (topic, partition, offset), occurred_at) = pursuit.hand_on(number)
                assignment = self._assignment(topic, partition)
                change = pack(number, offset, occurred_at, 0, place_of(action, assignment, self._partitions.offsets))
                self._delivery.fold(connector, [(contact, change)], assignment, now, None)

    def _assignment(self, topic: str, partition: int) -> Assignment:
        place = TopicPartition(topic, partition)
        if place not in self._assignments:
            self._assignments[place] = Assignment(topic, partition, 0)
            self._partitions.offsets.assign(self._assignments[place])
        return self._assignments[place]

    def _leave(self, now: float) -> None:
        """Send nothing more but what a request of ours may have undone."""
        if self._deadline is None:
            self._deadline = now + self._shutdown_timeout
            for pursuit in self.pursuits.values():
                pursuit.abandon(None)
        self._delivery.drop(self._is_unwanted, now)

    def _is_unwanted(self, lane: Lane, contact: int, change: Change) -> bool:
        sent = self.pursuits[lane.list.connector].has_sent_older(contact, change.number)
        return not sent and not lane.list.may_take_effect(contact)

    def _look(self, log: Log, now: float) -> None:
        """Compare what has come to an end with what the log holds by now."""
        if self._looking:
            if log.looked() and not any(partition.held for partition in self._partitions):
                self._looking = False
                for pursuit in self.pursuits.values():
                    pursuit.end_look()
        elif now >= self._look_at:
            for connector, pursuit in self.pursuits.items():
                self._looking |= pursuit.begin_look(partial(_is_settled, self._delivery.lanes[connector].list))
            if self._looking:
                self._look_at = now + LOOK_EVERY
                log.look()


def _is_settled(each: ListSync, contact: int) -> bool:
    return not each.doubtful and not each.waits(contact)
